#include <cmath>
#include <string>
#include <vector>

#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Output(const std::string& param) {
  return "name: 'd' type: 'DetectionOutput' bottom: 'loc' bottom: 'conf' bottom: "
         "'priors' detection_output_param {" +
         param + "}";
}

constexpr int kPriors = 4;
// Two that overlap by 9 / 11, one by 1 / 3 with the second of them, one apart.
constexpr double kBoxes[kPriors][4] = {
    {0, 0, 0.5, 0.5}, {0, 0.05, 0.5, 0.55}, {0, 0.3, 0.5, 0.8}, {0.6, 0.6, 0.9, 0.9}};

/// Priors at kBoxes with variances 0.1, 0.1, 0.2, 0.2, offsets of 0 unless set.
template <typename T>
struct Detections {
  Detections(const std::string& param, int classes, const std::vector<double>& scores,
             int loc_classes = 1, int images = 1)
      : run(Output(param), {{images, kPriors * loc_classes * 4},
                            {images, kPriors * classes},
                            {1, 2, kPriors * 4}}) {
    FillWith(run.bottom[0], Half::kData, [](int) { return 0; });
    FillWith(run.bottom[1], Half::kData, [&](int i) { return scores[i]; });
    FillWith(run.bottom[2], Half::kData, [](int i) {
      if (i < kPriors * 4) return kBoxes[i / 4][i % 4];
      return i % 4 < 2 ? 0.1 : 0.2;
    });
  }

  std::vector<Doubles> Rows() {
    run.Forward();
    EXPECT_EQ(run.top[0]->num_axes(), 4);
    const Doubles values = run.Top();
    std::vector<Doubles> rows;
    for (std::size_t i = 0; i < values.size(); i += 7) {
      rows.emplace_back(values.begin() + i, values.begin() + i + 7);
    }
    return rows;
  }

  LayerRun<T> run;
};

void ExpectRow(const Doubles& row, int image, int label, double score,
               const double* box) {
  ExpectClose(row, {double(image), double(label), score, box[0], box[1], box[2], box[3]},
              ToleranceOf<float>(OpKind::kTranscendental), "row");
}

template <typename T>
class DetectionOutputLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(DetectionOutputLayerTest, Types);

// Background and two classes, by prior.
const std::vector<double> kScores = {0.1, 0.8,  0.1,  //
                                     0.0, 0.9,  0.1,  //
                                     0.2, 0.6,  0.2,  //
                                     0.3, 0.05, 0.65};

TYPED_TEST(DetectionOutputLayerTest, TheBestOfWhatOverlaps) {
  Detections<TypeParam> d(
      "num_classes: 3 confidence_threshold: 0.15 code_type: "
      "CENTER_SIZE nms_param { nms_threshold: 0.45 }",
      3, kScores);
  const auto rows = d.Rows();
  ASSERT_EQ(rows.size(), 4u);
  ExpectRow(rows[0], 0, 1, 0.9, kBoxes[1]);
  ExpectRow(rows[1], 0, 1, 0.6, kBoxes[2]);
  ExpectRow(rows[2], 0, 2, 0.65, kBoxes[3]);
  ExpectRow(rows[3], 0, 2, 0.2, kBoxes[2]);
}

TYPED_TEST(DetectionOutputLayerTest, KeepsTheBestOfAnImageByClass) {
  Detections<TypeParam> d(
      "num_classes: 3 confidence_threshold: 0.15 code_type: CORNER "
      "nms_param { nms_threshold: 0.45 } keep_top_k: 2",
      3, kScores);
  auto rows = d.Rows();
  ASSERT_EQ(rows.size(), 2u);
  ExpectRow(rows[0], 0, 1, 0.9, kBoxes[1]);
  ExpectRow(rows[1], 0, 2, 0.65, kBoxes[3]);
  Detections<TypeParam> first("num_classes: 3 nms_param { nms_threshold: 1 top_k: 1 }", 3,
                              kScores);
  rows = first.Rows();
  ASSERT_EQ(rows.size(), 2u);
  ExpectRow(rows[0], 0, 1, 0.9, kBoxes[1]);
  ExpectRow(rows[1], 0, 2, 0.65, kBoxes[3]);
}

TYPED_TEST(DetectionOutputLayerTest, DecodesOffsets) {
  // Of the last prior (centre (0.75, 0.75), 0.3 x 0.3) alone.
  const std::vector<double> scores = {1, 0, 1, 0, 1, 0, 0, 1};
  const double offset[] = {0.5, -1, 0.7, -0.4};
  for (const bool in_target : {false, true}) {
    Detections<TypeParam> d(
        Str("num_classes: 2 confidence_threshold: 0.5 code_type: CENTER_SIZE "
            "variance_encoded_in_target: ",
            in_target ? "true" : "false"),
        2, scores);
    FillWith(d.run.bottom[0], Half::kData,
             [&](int i) { return i < 12 ? 0 : offset[i - 12]; });
    const double v = in_target ? 1 : 0.1, u = in_target ? 1 : 0.2;
    const double x = 0.75 + v * 0.5 * 0.3, y = 0.75 - v * 0.3;
    const double w = 0.3 * std::exp(u * 0.7), h = 0.3 * std::exp(u * -0.4);
    const double want[] = {x - w / 2, y - h / 2, x + w / 2, y + h / 2};
    const auto rows = d.Rows();
    ASSERT_EQ(rows.size(), 1u);
    ExpectRow(rows[0], 0, 1, 1, want);
  }
}

TYPED_TEST(DetectionOutputLayerTest, BoxesOfEachClassAndImages) {
  // Two classes, no background; class 1's boxes are moved, and image 1 has other scores.
  std::vector<double> scores(2 * kPriors * 2, 0);
  scores[3 * 2 + 0] = 0.9;      // image 0, prior 3, class 0
  scores[3 * 2 + 1] = 0.8;      // class 1
  scores[8 + 0 * 2 + 1] = 0.7;  // image 1, prior 0
  Detections<TypeParam> d(
      "num_classes: 2 share_location: false background_label_id: -1 "
      "confidence_threshold: 0.5",
      2, scores, 2, 2);
  // (image, prior, class, corner)
  FillWith(d.run.bottom[0], Half::kData,
           [](int i) { return i / 4 % 2 == 1 && i % 4 == 0 ? -1 : 0; });
  const auto rows = d.Rows();
  ASSERT_EQ(rows.size(), 3u);
  const double moved3[] = {0.5, 0.6, 0.9, 0.9}, moved0[] = {-0.1, 0, 0.5, 0.5};
  ExpectRow(rows[0], 0, 0, 0.9, kBoxes[3]);
  ExpectRow(rows[1], 0, 1, 0.8, moved3);
  ExpectRow(rows[2], 1, 1, 0.7, moved0);
}

TYPED_TEST(DetectionOutputLayerTest, SharedBoxesWithoutABackground) {
  Detections<TypeParam> d(
      "num_classes: 1 background_label_id: -1 confidence_threshold: 0.5", 1,
      {0, 0, 0, 0.75});
  const auto rows = d.Rows();
  ASSERT_EQ(rows.size(), 1u);
  ExpectRow(rows[0], 0, 0, 0.75, kBoxes[3]);
}

TYPED_TEST(DetectionOutputLayerTest, ARowForEachImageWithoutAny) {
  Detections<TypeParam> d("num_classes: 2 confidence_threshold: 0.5", 2,
                          std::vector<double>(16, 0.25), 1, 2);
  const auto rows = d.Rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0], (Doubles{0, -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(rows[1], (Doubles{1, -1, -1, -1, -1, -1, -1}));
  EXPECT_NE(ErrorOfAction([&] {
              d.run.layer->Backward(d.run.top, {true, false, false}, d.run.bottom);
            }).find("MultiBoxLoss"),
            std::string::npos);
}

TEST(DetectionOutputLayerTestErrors, SaysWhatIsWrong) {
  const Shapes shapes = {{1, 16}, {1, 8}, {1, 2, 16}};
  const auto expect = [&](const std::string& param, const std::vector<std::string>& parts,
                          const Shapes& bottoms) {
    ExpectLayerError(Output(param), bottoms, 1, parts);
  };
  expect("", {"layer 'd' (DetectionOutput)", "num_classes is missing"}, shapes);
  expect("num_classes: 0", {"num_classes is 0"}, shapes);
  expect("num_classes: 2 nms_param { nms_threshold: -1 }", {"nms_threshold is -1"},
         shapes);
  expect("num_classes: 2 nms_param { eta: 0 }", {"eta is 0"}, shapes);
  expect("num_classes: 2 visualize: true", {"visualize", "writes nothing"}, shapes);
  expect("num_classes: 2 save_output_param { output_directory: 'x' }",
         {"output_directory", "leave it out"}, shapes);
  expect("num_classes: 3", {"bottom[1] 'conf': shape (1, 8)", "expected (N, 12)"},
         shapes);
  expect("num_classes: 2 share_location: false",
         {"bottom[0] 'loc': shape (1, 16)", "expected (N, 32)"}, shapes);
  expect("num_classes: 2", {"bottom[2] 'priors': shape (1, 16)", "(1, 2, 4 P)"},
         {{1, 16}, {1, 8}, {1, 16}});
  expect("num_classes: 2", {"bottom[1] 'conf': shape (2, 8)"},
         {{1, 16}, {2, 8}, {1, 2, 16}});
  expect("num_classes: 2", {"at least 3: offsets"}, {{1, 16}, {1, 8}});
}

}  // namespace
}  // namespace test
}  // namespace caffe
