#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string MultiBoxLoss(const std::string& param, const std::string& more = "") {
  return "name: 'm' type: 'MultiBoxLoss' bottom: 'loc' bottom: 'conf' bottom: 'priors' "
         "bottom: 'objects' " +
         more + " multibox_loss_param { num_classes: 3 " +
         (param.find("code_type") == param.npos ? "code_type: CENTER_SIZE " : "") +
         param + "}";
}

constexpr int kImages = 2, kPriors = 5, kClasses = 3;
// The quarters of the image, and all of it.
constexpr double kBoxes[kPriors][4] = {
    {0, 0, 0.5, 0.5}, {0.5, 0, 1, 0.5}, {0, 0.5, 0.5, 1}, {0.5, 0.5, 1, 1}, {0, 0, 1, 1}};
constexpr double kVariance[4] = {0.1, 0.1, 0.2, 0.2};
// (image, class, instance, xmin, ymin, xmax, ymax, difficult). Overlaps: the first with
// prior 0 by 0.72; the second with prior 4 by 0.9, with 0 and 1 by 0.28, with the others
// by 0.21; the third with prior 3 by 0.9, with 4 by 0.225.
constexpr double kObjects[3][8] = {{0, 1, 0, 0.05, 0.05, 0.45, 0.5, 0},
                                   {0, 2, 0, 0, 0, 1, 0.9, 0},
                                   {1, 1, 1, 0.5, 0.5, 0.95, 1, 0}};

struct Match {
  int image, prior, object;
};

/// What is to come out, by matches and negatives (image, prior) that the test names.
struct Expected {
  double loss = 0;
  Doubles loc_diff, conf_diff;
};

struct Form {
  double loc_weight = 1;
  bool l2 = false, logistic = false, variance_in_target = false;
  int loc_classes = 1;
  int negatives = 0;  // their class
};

Expected Reference(const Doubles& loc, const Doubles& conf,
                   const std::vector<Match>& matches,
                   const std::vector<std::pair<int, int>>& negatives, double norm,
                   const Form& form = {}) {
  Expected out;
  out.loc_diff.assign(loc.size(), 0);
  out.conf_diff.assign(conf.size(), 0);
  for (const Match& m : matches) {
    const double* p = kBoxes[m.prior];
    const double* o = kObjects[m.object] + 3;
    const int loc_class = form.loc_classes == 1 ? 0 : int(kObjects[m.object][1]);
    for (int k = 0; k < 4; ++k) {
      const int a = k % 2;
      const double size = p[a + 2] - p[a];
      double want = k < 2 ? ((o[a] + o[a + 2]) - (p[a] + p[a + 2])) / 2 / size
                          : std::log((o[a + 2] - o[a]) / size);
      want /= kVariance[k];
      const int at =
          ((m.image * kPriors + m.prior) * form.loc_classes + loc_class) * 4 + k;
      const double factor = form.variance_in_target ? 1 / kVariance[k] : 1;
      const double d = loc[at] * factor - want;
      const bool square = form.l2 || std::fabs(d) < 1;
      out.loss += form.loc_weight * (square ? d * d / 2 : std::fabs(d) - 0.5);
      out.loc_diff[at] = form.loc_weight * factor * (square ? d : d > 0 ? 1 : -1) / norm;
    }
  }
  const auto score = [&](int image, int prior, int label) {
    const double* x = conf.data() + (image * kPriors + prior) * kClasses;
    double* dx = out.conf_diff.data() + (image * kPriors + prior) * kClasses;
    double sum = 0;
    for (int c = 0; c < kClasses; ++c) sum += std::exp(x[c]);
    for (int c = 0; c < kClasses; ++c) {
      const double target = c == label;
      const double p = form.logistic ? 1 / (1 + std::exp(-x[c])) : std::exp(x[c]) / sum;
      if (form.logistic) {
        out.loss -= target * std::log(p) + (1 - target) * std::log(1 - p);
      } else {
        out.loss -= target * std::log(p);
      }
      dx[c] = (p - target) / norm;
    }
  };
  for (const Match& m : matches) score(m.image, m.prior, int(kObjects[m.object][1]));
  for (const auto& [image, prior] : negatives) score(image, prior, form.negatives);
  out.loss /= norm;
  return out;
}

template <typename T>
struct Detector {
  explicit Detector(const std::string& text, int loc_classes = 1)
      : run(text, {{kImages, kPriors * loc_classes * 4},
                   {kImages, kPriors * kClasses},
                   {1, 2, kPriors * 4},
                   {1, 1, 3, 8}}) {
    Fill(run.bottom[0], 3);
    // The larger the score of the background, the smaller its loss: of the priors
    // without a match, 1 and 3 have the largest in image 0, and 2 in image 1.
    const double background[] = {0, -2,  1,  -1, 0.5,  //
                                 1, 0.5, -2, 0,  2};
    FillWith(run.bottom[1], Half::kData, [&](int i) {
      return i % 3 == 0 ? background[i / 3] : 0.25 * (i % 3) + 0.01 * i;
    });
    FillWith(run.bottom[2], Half::kData, [](int i) {
      return i < kPriors * 4 ? kBoxes[i / 4][i % 4] : kVariance[i % 4];
    });
    FillWith(run.bottom[3], Half::kData, [](int i) { return kObjects[i / 8][i % 8]; });
  }

  void Expect(const std::vector<Match>& matches,
              const std::vector<std::pair<int, int>>& negatives, double norm,
              const Form& form = {}) {
    run.Forward();
    run.Backward({true, true, false, false});
    const Expected want =
        Reference(run.Bottom(0), run.Bottom(1), matches, negatives, norm, form);
    // Boxes are compared and encoded in float.
    const Tolerance close = ToleranceOf<float>(OpKind::kReduction, 64);
    ExpectClose(run.Top(), {want.loss}, close, "loss");
    ExpectClose(run.BottomDiff(0), want.loc_diff, close, "dloc");
    ExpectClose(run.BottomDiff(1), want.conf_diff, close, "dconf");
  }

  LayerRun<T> run;
};

template <typename T>
class MultiBoxLossLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(MultiBoxLossLayerTest, Types);

const std::vector<Match> kMatches = {{0, 0, 0}, {0, 4, 1}, {1, 3, 2}};

TYPED_TEST(MultiBoxLossLayerTest, TheHardestNegativesByRatio) {
  Detector<TypeParam>(MultiBoxLoss("neg_pos_ratio: 1"))
      .Expect(kMatches, {{0, 1}, {0, 3}, {1, 2}}, 3);
  Detector<TypeParam>(MultiBoxLoss("neg_pos_ratio: 0")).Expect(kMatches, {}, 3);
  Detector<TypeParam>(MultiBoxLoss("loc_weight: 2.5"))
      .Expect(kMatches, {{0, 1}, {0, 2}, {0, 3}, {1, 0}, {1, 1}, {1, 2}}, 3,
              {.loc_weight = 2.5});
}

TYPED_TEST(MultiBoxLossLayerTest, NegativesOverlapNoObject) {
  // Prior 4 of image 1 overlaps the object by 0.225.
  Detector<TypeParam>(MultiBoxLoss("neg_pos_ratio: 9 neg_overlap: 0.2"))
      .Expect(kMatches, {{1, 0}, {1, 1}, {1, 2}}, 3);
}

TYPED_TEST(MultiBoxLossLayerTest, AllThatOverlapEnoughBelongToAnObject) {
  std::vector<Match> more = kMatches;
  more.push_back({0, 1, 1});
  Detector<TypeParam>(MultiBoxLoss("overlap_threshold: 0.25 neg_pos_ratio: 0"))
      .Expect(more, {}, 4);
  Detector<TypeParam>(
      MultiBoxLoss("overlap_threshold: 0.25 match_type: BIPARTITE neg_pos_ratio: 0"))
      .Expect(kMatches, {}, 3);
}

TYPED_TEST(MultiBoxLossLayerTest, AllWithoutMining) {
  std::vector<std::pair<int, int>> rest = {{0, 1}, {0, 2}, {0, 3}, {1, 0},
                                           {1, 1}, {1, 2}, {1, 4}};
  for (const std::string mining : {"mining_type: NONE", "do_neg_mining: false"}) {
    Detector<TypeParam>(MultiBoxLoss(mining)).Expect(kMatches, rest, 3);
  }
  Detector<TypeParam>(MultiBoxLoss("mining_type: NONE loc_loss_type: L2"))
      .Expect(kMatches, rest, 3, {.l2 = true});
  Detector<TypeParam>(MultiBoxLoss("mining_type: NONE conf_loss_type: LOGISTIC"))
      .Expect(kMatches, rest, 3, {.logistic = true, .negatives = -1});
  Detector<TypeParam>(MultiBoxLoss("neg_pos_ratio: 9 conf_loss_type: LOGISTIC"))
      .Expect(kMatches, rest, 3, {.logistic = true});
  Detector<TypeParam>(MultiBoxLoss("mining_type: NONE share_location: false"), kClasses)
      .Expect(kMatches, rest, 3, {.loc_classes = kClasses});
}

TYPED_TEST(MultiBoxLossLayerTest, EncodesVariancesInTheTarget) {
  Detector<TypeParam>(MultiBoxLoss("neg_pos_ratio: 0 encode_variance_in_target: true"))
      .Expect(kMatches, {}, 3, {.variance_in_target = true});
}

TYPED_TEST(MultiBoxLossLayerTest, Normalizes) {
  for (const auto& [mode, norm] : {std::pair<std::string, double>{"FULL", 10},
                                   {"BATCH_SIZE", 2},
                                   {"NONE", 1},
                                   {"VALID", 3}}) {
    SCOPED_TRACE(mode);
    Detector<TypeParam>(
        MultiBoxLoss("neg_pos_ratio: 0", "loss_param { normalization: " + mode + "}"))
        .Expect(kMatches, {}, norm);
  }
}

TYPED_TEST(MultiBoxLossLayerTest, NothingWithoutObjects) {
  Detector<TypeParam> d(MultiBoxLoss(""));
  FillWith(d.run.bottom[3], Half::kData, [](int) { return -1; });
  d.Expect({}, {}, 1);
  Detector<TypeParam> all(MultiBoxLoss("mining_type: NONE"));
  FillWith(all.run.bottom[3], Half::kData, [](int) { return -1; });
  std::vector<std::pair<int, int>> every;
  for (int i = 0; i < kImages * kPriors; ++i) every.push_back({i / kPriors, i % kPriors});
  all.Expect({}, every, 1);
}

TYPED_TEST(MultiBoxLossLayerTest, HardExamplesAreThoseWithTheLargestLosses) {
  // As many as there are: all of them, matches and negatives.
  Detector<TypeParam>(MultiBoxLoss("mining_type: HARD_EXAMPLE sample_size: 99"))
      .Expect(kMatches, {{0, 1}, {0, 2}, {0, 3}, {1, 0}, {1, 1}, {1, 2}, {1, 4}}, 3);
  // Matched priors have the loss of their offsets, too, which is large here.
  Detector<TypeParam> d(MultiBoxLoss("mining_type: HARD_EXAMPLE sample_size: 2"));
  FillWith(d.run.bottom[0], Half::kData, [](int i) {
    return i / 4 == 4 || i / 4 == 8 ? 20 : i / 4 == 0 ? 10 : 0;
  });
  d.Expect(kMatches, {{1, 2}}, 3);
}

TEST(MultiBoxLossLayerTestDouble, Gradient) {
  for (const std::string param :
       {"neg_pos_ratio: 1", "mining_type: NONE", "mining_type: NONE loc_loss_type: L2",
        "mining_type: NONE conf_loss_type: LOGISTIC",
        "neg_pos_ratio: 1 encode_variance_in_target: true loc_loss_type: L2"}) {
    SCOPED_TRACE(param);
    Detector<double> d(MultiBoxLoss(param));
    d.run.SetUp();
    for (const int bottom : {0, 1}) {
      GradientChecker().CheckGradientExhaustive(d.run.layer.get(), d.run.bottom,
                                                d.run.top, bottom);
    }
  }
}

// CORNER with variances of 1: an offset is the way from the prior's corner.
TEST(MultiBoxLossLayerTestDouble, CornersOutsideOfTheImageLearnNothing) {
  const auto diff = [](const std::string& param) {
    Detector<double> d(
        MultiBoxLoss("code_type: CORNER use_prior_for_matching: false "
                     "neg_pos_ratio: 0 match_type: BIPARTITE " +
                     param));
    FillWith(d.run.bottom[0], Half::kData, [](int i) { return i == 0 ? -1 : 0.01; });
    d.run.Forward();
    d.run.Backward({true, true, false, false});
    return d.run.BottomDiff(0);
  };
  const Doubles with = diff("bp_inside: true"), without = diff("");
  EXPECT_NE(without[0], 0);
  EXPECT_EQ(with[0], 0);
  EXPECT_EQ(with[1], without[1]);
}

TEST(MultiBoxLossLayerTestErrors, SaysWhatIsWrong) {
  const Shapes shapes = {{2, 20}, {2, 15}, {1, 2, 20}, {1, 1, 3, 8}};
  const std::string who = "layer 'm' (MultiBoxLoss)";
  ExpectLayerError(
      "name: 'm' type: 'MultiBoxLoss' bottom: 'a' bottom: 'b' bottom: 'c' "
      "bottom: 'd'",
      shapes, 1, {who, "num_classes is missing"});
  ExpectLayerError(MultiBoxLoss("background_label_id: 3"), shapes, 1,
                   {who, "background_label_id is 3, expected 0 to 2"});
  ExpectLayerError(MultiBoxLoss("share_location: false"), shapes, 1,
                   {who, "share_location false", "expected NONE"});
  ExpectLayerError(MultiBoxLoss("do_neg_mining: true mining_type: NONE"), shapes, 1,
                   {"do_neg_mining and mining_type"});
  ExpectLayerError(MultiBoxLoss("map_object_to_agnostic: true"), shapes, 1,
                   {"expected num_classes 2"});
  ExpectLayerError(MultiBoxLoss(""), {{2, 16}, {2, 15}, {1, 2, 20}, {1, 1, 3, 8}}, 1,
                   {"bottom[0] 'loc': shape (2, 16), expected (N, 20)"});
  ExpectLayerError(MultiBoxLoss(""), {{2, 20}, {2, 15}, {1, 2, 20}, {3, 7}}, 1,
                   {"bottom[3] 'objects': shape (3, 7), expected (1, 1, G, 8)"});
  const auto with = [&](int place, double value) {
    return ErrorOfAction([&] {
      Detector<float> d(MultiBoxLoss(""));
      FillWith(d.run.bottom[3], Half::kData,
               [=](int i) { return i == place ? value : kObjects[i / 8][i % 8]; });
      d.run.Forward();
    });
  };
  EXPECT_NE(with(16, 2).find("object 2 is in image 2, expected 0 to 1"),
            std::string::npos);
  EXPECT_NE(with(9, 3).find("object 1 has class 3, expected 0 to 2"), std::string::npos);
  EXPECT_NE(with(3, NAN).find("object 0 has a value that is no number"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
