#include "caffe/util/bbox_util.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "caffe/util/math_functions.hpp"
#include "fill.hpp"
#include "tolerance.hpp"

namespace caffe {
namespace test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

NormalizedBBox Box(float xmin, float ymin, float xmax, float ymax, int label = 0) {
  NormalizedBBox box;
  box.set_xmin(xmin);
  box.set_ymin(ymin);
  box.set_xmax(xmax);
  box.set_ymax(ymax);
  box.set_label(label);
  return box;
}

std::vector<double> Corners(const NormalizedBBox& box) {
  return {box.xmin(), box.ymin(), box.xmax(), box.ymax()};
}

void ExpectBox(const NormalizedBBox& got, const std::vector<double>& want,
               const std::string& what = "box") {
  ExpectClose(Corners(got), want, ToleranceOf<float>(OpKind::kTranscendental), what);
}

template <typename Action>
std::string MessageOf(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(BBoxTest, AreaIntersectionAndOverlap) {
  const NormalizedBBox a = Box(0, 0, 2, 2), b = Box(1, 1, 3, 3);
  EXPECT_EQ(BBoxSize(a), 4);
  EXPECT_EQ(BBoxSize(a, false), 9);
  EXPECT_EQ(BBoxSize(Box(2, 0, 1, 1)), 0);
  NormalizedBBox sized = a;
  sized.set_size(7);
  EXPECT_EQ(BBoxSize(sized), 7);
  NormalizedBBox common;
  IntersectBBox(a, b, &common);
  ExpectBox(common, {1, 1, 2, 2});
  IntersectBBox(a, Box(2.5f, 0, 3, 1), &common);
  ExpectBox(common, {0, 0, 0, 0});
  EXPECT_FLOAT_EQ(JaccardOverlap(a, b), 1.f / 7);
  EXPECT_EQ(JaccardOverlap(a, a), 1);
  EXPECT_EQ(JaccardOverlap(a, Box(2, 0, 3, 1)), 0);
  // 3 x 3 pixels each, 2 x 2 of them in both.
  EXPECT_FLOAT_EQ(JaccardOverlap(a, b, false), 4.f / 14);
  const double raw_a[] = {0, 0, 2, 2}, raw_b[] = {1, 1, 3, 3};
  EXPECT_DOUBLE_EQ(JaccardOverlap(raw_a, raw_b), 1.0 / 7);
  EXPECT_DOUBLE_EQ(BBoxSize(raw_b), 4);
  EXPECT_FLOAT_EQ(BBoxCoverage(a, b), 0.25f);
  EXPECT_FLOAT_EQ(BBoxCoverage(Box(1, 1, 2, 2), b), 1);
}

TEST(BBoxTest, ClipScaleLocateAndProject) {
  NormalizedBBox box = Box(-0.5f, 0.25f, 1.5f, 0.75f), out;
  box.set_difficult(true);
  EXPECT_TRUE(IsCrossBoundaryBBox(box));
  EXPECT_FALSE(IsCrossBoundaryBBox(UnitBBox()));
  ClipBBox(box, &out);
  ExpectBox(out, {0, 0.25, 1, 0.75});
  EXPECT_FLOAT_EQ(out.size(), 0.5f);
  EXPECT_TRUE(out.difficult());
  ClipBBox(Box(-3, 5, 70, 200), 100, 50, &out);
  ExpectBox(out, {0, 5, 50, 100});
  ScaleBBox(Box(0.1f, 0.2f, 0.3f, 0.4f), 100, 200, &out);
  ExpectBox(out, {20, 20, 60, 40});
  EXPECT_FLOAT_EQ(out.size(), 41 * 21);  // pixels, the last ones, too

  const NormalizedBBox crop = Box(0.5f, 0.25f, 1, 0.75f);
  LocateBBox(crop, Box(0, 0, 0.5f, 1), &out);
  ExpectBox(out, {0.5, 0.25, 0.75, 0.75});
  EXPECT_TRUE(ProjectBBox(crop, Box(0.25f, 0.5f, 0.75f, 0.75f), &out));
  ExpectBox(out, {0, 0.5, 0.5, 1});
  EXPECT_FALSE(ProjectBBox(crop, Box(0, 0, 0.5f, 1), &out));
}

TEST(BBoxTest, OutputGoesBackThroughTheResize) {
  ResizeParameter resize;
  resize.set_height(100);
  resize.set_width(100);
  NormalizedBBox out;
  OutputBBox(Box(0.25f, 0.5f, 1.5f, 1), {200, 400}, false, resize, &out);
  ExpectBox(out, {100, 100, 400, 200});
  OutputBBox(Box(0.25f, 0.5f, 0.5f, 1), {200, 400}, true, resize, &out);
  ExpectBox(out, {100, 100, 200, 200});
  // 400 x 200 was made 100 x 50, with 25 rows of padding above and below.
  resize.set_resize_mode(ResizeParameter::FIT_LARGE_SIZE_AND_PAD);
  OutputBBox(Box(0.25f, 0.25f, 0.5f, 0.5f), {200, 400}, true, resize, &out);
  ExpectBox(out, {100, 0, 200, 100});
  OutputBBox(Box(0.25f, 0.5f, 0.5f, 0.75f), {400, 200}, true, resize, &out);
  ExpectBox(out, {0, 200, 100, 300});
  resize.set_resize_mode(ResizeParameter::FIT_SMALL_SIZE);
  resize.set_height_scale(300);
  resize.set_width_scale(300);
  OutputBBox(Box(0.5f, 0.1f, 0.75f, 0.9f), {200, 400}, true, resize, &out);
  ExpectBox(out, {150, 30, 225, 200});
}

TEST(BBoxTest, EmitConstraints) {
  EmitConstraint constraint;
  const NormalizedBBox crop = Box(0, 0, 0.5f, 0.5f);
  EXPECT_TRUE(MeetEmitConstraint(crop, Box(0.3f, 0.3f, 0.7f, 0.7f), constraint));
  EXPECT_FALSE(MeetEmitConstraint(crop, Box(0.4f, 0.4f, 0.7f, 0.7f), constraint));
  constraint.set_emit_type(EmitConstraint::MIN_OVERLAP);
  constraint.set_emit_overlap(0.2f);
  EXPECT_TRUE(MeetEmitConstraint(crop, Box(0.3f, 0.3f, 0.7f, 0.7f), constraint));   // 1/4
  EXPECT_FALSE(MeetEmitConstraint(crop, Box(0.4f, 0.4f, 0.7f, 0.7f), constraint));  // 1/9
}

TEST(BBoxTest, CodesAreTheirFormulasAndInverses) {
  const NormalizedBBox prior = Box(0.2f, 0.3f, 0.6f, 0.5f);
  const NormalizedBBox object = Box(0.25f, 0.2f, 0.75f, 0.6f);
  const std::vector<float> variance = {0.1f, 0.1f, 0.2f, 0.25f};
  const double p[] = {0.2, 0.3, 0.6, 0.5}, o[] = {0.25, 0.2, 0.75, 0.6};
  const double w = 0.4, h = 0.2;
  const std::pair<CodeType, std::vector<double>> cases[] = {
      {PriorBoxParameter::CORNER, {o[0] - p[0], o[1] - p[1], o[2] - p[2], o[3] - p[3]}},
      {PriorBoxParameter::CORNER_SIZE,
       {(o[0] - p[0]) / w, (o[1] - p[1]) / h, (o[2] - p[2]) / w, (o[3] - p[3]) / h}},
      {PriorBoxParameter::CENTER_SIZE,
       {(0.5 - 0.4) / w, (0.4 - 0.4) / h, std::log(0.5 / w), std::log(0.4 / h)}},
  };
  for (const auto& [code, offsets] : cases) {
    for (const bool in_target : {false, true}) {
      SCOPED_TRACE(Str("code ", static_cast<int>(code), ", ", in_target));
      std::vector<double> want = offsets;
      for (int i = 0; i < 4 && !in_target; ++i) want[i] /= variance[i];
      NormalizedBBox encoded, decoded;
      EncodeBBox(prior, variance, code, in_target, object, &encoded);
      ExpectClose(Corners(encoded), want, ToleranceOf<float>(OpKind::kNormalization),
                  "offsets");
      DecodeBBox(prior, variance, code, in_target, false, encoded, &decoded);
      ExpectBox(decoded, {o[0], o[1], o[2], o[3]});
      EXPECT_FLOAT_EQ(decoded.size(), 0.5f * 0.4f);
    }
  }
  NormalizedBBox far = Box(9, 0, 9, 0), decoded;
  DecodeBBox(prior, variance, PriorBoxParameter::CORNER, true, true, far, &decoded);
  ExpectBox(decoded, {1, 0.3, 1, 0.5});
  EXPECT_THAT(MessageOf([&] {
                DecodeBBox(Box(0.2f, 0.3f, 0.2f, 0.5f), variance,
                           PriorBoxParameter::CENTER_SIZE, false, false, far, &decoded);
              }),
              HasSubstr("expected an area above 0"));
  EXPECT_THAT(MessageOf([&] {
                EncodeBBox(prior, variance, PriorBoxParameter::CENTER_SIZE, false,
                           Box(0.2f, 0.3f, 0.2f, 0.5f), &decoded);
              }),
              HasSubstr("an object has corners"));
}

// Two clusters: 0, 1 and 4; 2 and 3.
const std::vector<NormalizedBBox> kClusters = {Box(0, 0, 1, 1), Box(0, 0.1f, 1, 1.1f),
                                               Box(5, 5, 6, 6), Box(5, 5.3f, 6, 6.3f),
                                               Box(0, 0.6f, 1, 1.6f)};
const std::vector<float> kScores = {0.8f, 0.9f, 0.3f, 0.7f, 0.6f};

TEST(NmsTest, TheBestOfEachCluster) {
  // Overlaps: (0, 1) 9/11, (2, 3) 7/13, (1, 4) 1/3, (0, 4) 1/4.
  std::vector<int> kept;
  ApplyNMS(kClusters, kScores, 0.5f, -1, &kept);
  EXPECT_THAT(kept, ElementsAre(1, 3, 4));
  ApplyNMS(kClusters, kScores, 0.2f, -1, &kept);
  EXPECT_THAT(kept, ElementsAre(1, 3));
  ApplyNMS(kClusters, kScores, 0.6f, -1, &kept);
  EXPECT_THAT(kept, ElementsAre(1, 3, 4, 2));
  ApplyNMS(kClusters, kScores, 0.6f, 2, &kept);
  EXPECT_THAT(kept, ElementsAre(1));
  std::map<int, std::map<int, float>> overlaps;
  ApplyNMS(kClusters, kScores, 0.5f, -1, true, &overlaps, &kept);
  EXPECT_THAT(kept, ElementsAre(1, 3, 4));
  EXPECT_FLOAT_EQ(overlaps[0][1], 9.f / 11);
  overlaps[1][4] = 0.9f;  // which is believed
  ApplyNMS(kClusters, kScores, 0.5f, -1, true, &overlaps, &kept);
  EXPECT_THAT(kept, ElementsAre(1, 3));
  const bool overlapped[] = {true, true, false, true, true, false, false, false, true};
  ApplyNMS(overlapped, 3, &kept);
  EXPECT_THAT(kept, ElementsAre(0, 2));
}

TEST(NmsTest, FastLeavesOutLowScoresAndAdapts) {
  std::vector<int> kept;
  ApplyNMSFast(kClusters, kScores, 0.5f, 0.5f, 1, -1, &kept);
  EXPECT_THAT(kept, ElementsAre(1, 3, 4));
  ApplyNMSFast(kClusters, kScores, 0.6f, 0.9f, 1, -1, &kept);
  EXPECT_THAT(kept, ElementsAre(1, 0, 3));  // above 0.6, not at it
  ApplyNMSFast(kClusters, kScores, 0, 0.85f, 0.5f, -1, &kept);
  EXPECT_THAT(kept, ElementsAre(1, 3, 4));  // 0.425 after the first
  ApplyNMSFast(kClusters, kScores, 0, 0.5f, 0.1f, -1, &kept);
  EXPECT_THAT(kept, ElementsAre(1, 3, 4));  // 0.5 stays
  std::vector<double> corners, scores(kScores.begin(), kScores.end());
  for (const NormalizedBBox& box : kClusters) {
    for (double corner : Corners(box)) corners.push_back(corner);
  }
  ApplyNMSFast(corners.data(), scores.data(), 5, 0.f, 0.6f, 1, -1, &kept);
  EXPECT_THAT(kept, ElementsAre(1, 3, 4, 2));
  ApplyNMSFast(corners.data(), scores.data(), 5, 0.f, 0.6f, 1, 3, &kept);
  EXPECT_THAT(kept, ElementsAre(1, 3));
}

TEST(NmsTest, EqualScoresStayInOrder) {
  std::vector<std::pair<float, int>> sorted;
  GetMaxScoreIndex(std::vector<float>{0.5f, 0.7f, 0.5f, 0.7f, 0.1f}, 0.2f, 3, &sorted);
  EXPECT_THAT(sorted, ElementsAre(std::make_pair(0.7f, 1), std::make_pair(0.7f, 3),
                                  std::make_pair(0.5f, 0)));
  GetTopKScoreIndex({1, 3, 2}, {7, 8, 9}, 2, &sorted);
  EXPECT_THAT(sorted, ElementsAre(std::make_pair(3.f, 8), std::make_pair(2.f, 9)));
}

TEST(AveragePrecisionTest, ThreeVersions) {
  // Right, wrong, right of two objects: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
  const std::vector<std::pair<float, int>> tp = {{0.9f, 1}, {0.7f, 1}, {0.8f, 0}},
                                           fp = {{0.9f, 0}, {0.7f, 0}, {0.8f, 1}};
  std::vector<float> precision, recall;
  float ap;
  ComputeAP(tp, 2, fp, "Integral", &precision, &recall, &ap);
  EXPECT_FLOAT_EQ(ap, 0.5f + 0.5f * 2 / 3);
  EXPECT_THAT(recall, ElementsAre(0.5f, 0.5f, 1));
  EXPECT_FLOAT_EQ(precision[2], 2.f / 3);
  ComputeAP(tp, 2, fp, "MaxIntegral", &precision, &recall, &ap);
  EXPECT_FLOAT_EQ(ap, 0.5f + 0.5f * 2 / 3);
  ComputeAP(tp, 2, fp, "11point", &precision, &recall, &ap);
  EXPECT_FLOAT_EQ(ap, (6 + 5 * 2.f / 3) / 11);
  EXPECT_THAT(MessageOf([&] { ComputeAP(tp, 2, fp, "x", &precision, &recall, &ap); }),
              HasSubstr("11point, MaxIntegral or Integral"));
  ComputeAP({}, 2, {}, "Integral", &precision, &recall, &ap);
  EXPECT_EQ(ap, 0);
}

TEST(GroundTruthTest, ByImageAndLabel) {
  const float rows[] = {0,  2, 0, 0.1f, 0.2f, 0.3f, 0.4f, 0,  //
                        1,  1, 0, 0.0f, 0.0f, 0.5f, 0.5f, 1,  //
                        -1, 0, 0, 0,    0,    0,    0,    0,  //
                        0,  1, 1, 0.5f, 0.5f, 1.0f, 1.0f, 0};
  std::map<int, std::vector<NormalizedBBox>> by_image;
  GetGroundTruth(rows, 4, 0, true, &by_image);
  ASSERT_EQ(by_image.size(), 2u);
  ASSERT_EQ(by_image[0].size(), 2u);
  EXPECT_EQ(by_image[0][0].label(), 2);
  ExpectBox(by_image[0][0], {0.1, 0.2, 0.3, 0.4});
  EXPECT_FLOAT_EQ(by_image[0][1].size(), 0.25f);
  EXPECT_TRUE(by_image[1][0].difficult());
  std::map<int, LabelBBox> by_label;
  GetGroundTruth(rows, 4, 0, false, &by_label);
  EXPECT_EQ(by_label.size(), 1u);
  EXPECT_EQ(by_label[0][1].size(), 1u);
  EXPECT_THAT(MessageOf([&] { GetGroundTruth(rows, 4, 2, true, &by_image); }),
              HasSubstr("an object of image 0 has label 2"));
}

TEST(MatchTest, BestPairsFirstThenByThreshold) {
  // Overlaps with objects:   0      1
  const std::vector<NormalizedBBox> priors = {
      Box(0, 0, 10, 10),   // 1      0
      Box(0, 0, 10, 8),    // 0.8    0
      Box(0, 0, 10, 4),    // 0.4    0
      Box(20, 0, 30, 3),   // 0      0.3
      Box(20, 0, 30, 1),   // 0      0.1
      Box(50, 50, 51, 51)  // 0      0
  };
  const std::vector<NormalizedBBox> objects = {Box(0, 0, 10, 10, 1),
                                               Box(20, 0, 30, 10, 2)};
  std::vector<int> matches;
  std::vector<float> overlaps;
  MatchBBox(objects, priors, -1, MultiBoxLossParameter::BIPARTITE, 0.5f, false, &matches,
            &overlaps);
  EXPECT_THAT(matches, ElementsAre(0, -1, -1, 1, -1, -1));
  EXPECT_FLOAT_EQ(overlaps[1], 0.8f);
  EXPECT_FLOAT_EQ(overlaps[4], 0.1f);
  MatchBBox(objects, priors, -1, MultiBoxLossParameter::PER_PREDICTION, 0.5f, false,
            &matches, &overlaps);
  EXPECT_THAT(matches, ElementsAre(0, 0, -1, 1, -1, -1));
  MatchBBox(objects, priors, 2, MultiBoxLossParameter::PER_PREDICTION, 0.05f, false,
            &matches, &overlaps);
  EXPECT_THAT(matches, ElementsAre(-1, -1, -1, 1, 1, -1));
  MatchBBox(objects, priors, 3, MultiBoxLossParameter::PER_PREDICTION, 0, false, &matches,
            &overlaps);
  EXPECT_THAT(matches, ElementsAre(-1, -1, -1, -1, -1, -1));
  // All but none of these lie inside the unit square.
  MatchBBox(objects, priors, -1, MultiBoxLossParameter::BIPARTITE, 0.5f, true, &matches,
            &overlaps);
  EXPECT_THAT(matches, ElementsAre(-2, -2, -2, -2, -2, -2));
  // Two objects want one prior: the better pair has it, the other the next best.
  MatchBBox({Box(0, 0, 10, 9), Box(0, 0, 10, 10)}, priors, -1,
            MultiBoxLossParameter::BIPARTITE, 0.5f, false, &matches, &overlaps);
  EXPECT_THAT(matches, ElementsAre(1, 0, -1, -1, -1, -1));
}

class MiningTest : public ::testing::Test {
 protected:
  // One image of four priors in a row, two classes, and an object at prior 1.
  void SetUp() override {
    param_.set_num_classes(2);
    for (int p = 0; p < 4; ++p) {
      priors_.push_back(Box(0.25f * p, 0, 0.25f * (p + 1), 1));
      variances_.push_back({0.1f, 0.1f, 0.2f, 0.2f});
    }
    objects_[0] = {Box(0.25f, 0, 0.5f, 1, 1)};
    conf_.Reshape({1, 8});
    // Background is the right answer for 0, 2 and 3: their losses grow with class 1's.
    const float scores[] = {0, 1, 0, 0, 0, 3, 0, 2};
    std::copy_n(scores, 8, conf_.mutable_cpu_data());
    predictions_.resize(1);
    predictions_[0][-1].assign(4, Box(0, 0, 0, 0));
    FindMatches(predictions_, objects_, priors_, variances_, param_, &overlaps_,
                &matches_);
    ASSERT_THAT(matches_[0][-1], ElementsAre(-1, 0, -1, -1));
  }
  void Mine() {
    MineHardExamples(conf_, predictions_, objects_, priors_, variances_, overlaps_,
                     param_, &num_matches_, &num_negs_, &matches_, &negatives_);
  }

  MultiBoxLossParameter param_;
  std::vector<NormalizedBBox> priors_;
  std::vector<std::vector<float>> variances_;
  std::map<int, std::vector<NormalizedBBox>> objects_;
  Blob<float> conf_;
  std::vector<LabelBBox> predictions_;
  std::vector<std::map<int, std::vector<float>>> overlaps_;
  std::vector<std::map<int, std::vector<int>>> matches_;
  std::vector<std::vector<int>> negatives_;
  int num_matches_ = 0, num_negs_ = 0;
};

TEST_F(MiningTest, TheNegativesWithTheLargestLoss) {
  param_.set_neg_pos_ratio(2);
  Mine();
  EXPECT_EQ(num_matches_, 1);
  EXPECT_EQ(num_negs_, 2);
  EXPECT_THAT(negatives_[0], ElementsAre(2, 3));
}

TEST_F(MiningTest, OverlapsAndNoMining) {
  overlaps_[0][-1][2] = 0.6f;  // of half an object: no negative
  Mine();
  EXPECT_THAT(negatives_[0], ElementsAre(0, 3));
  negatives_.clear();
  param_.set_mining_type(MultiBoxLossParameter::NONE);
  Mine();
  EXPECT_EQ(num_matches_, 1);
  EXPECT_TRUE(negatives_.empty());
}

TEST_F(MiningTest, HardExamplesMayDropAMatch) {
  param_.set_mining_type(MultiBoxLossParameter::HARD_EXAMPLE);
  param_.set_sample_size(2);
  Mine();
  // Losses: log(1 + e^1), log 2, log(1 + e^3), log(1 + e^2).
  EXPECT_EQ(num_matches_, 0);
  EXPECT_THAT(matches_[0][-1], ElementsAre(-1, -1, -1, -1));
  EXPECT_THAT(negatives_[0], ElementsAre(2, 3));
}

TEST_F(MiningTest, RowsOfTheLosses) {
  param_.set_neg_pos_ratio(2);
  Mine();
  float scores[6] = {}, labels[3] = {9, 9, 9};
  EncodeConfPrediction(conf_.cpu_data(), 1, 4, param_, matches_, negatives_, objects_,
                       scores, labels);
  EXPECT_THAT(scores, ElementsAre(0, 0, 0, 3, 0, 2));
  EXPECT_THAT(labels, ElementsAre(1, 0, 0));
  param_.set_conf_loss_type(MultiBoxLossParameter::LOGISTIC);
  float targets[6] = {};
  EncodeConfPrediction(conf_.cpu_data(), 1, 4, param_, matches_, negatives_, objects_,
                       scores, targets);
  EXPECT_THAT(targets, ElementsAre(0, 1, 1, 0, 1, 0));
  param_.set_mining_type(MultiBoxLossParameter::NONE);
  float all[8] = {};
  EncodeConfPrediction(conf_.cpu_data(), 1, 4, param_, matches_, negatives_, objects_,
                       scores, all);
  EXPECT_THAT(all, ElementsAre(0, 0, 0, 1, 0, 0, 0, 0));

  predictions_[0][-1][1] = Box(0.1f, 0.2f, 0.3f, 0.4f);
  param_.set_code_type(PriorBoxParameter::CENTER_SIZE);
  float predicted[4], wanted[4];
  EncodeLocPrediction(predictions_, objects_, matches_, priors_, variances_, param_,
                      predicted, wanted);
  EXPECT_THAT(predicted, ElementsAre(0.1f, 0.2f, 0.3f, 0.4f));
  EXPECT_THAT(wanted, ElementsAre(0, 0, 0, 0));
  Blob<float> p({1, 4}), w({1, 4});
  const float values[] = {0.5f, 2, -3, 0};
  std::copy_n(values, 4, p.mutable_cpu_data());
  caffe_set(4, 0.f, w.mutable_cpu_data());
  std::vector<std::vector<float>> losses;
  ComputeLocLoss(p, w, matches_, 1, 4, MultiBoxLossParameter::SMOOTH_L1, &losses);
  EXPECT_THAT(losses[0], ElementsAre(0, 0.125f + 1.5f + 2.5f, 0, 0));
  losses.clear();
  ComputeLocLoss(p, w, matches_, 1, 4, MultiBoxLossParameter::L2, &losses);
  EXPECT_THAT(losses[0], ElementsAre(0, 0.125f + 2 + 4.5f, 0, 0));
}

TEST(ConfidenceLossTest, IsThatOfTheLabel) {
  const double scores[] = {0.3, -1.2, 2.5, 40, -40, 0};
  std::vector<std::vector<float>> losses;
  ComputeConfLoss(scores, 1, 2, 3, 1, MultiBoxLossParameter::SOFTMAX, &losses);
  const double first =
      -std::log(std::exp(-1.2) / (std::exp(0.3) + std::exp(-1.2) + std::exp(2.5)));
  EXPECT_FLOAT_EQ(losses[0][0], static_cast<float>(first));
  EXPECT_FLOAT_EQ(losses[0][1], 80);
  ComputeConfLoss(scores, 1, 2, 3, 1, MultiBoxLossParameter::LOGISTIC, &losses);
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  EXPECT_FLOAT_EQ(losses[0][0], static_cast<float>(-std::log(1 - sigmoid(0.3)) -
                                                   std::log(sigmoid(-1.2)) -
                                                   std::log(1 - sigmoid(2.5))));
  EXPECT_FLOAT_EQ(losses[0][1], static_cast<float>(80 + std::log(2.0)));
}

}  // namespace
}  // namespace test
}  // namespace caffe
