#include "caffe/layers/image_seg_data_layer.hpp"

#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <set>

#include "data/data_run.hpp"
#include "data/data_test.hpp"

namespace caffe {
namespace test {
namespace {

// A pixel's class is known from its value: blue is the row, green the column, red 7.
constexpr int kTall = 6, kWide = 9;
int ClassOf(int row, int column) { return (row * 31 + column * 7) % 250; }

template <typename T>
class ImageSegDataLayerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Caffe::set_random_seed(1701);
    cv::Mat image(kTall, kWide, CV_8UC3), classes(kTall, kWide, CV_8UC1);
    for (int h = 0; h < kTall; ++h) {
      for (int w = 0; w < kWide; ++w) {
        image.at<cv::Vec3b>(h, w) = cv::Vec3b(h, w, 7);
        classes.at<uchar>(h, w) = static_cast<uchar>(ClassOf(h, w));
      }
    }
    ASSERT_TRUE(cv::imwrite(folder_ / "an image.png", image));
    ASSERT_TRUE(cv::imwrite(folder_ / "classes.png", classes));
    ASSERT_TRUE(cv::imwrite(folder_ / "small.png", classes(cv::Rect(0, 0, 3, 3))));
    List("an image.png classes.png\n");
  }

  void List(const std::string& text) { WriteBytes(folder_ / "list.txt", text); }

  std::string Text(const std::string& image_data_param, const std::string& rest = "",
                   const std::string& type = "PIXEL") {
    return Str("name: 'data' type: 'ImageSegData' image_data_param { source: '",
               folder_ / "list.txt", "' root_folder: '", folder_.path(),
               "/' label_type: ", type, " batch_size: 2 ", image_data_param, " } ", rest);
  }

  TemporaryFolder folder_;
};

typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(ImageSegDataLayerTest, Types);

TYPED_TEST(ImageSegDataLayerTest, DeliversImagesAndClasses) {
  for (const int tops : {2, 3}) {
    DataRun<TypeParam> run(this->Text(""), TRAIN, tops);
    EXPECT_EQ(run.top(1)->shape(), (std::vector<int>{2, 1, kTall, kWide}));
    const DeliveredBatch got = run.Next();
    EXPECT_EQ(got.shape, (std::vector<int>{2, 3, kTall, kWide}));
    for (int i = 0; i < 2 * kTall * kWide; ++i) {
      const int place = i % (kTall * kWide);
      EXPECT_EQ(got.labels[i], ClassOf(place / kWide, place % kWide));
    }
    if (tops == 2) continue;
    EXPECT_EQ(run.top(2)->shape(), (std::vector<int>{2, 1, 1, 2}));
    EXPECT_EQ(Values(*run.top(2)), (Doubles{kTall, kWide, kTall, kWide}));
  }
}

/// Whatever is done, a pixel keeps its class, and padding has the mean and no class.
TYPED_TEST(ImageSegDataLayerTest, ClassesFollowTheirPixels) {
  for (const auto& [transform, crop] :
       {std::pair<std::string, int>{"crop_size: 4 mirror: true", 4},
        {"crop_size: 8 mirror: true mean_value: 100", 8},
        {"crop_size: 12 mean_value: 100 mean_value: 110 mean_value: 120", 12}}) {
    SCOPED_TRACE(transform);
    DataRun<TypeParam> run(
        this->Text("ignore_label: 251", "transform_param { " + transform + " }"), TRAIN,
        3);
    std::set<double> first;
    int padding = 0;
    for (int batch = 0; batch < 8; ++batch) {
      const DeliveredBatch got = run.Next();
      ASSERT_EQ(got.shape, (std::vector<int>{2, 3, crop, crop}));
      EXPECT_EQ(Values(*run.top(2)), (Doubles{kTall, kWide, kTall, kWide}));
      const int plane = crop * crop;
      const double mean = crop == 4 ? 0 : 100;
      for (int i = 0; i < 2 * plane; ++i) {
        const double* pixel = &got.images[i / plane * 3 * plane + i % plane];
        const double red = pixel[2 * plane] + (crop == 12 ? 120 : mean);
        if (red != 7) {
          ++padding;
          EXPECT_EQ(pixel[0], 0);
          EXPECT_EQ(got.labels[i], 251);
          continue;
        }
        const int row = static_cast<int>(pixel[0] + mean);
        const int column = static_cast<int>(pixel[plane] + (crop == 12 ? 110 : mean));
        EXPECT_EQ(got.labels[i], ClassOf(row, column));
        if (i % plane == 0) first.insert(got.labels[i]);
      }
    }
    EXPECT_EQ(padding > 0, crop > 4);
    // The largest crop has the whole image in its corner.
    EXPECT_EQ(first.size() > 1, crop < 12);
  }
}

TYPED_TEST(ImageSegDataLayerTest, CropsTheMiddleInTest) {
  DataRun<TypeParam> run(this->Text("", "transform_param { crop_size: 4 }"), TEST);
  const DeliveredBatch got = run.Next();
  EXPECT_EQ(got.labels[0], ClassOf(1, 2));
  EXPECT_EQ(got.labels[5], ClassOf(2, 3));
}

TYPED_TEST(ImageSegDataLayerTest, ResizesClassesToTheNearest) {
  DataRun<TypeParam> run(this->Text("new_height: 12 new_width: 18"));
  const DeliveredBatch got = run.Next();
  EXPECT_EQ(got.shape, (std::vector<int>{2, 3, 12, 18}));
  for (int i = 0; i < 12 * 18; ++i) {
    EXPECT_EQ(got.labels[i], ClassOf(i / 18 / 2, i % 18 / 2));
  }
}

TYPED_TEST(ImageSegDataLayerTest, OneClassOrNone) {
  this->List("an image.png 5\n");
  DataRun<TypeParam> one(this->Text("", "", "IMAGE"));
  EXPECT_EQ(one.Next().labels, Doubles(2 * kTall * kWide, 5));
  this->List("an image.png\n");
  DataRun<TypeParam> none(this->Text("", "", "NONE"));
  EXPECT_EQ(none.Next().labels, Doubles(2 * kTall * kWide, 255));
}

TYPED_TEST(ImageSegDataLayerTest, SaysWhatIsWrong) {
  const auto expect = [&](ErrorKind kind, const std::string& list,
                          const std::string& data, const std::string& transform,
                          const std::string& part, const std::string& type = "PIXEL") {
    this->List(list);
    ExpectError(kind, {part}, [&] {
      DataRun<TypeParam> run(
          this->Text(data, "transform_param { " + transform + " }", type));
    });
  };
  const std::string good = "an image.png classes.png\n";
  expect(ErrorKind::kValue, "image.png\n", "", "", "the path of an image of labels");
  expect(ErrorKind::kFile, "\n", "", "", "expected one 'path path' per line");
  expect(ErrorKind::kFile, "an image.png none.png\n", "", "", "none.png'");
  expect(ErrorKind::kValue, "an image.png small.png\n", "", "",
         "small.png': 3 x 3 pixels, expected 9 x 6");
  this->List(good);
  std::filesystem::copy(this->folder_ / "an image.png", this->folder_ / "colour.png");
  expect(ErrorKind::kValue, "an image.png colour.png\n", "", "",
         "3 channels, expected 1");
  expect(ErrorKind::kValue, good, "ignore_label: 256", "", "ignore_label is 256");
  expect(ErrorKind::kValue, good, "", "max_rotation: 3", "max_rotation, which classes");
  expect(ErrorKind::kValue, "an image.png 300\n", "", "", "label 300, expected 0 to 255",
         "IMAGE");
}

}  // namespace
}  // namespace test
}  // namespace caffe
