#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "data/data_layer_fixture.hpp"

namespace caffe {
namespace test {
namespace {

constexpr int kTall = 48, kWide = 64;
constexpr int kBright = 200;
// Left, top, right, bottom of the object in image i, in pixels.
std::vector<int> Corners(int i) {
  const int left = 4 + 7 * (i % 5), top = 3 + 5 * (i % 4);
  return {left, top, left + 12 + i % 7, top + 14 + i % 3};
}

void AddBox(AnnotatedDatum* entry, int label, const std::vector<int>& corners,
            bool difficult = false) {
  AnnotationGroup* group = entry->add_annotation_group();
  group->set_group_label(label);
  Annotation* annotation = group->add_annotation();
  annotation->set_instance_id(label + 10);
  NormalizedBBox* box = annotation->mutable_bbox();
  box->set_xmin(corners[0] / float(kWide));
  box->set_ymin(corners[1] / float(kTall));
  box->set_xmax(corners[2] / float(kWide));
  box->set_ymax(corners[3] / float(kTall));
  box->set_difficult(difficult);
}

/// Dark, with a bright object of class i + 1.
AnnotatedDatum Entry(int i, bool encoded = false, int channels = 3) {
  AnnotatedDatum entry;
  entry.set_type(AnnotatedDatum_AnnotationType_BBOX);
  const std::vector<int> c = Corners(i);
  AddBox(&entry, i + 1, c, i % 2 == 1);
  Datum* datum = entry.mutable_datum();
  datum->set_label(100 + i);
  if (encoded) {
    cv::Mat image(kTall, kWide, CV_8UC3, cv::Scalar::all(0));
    image(cv::Rect(c[0], c[1], c[2] - c[0], c[3] - c[1])) = cv::Scalar::all(kBright);
    std::vector<uchar> bytes;
    EXPECT_TRUE(cv::imencode(".png", image, bytes));
    datum->set_data(std::string(bytes.begin(), bytes.end()));
    datum->set_encoded(true);
    return entry;
  }
  datum->set_channels(channels);
  datum->set_height(kTall);
  datum->set_width(kWide);
  for (int k = 0; k < channels * kTall * kWide; ++k) {
    const int x = k % kWide, y = k / kWide % kTall;
    const bool in = x >= c[0] && x < c[2] && y >= c[1] && y < c[3];
    datum->mutable_data()->push_back(static_cast<char>(in ? kBright : 0));
  }
  return entry;
}

template <typename T>
class AnnotatedDataLayerTest : public DataLayerFixture<T> {
 protected:
  void Write(const std::vector<AnnotatedDatum>& all) {
    Entries entries;
    for (std::size_t i = 0; i < all.size(); ++i) {
      entries.emplace_back(Key(static_cast<int>(i)), all[i].SerializeAsString());
    }
    std::filesystem::remove_all(this->folder_ / "db");
    WriteDatabase(this->folder_ / "db", entries);
  }
  void Write(int count, bool encoded = false) {
    std::vector<AnnotatedDatum> all;
    for (int i = 0; i < count; ++i) all.push_back(Entry(i, encoded));
    Write(all);
  }
  std::string Layer(const std::string& data_param, const std::string& rest = "") {
    return Str(
        "name: 'data' type: 'AnnotatedData' top: 'data' top: 'label' data_param { "
        "source: '",
        this->folder_ / "db", "' backend: LMDB ", data_param, " } ", rest);
  }
};

typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(AnnotatedDataLayerTest, Types);

TYPED_TEST(AnnotatedDataLayerTest, DeliversImagesAndRows) {
  for (const bool encoded : {false, true}) {
    this->Write(3, encoded);
    DataRun<TypeParam> run(this->Layer("batch_size: 2"));
    EXPECT_EQ(run.top(0)->shape(), (std::vector<int>{2, 3, kTall, kWide}));
    EXPECT_EQ(run.top(1)->shape(), (std::vector<int>{1, 1, 1, 8}));
    for (int batch = 0; batch < 3; ++batch) {
      const DeliveredBatch got = run.Next();
      ASSERT_EQ(run.top(1)->shape(), (std::vector<int>{1, 1, 2, 8}));
      for (int i = 0; i < 2; ++i) {
        const int image = (batch * 2 + i) % 3;
        const std::vector<int> c = Corners(image);
        const double row[8] = {double(i),
                               image + 1.0,
                               image + 11.0,
                               double(c[0] / float(kWide)),
                               double(c[1] / float(kTall)),
                               double(c[2] / float(kWide)),
                               double(c[3] / float(kTall)),
                               double(image % 2)};
        for (int k = 0; k < 8; ++k) EXPECT_EQ(got.labels[i * 8 + k], row[k]) << k;
        for (int k = 0; k < 3 * kTall * kWide; ++k) {
          const int x = k % kWide, y = k / kWide % kTall;
          const bool in = x >= c[0] && x < c[2] && y >= c[1] && y < c[3];
          ASSERT_EQ(got.images[i * 3 * kTall * kWide + k], in ? kBright : 0);
        }
      }
    }
  }
}

TYPED_TEST(AnnotatedDataLayerTest, CountsBoxesOfTheBatch) {
  std::vector<AnnotatedDatum> all = {Entry(0), Entry(1), Entry(2)};
  all[0].clear_annotation_group();
  AddBox(&all[1], 7, {0, 0, 10, 10});
  this->Write(all);
  DataRun<TypeParam> run(this->Layer("batch_size: 1"));
  run.Next();
  EXPECT_EQ(Values(*run.top(1)), Doubles(8, -1));
  EXPECT_EQ(run.Next().labels.size(), 16u);
  EXPECT_EQ(run.top(1)->cpu_data()[8 + 1], 7);
  EXPECT_EQ(run.Next().labels.size(), 8u);
}

TYPED_TEST(AnnotatedDataLayerTest, LabelsWhereNothingIsAnnotated) {
  std::vector<AnnotatedDatum> all = {Entry(0), Entry(1)};
  for (AnnotatedDatum& entry : all) entry.clear_type();
  this->Write(all);
  DataRun<TypeParam> labels(this->Layer("batch_size: 2"));
  EXPECT_EQ(labels.Next().labels, (Doubles{100, 101}));
  EXPECT_EQ(labels.top(1)->shape(), (std::vector<int>{2}));
  DataRun<TypeParam> boxes(
      this->Layer("batch_size: 2", "annotated_data_param { anno_type: BBOX }"));
  EXPECT_EQ(boxes.Next().labels.size(), 16u);
  DataRun<TypeParam> alone(this->Layer("batch_size: 2"), TRAIN, 1);
  EXPECT_EQ(alone.Next().shape[0], 2);
}

/// Corners, in shares, of what is brighter than `threshold` in an image.
std::vector<double> Seen(const double* image, int height, int width, double threshold) {
  double left = width, top = height, right = 0, bottom = 0;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      if (image[y * width + x] <= threshold) continue;
      left = std::min<double>(left, x);
      right = std::max<double>(right, x + 1);
      top = std::min<double>(top, y);
      bottom = std::max<double>(bottom, y + 1);
    }
  }
  return {left / width, top / height, right / width, bottom / height};
}

/// Boxes stay about their objects whatever is done to the images.
TYPED_TEST(AnnotatedDataLayerTest, BoxesMoveWithTheirObjects) {
  const std::string resize = "resize_param { height: 60 width: 90 ";
  const std::string sampler =
      "annotated_data_param { batch_sampler { sampler { min_scale: 0.4 max_scale: 0.9 "
      "min_aspect_ratio: 0.5 max_aspect_ratio: 2 } sample_constraint { "
      "min_object_coverage: 0.6 } max_sample: 1 max_trials: 50 } }";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"mirror: true", ""},
      {"crop_size: 40", ""},
      {"crop_h: 30 crop_w: 44 mirror: true", ""},
      {resize + "}", ""},
      {resize + "resize_mode: FIT_LARGE_SIZE_AND_PAD } mirror: true", ""},
      {resize + "resize_mode: FIT_SMALL_SIZE interp_mode: AREA interp_mode: NEAREST "
                "interp_mode: CUBIC interp_mode: LANCZOS4 } crop_size: 50",
       ""},
      {"expand_param { max_expand_ratio: 2 } " + resize + "}", ""},
      {resize + "}", sampler},
      {"expand_param { prob: 0.5 max_expand_ratio: 1.5 } mean_value: 20 mirror: true "
       "emit_constraint { emit_type: MIN_OVERLAP emit_overlap: 0.3 } " +
           resize + "}",
       sampler}};
  this->Write(8);
  for (const auto& [transform, more] : cases) {
    SCOPED_TRACE(transform);
    DataRun<TypeParam> run(
        this->Layer("batch_size: 8", "transform_param { " + transform + " } " + more));
    int boxes = 0;
    std::set<double> lefts;
    for (int batch = 0; batch < 3; ++batch) {
      const DeliveredBatch got = run.Next();
      const int height = got.shape[2], width = got.shape[3];
      for (std::size_t row = 0; row < got.labels.size(); row += 8) {
        const double* box = &got.labels[row];
        if (box[0] < 0) continue;
        ++boxes;
        lefts.insert(box[3]);
        const auto seen =
            Seen(&got.images[static_cast<std::size_t>(box[0]) * 3 * height * width],
                 height, width, 80);
        for (int k = 0; k < 4; ++k) {
          // A pixel of the source is up to three wide here.
          EXPECT_NEAR(box[3 + k], seen[k], 3.0 / (k % 2 ? height : width)) << k;
        }
      }
    }
    EXPECT_GT(boxes, 12);
    EXPECT_GT(lefts.size(), 4u);
  }
}

TYPED_TEST(AnnotatedDataLayerTest, EmitConstraintsRuleBoxesOut) {
  // The middle 20 x 20 pixels: x from 22 to 42, y from 14 to 34.
  AnnotatedDatum entry = Entry(0);
  entry.clear_annotation_group();
  AddBox(&entry, 1, {12, 20, 30, 30});  // centre outside, 8 / 18 inside
  AddBox(&entry, 2, {16, 20, 30, 30});  // centre inside, 8 / 14 inside
  AddBox(&entry, 3, {0, 0, 10, 10});    // outside
  this->Write({entry});
  const auto labels = [&](const std::string& constraint) {
    DataRun<TypeParam> run(
        this->Layer("batch_size: 1",
                    "transform_param { crop_size: 20 " + constraint + " }"),
        TEST);
    const DeliveredBatch got = run.Next();
    std::vector<int> found;
    for (std::size_t row = 0; row < got.labels.size(); row += 8) {
      found.push_back(static_cast<int>(got.labels[row + 1]));
    }
    return found;
  };
  EXPECT_EQ(labels(""), (std::vector<int>{1, 2}));
  EXPECT_EQ(labels("emit_constraint { emit_type: CENTER }"), (std::vector<int>{2}));
  EXPECT_EQ(labels("emit_constraint { emit_type: MIN_OVERLAP emit_overlap: 0.4 }"),
            (std::vector<int>{1, 2}));
  EXPECT_EQ(labels("emit_constraint { emit_type: MIN_OVERLAP emit_overlap: 0.9 }"),
            (std::vector<int>{-1}));
}

TYPED_TEST(AnnotatedDataLayerTest, Distorts) {
  AnnotatedDatum entry = Entry(0);
  std::string* bytes = entry.mutable_datum()->mutable_data();
  const int plane = kTall * kWide;
  // Blue 40, green 80, red 120: hue 15 of 180, value 120, saturation 170.
  for (int k = 0; k < 3 * plane; ++k)
    (*bytes)[k] = static_cast<char>(40 + k / plane * 40);
  this->Write({entry});
  const auto pixel = [&](const std::string& distort) {
    DataRun<TypeParam> run(this->Layer(
        "batch_size: 1", "transform_param { distort_param { " + distort + " } }"));
    const DeliveredBatch got = run.Next();
    return Doubles{got.images[0], got.images[plane], got.images[2 * plane]};
  };
  EXPECT_EQ(pixel(""), (Doubles{40, 80, 120}));
  EXPECT_EQ(pixel("contrast_prob: 1 contrast_lower: 0.5 contrast_upper: 0.5"),
            (Doubles{20, 40, 60}));
  EXPECT_EQ(pixel("contrast_prob: 1 contrast_lower: 3 contrast_upper: 3"),
            (Doubles{120, 240, 255}));
  const Doubles bright = pixel("brightness_prob: 1 brightness_delta: 30");
  EXPECT_NE(bright[0], 40);
  EXPECT_LE(std::abs(bright[0] - 40), 30);
  EXPECT_EQ(bright[1] - bright[0], 40);
  EXPECT_EQ(bright[2] - bright[1], 40);
  // Grey of the same value.
  EXPECT_EQ(pixel("saturation_prob: 1 saturation_lower: 0 saturation_upper: 0"),
            (Doubles{120, 120, 120}));
  const Doubles hue = pixel("hue_prob: 1 hue_delta: 18");
  EXPECT_EQ(*std::max_element(hue.begin(), hue.end()), 120);
  EXPECT_NEAR(*std::min_element(hue.begin(), hue.end()), 40, 1);
  Doubles order = pixel("random_order_prob: 1");
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, (Doubles{40, 80, 120}));
}

TYPED_TEST(AnnotatedDataLayerTest, GivesEqualBatchesWithAnyNumberOfThreads) {
  this->Write(7, true);
  const auto batches = [&](int threads) {
    Caffe::set_random_seed(5);
    DataRun<TypeParam> run(this->Layer(
        Str("batch_size: 3 decode_threads: ", threads),
        "transform_param { mirror: true expand_param { max_expand_ratio: 2 } "
        "distort_param { brightness_prob: 0.5 brightness_delta: 32 } "
        "resize_param { height: 20 width: 20 } } "
        "annotated_data_param { batch_sampler { max_sample: 1 max_trials: 1 } "
        "batch_sampler { sampler { min_scale: 0.3 } max_sample: 2 } }"));
    return run.Next(5);
  };
  const auto one = batches(1), four = batches(4);
  EXPECT_TRUE(one == four);
  EXPECT_FALSE(one[0] == one[1]);
}

TYPED_TEST(AnnotatedDataLayerTest, BadEntriesAreAsOnBadImageSays) {
  std::vector<AnnotatedDatum> all = {Entry(0), Entry(1), Entry(2)};
  all[1].mutable_annotation_group(0)->mutable_annotation(0)->mutable_bbox()->set_xmin(
      NAN);
  all[2].clear_type();
  this->Write(all);
  DataRun<TypeParam> skip(this->Layer("batch_size: 3 on_bad_image: SKIP"));
  const Doubles rows = skip.Next().labels;
  ASSERT_EQ(rows.size(), 24u);
  EXPECT_EQ(rows[1], 1);
  EXPECT_EQ(rows[9], 1);
  EXPECT_EQ(rows[17], 1);
  DataRun<TypeParam> zero(this->Layer("batch_size: 3 on_bad_image: ZERO"));
  EXPECT_EQ(zero.Next().labels.size(), 8u);
  DataRun<TypeParam> fail(this->Layer("batch_size: 3"));
  ExpectError(ErrorKind::kFile, {"key '00000001'", "expected finite numbers"},
              [&] { fail.Next(); });
}

TYPED_TEST(AnnotatedDataLayerTest, SaysWhatIsWrong) {
  this->Write(1);
  const auto expect = [&](const std::string& transform, const std::string& more,
                          const std::string& part) {
    ExpectError(ErrorKind::kValue, {part}, [&] {
      DataRun<TypeParam> run(
          this->Layer("batch_size: 1", "transform_param { " + transform + " } " + more));
    });
  };
  const auto sampler = [](const std::string& text) {
    return "annotated_data_param { batch_sampler { " + text + " } }";
  };
  expect("resize_param { height: 0 width: 5 }", "", "resize_param has height 0");
  expect("resize_param { height: 5 width: 5 prob: 0.5 }", "", "prob is 0.5, expected 1");
  expect(
      "resize_param { height: 5 width: 5 pad_value: 1 pad_value: 2 "
      "resize_mode: FIT_LARGE_SIZE_AND_PAD }",
      "", "2 values of pad_value, expected 1 or 3");
  expect("max_rotation: 5", "", "max_rotation, which does not move the boxes");
  expect("crop_h: 5", "", "crop_h 5 and crop_w 0");
  expect("crop_h: 5 crop_w: 5 crop_size: 5", "", "crop_size and crop_h");
  expect("crop_size: 50", "", "a crop of 50 x 50 pixels is larger than the image");
  expect("expand_param { max_expand_ratio: 0.5 }", "", "max_expand_ratio is 0.5");
  expect("distort_param { hue_prob: 2 }", "", "hue_prob is 2, expected 0 to 1");
  expect("distort_param { contrast_lower: 2 contrast_upper: 1 }", "",
         "factors of contrast from 2 to 1");
  expect("", sampler("sampler { min_scale: 0 }"), "scales from 0 to 1");
  expect("", sampler("sampler { min_aspect_ratio: 2 }"), "aspect ratios from 2 to 1");
  expect("", sampler("max_trials: 1000000"), "1000000 max_trials in all");
  this->Write({Entry(0, false, 1)});
  expect("distort_param { hue_prob: 1 hue_delta: 9 }", "", "needs 3 channels; it has 1");
  WriteDatums(this->folder_ / "plain", RawDatums(1));
  std::filesystem::remove_all(this->folder_ / "db");
  std::filesystem::rename(this->folder_ / "plain", this->folder_ / "db");
  ExpectError(ErrorKind::kFile, {"no AnnotatedDatum with an image"},
              [&] { DataRun<TypeParam> run(this->Layer("batch_size: 1")); });
}

TYPED_TEST(AnnotatedDataLayerTest, OtherDataLayersRefuseItsFields) {
  WriteDatums(this->folder_ / "db", RawDatums(1));
  for (const std::string field :
       {"resize_param { height: 4 width: 4 }", "distort_param {}", "expand_param {}",
        "emit_constraint {}", "crop_h: 3 crop_w: 3"}) {
    ExpectError(ErrorKind::kValue, {"is for the type AnnotatedData alone"}, [&] {
      DataRun<TypeParam> run(
          this->Text("batch_size: 1", "transform_param { " + field + " }"));
    });
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
