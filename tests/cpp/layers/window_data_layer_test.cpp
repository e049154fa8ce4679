#include "caffe/layers/window_data_layer.hpp"

#include <opencv2/imgcodecs.hpp>

#include <algorithm>
#include <cmath>
#include <map>

#include "caffe/util/io.hpp"
#include "data/data_run.hpp"
#include "data/data_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr int kHeight = 20, kWidth = 30;

// Of image 0 and 1, in blue, green and red: no interpolation between them can be
// mistaken.
int PixelOf(int image, int c, int y, int x) { return 100 * image + 3 * x + 2 * y + c; }

template <typename T>
class WindowDataLayerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Caffe::set_random_seed(1701);
    for (int image = 0; image < 2; ++image) {
      cv::Mat pixels(kHeight, kWidth, CV_8UC3);
      for (int y = 0; y < kHeight; ++y) {
        for (int x = 0; x < kWidth; ++x) {
          for (int c = 0; c < 3; ++c) {
            pixels.ptr(y)[3 * x + c] =
                static_cast<unsigned char>(PixelOf(image, c, y, x));
          }
        }
      }
      ASSERT_TRUE(cv::imwrite(folder_ / Str("image ", image, ".png"), pixels));
    }
  }

  // Windows by image, as lines "class overlap x1 y1 x2 y2".
  void WriteList(const std::vector<std::vector<std::string>>& windows) {
    std::string text;
    for (size_t image = 0; image < windows.size(); ++image) {
      text += Str("# ", image, "\nimage ", image, ".png\n3\n", kHeight, "\n", kWidth,
                  "\n", windows[image].size(), "\n");
      for (const std::string& window : windows[image]) text += window + "\n";
    }
    WriteBytes(folder_ / "windows.txt", text);
  }

  std::string Text(const std::string& param, const std::string& transform) {
    return Str("name: 'data' type: 'WindowData' window_data_param { source: '",
               folder_ / "windows.txt", "' root_folder: '", folder_.path(), "/' ", param,
               " } transform_param { ", transform, " }");
  }

  TemporaryFolder folder_;
};

typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(WindowDataLayerTest, Types);

// A window of the size of the crop is copied pixel by pixel.
TYPED_TEST(WindowDataLayerTest, DeliversObjectsAndBackground) {
  this->WriteList({{"1 0.9 2 3 5 6", "2 0.3 10 4 13 7", "7 0.1 0 0 3 3"},
                   {"3 0.75 20 10 23 13", "4 0.45 8 8 11 11"}});
  const std::string param =
      "batch_size: 8 fg_fraction: 0.25 fg_threshold: 0.5 bg_threshold: 0.4 ";
  const std::string text = this->Text(param, "crop_size: 4");
  for (const std::string cached : {"", "cache_images: true"}) {
    DataRun<TypeParam> run(this->Text(param + cached, "crop_size: 4")), again(text);
    EXPECT_EQ(run.top(0)->shape(), (std::vector<int>{8, 3, 4, 4}));
    EXPECT_EQ(run.top(1)->shape(), (std::vector<int>{8}));
    std::map<std::vector<int>, int> seen;  // label, image, x, y of windows
    for (int batch = 0; batch < 12; ++batch) {
      const DeliveredBatch got = run.Next();
      EXPECT_EQ(again.Next(), got);
      for (int i = 0; i < 8; ++i) {
        EXPECT_EQ(got.labels[i] > 0, i >= 6) << "the last quarter are objects";
        const double first = got.images[i * 48];  // tells the image and the corner
        const int image = first >= 100;
        int x = 0, y = 0;
        for (const auto& corner : {std::pair{2, 3}, {10, 4}, {0, 0}, {20, 10}, {8, 8}}) {
          if (PixelOf(image, 0, corner.second, corner.first) == first) {
            x = corner.first, y = corner.second;
          }
        }
        ++seen[{static_cast<int>(got.labels[i]), image, x, y}];
        for (int j = 0; j < 48; ++j) {
          ASSERT_EQ(got.images[i * 48 + j],
                    PixelOf(image, j / 16, y + j % 16 / 4, x + j % 4));
        }
      }
    }
    std::vector<std::vector<int>> kinds;
    for (const auto& [kind, count] : seen) kinds.push_back(kind);
    EXPECT_EQ(kinds, (std::vector<std::vector<int>>{
                         {0, 0, 0, 0}, {0, 0, 10, 4}, {1, 0, 2, 3}, {3, 1, 20, 10}}));
  }
}

TYPED_TEST(WindowDataLayerTest, MirrorsScalesAndSubtracts) {
  this->WriteList({{"1 1 2 3 5 6"}});
  Blob<TypeParam> mean(1, 3, 6, 6);
  Fill(&mean, 4, 0, 50);
  BlobProto proto;
  mean.ToProto(&proto);
  WriteProtoToBinaryFile(proto, this->folder_ / "mean.binaryproto");
  const std::string param = "batch_size: 40 fg_fraction: 1";
  for (const bool from_file : {true, false}) {
    DataRun<TypeParam> run(this->Text(
        param,
        "crop_size: 4 mirror: true scale: 0.5 " +
            (from_file ? "mean_file: '" + this->folder_ / "mean.binaryproto" + "'"
                       : std::string("mean_value: 1 mean_value: 2 mean_value: 4"))));
    const DeliveredBatch got = run.Next();
    int mirrored = 0;
    for (int i = 0; i < 40; ++i) {
      Doubles want[2];
      for (const bool flip : {false, true}) {
        for (int j = 0; j < 48; ++j) {
          const int c = j / 16, y = j % 16 / 4, x = j % 4;
          const double less = from_file ? mean.data_at(0, c, y + 1, x + 1)
                              : c == 2  ? 4
                                        : c + 1;
          const double pixel = PixelOf(0, c, 3 + y, 2 + (flip ? 3 - x : x));
          want[flip].push_back((pixel - less) * 0.5);
        }
      }
      const Doubles sample(got.images.begin() + i * 48, got.images.begin() + i * 48 + 48);
      const bool flipped = std::fabs(sample[0] - want[1][0]) < 1e-3;
      mirrored += flipped;
      ExpectClose(sample, want[flipped], ToleranceOf<TypeParam>(OpKind::kElementwise),
                  "window");
    }
    EXPECT_NEAR(mirrored, 20, CountTolerance(40, 0.5));
  }
}

// A corner window of 4 x 4 with a pixel of context at each side of a crop of 6: what is
// beyond the image stays 0. Its surroundings are 6 x 6, so that nothing is resized.
TYPED_TEST(WindowDataLayerTest, HasContext) {
  this->WriteList({{"1 1 0 0 3 3", "2 1 26 16 29 19", "3 1 10 10 13 11"}});
  DataRun<TypeParam> run(
      this->Text("batch_size: 30 fg_fraction: 1 context_pad: 1 crop_mode: 'square'",
                 "crop_size: 6 mean_value: 7"));
  const DeliveredBatch got = run.Next();
  int checked = 0;
  for (int i = 0; i < 30; ++i) {
    const int label = static_cast<int>(got.labels[i]);
    // Caffe's expanded window has the centre of the pixels' outer edges, and reaches one
    // pixel further on its right and lower side: 7 pixels for 6.
    const double* window = &got.images[i * 108];
    if (label == 1) {
      for (int j = 0; j < 6; ++j) {
        EXPECT_EQ(window[j], 0) << "row above the image";
        EXPECT_EQ(window[6 * j], 0) << "column left of the image";
      }
      EXPECT_NE(window[7], 0);
    } else if (label == 2) {
      for (int j = 0; j < 6; ++j) {
        EXPECT_EQ(window[30 + j], 0) << "row below the image";
        EXPECT_EQ(window[6 * j + 5], 0) << "column right of the image";
      }
      EXPECT_NE(window[0], 0);
    } else {
      // Of 4 x 2 made square: rows 8 to 14, columns 9 to 15 of the image, all of it
      // there.
      for (int j = 0; j < 36; ++j) EXPECT_NE(window[j], 0);
      const double step_x = (window[5] - window[0]) / 5,
                   step_y = (window[30] - window[0]) / 5;
      EXPECT_NEAR(step_x / step_y, 1.5, 0.2) << "squares are not stretched";
    }
    ++checked;
  }
  EXPECT_EQ(checked, 30);
}

TYPED_TEST(WindowDataLayerTest, ResizesToTheCrop) {
  this->WriteList({{"1 1 4 2 19 17"}});
  DataRun<TypeParam> run(this->Text("batch_size: 1 fg_fraction: 1", "crop_size: 8"));
  const DeliveredBatch got = run.Next();
  for (int j = 0; j < 64; ++j) {  // the mean of 2 x 2 pixels
    const double want =
        PixelOf(0, 0, 2, 4) + 3 * (j % 8 * 2 + 0.5) + 2 * (j / 8 * 2 + 0.5);
    EXPECT_LE(std::fabs(got.images[j] - want), 0.5) << j;
  }
}

TYPED_TEST(WindowDataLayerTest, ContinuesExactlyWhereItWas) {
  this->WriteList({{"1 1 2 3 5 6", "2 1 1 1 9 9", "1 0 5 5 12 12", "1 0 7 7 11 15"},
                   {"5 1 2 2 6 6", "0 0 1 2 3 4"}});
  const std::string text =
      this->Text("batch_size: 4 fg_fraction: 0.5", "crop_size: 5 mirror: true");
  DataRun<TypeParam> run(text);
  run.Next(3);
  LayerState state;
  ASSERT_TRUE(ResumableOf(*run.layer()).SaveState(&state));
  const auto want = run.Next(4);
  Caffe::set_random_seed(9);
  DataRun<TypeParam> resumed(text);
  ResumableOf(*resumed.layer()).RestoreState(state);
  EXPECT_EQ(resumed.Next(4), want);
}

TYPED_TEST(WindowDataLayerTest, SaysWhatIsWrong) {
  const auto expect = [&](const std::string& text, const std::string& part) {
    const std::string message = ErrorOfAction([&] { DataRun<TypeParam>(text).Next(); });
    EXPECT_NE(message.find(part), std::string::npos) << part << " in: " << message;
  };
  this->WriteList({{"1 1 2 3 5 6", "1 0 5 5 12 12"}});
  expect(this->Text("batch_size: 2", ""), "transform_param.crop_size must be positive");
  expect(this->Text("", "crop_size: 4"), "window_data_param.batch_size is 0");
  expect(this->Text("batch_size: 2 context_pad: 2", "crop_size: 4"),
         "context_pad is 2, expected less than half of crop_size, 4");
  expect(this->Text("batch_size: 2 crop_mode: 'round'", "crop_size: 4"),
         "crop_mode is 'round', expected 'warp' or 'square'");
  expect(this->Text("batch_size: 4 bg_threshold: 0", "crop_size: 4"),
         "has no background window");
  this->WriteList({{"1 0.3 2 3 5 6"}});
  expect(this->Text("batch_size: 4", "crop_size: 4"), "has no object");
  this->WriteList({{"0 1 2 3 5 6"}});
  expect(this->Text("batch_size: 4", "crop_size: 4"), "has an object of class 0");
  this->WriteList({{"1 1 2 3 30 6"}});
  expect(this->Text("batch_size: 4", "crop_size: 4"),
         "windows.txt:7: window (2, 3) to (30, 6), expected corners in order");
  const std::string head = "# 0\nimage 0.png\n3\n20\n30\n";
  for (const auto& [bytes, part] : std::vector<std::pair<std::string, std::string>>{
           {"", "has no image"},
           {"0 image.png", "windows.txt:1: expected '#'"},
           {head + "1000000\n1 1 0 0 1 1\n", "1000000 windows, expected as many"},
           {head + "1\n1 x 0 0 1 1\n", "windows.txt:7: 'x', expected the overlap"},
           {head + "1\n1 1 0 0 1 1.5\n", "'1.5', expected y2 of a window"},
           {"# 0\nmissing.png\n3\n20\n30\n1\n1 1 0 0 1 1\n", "missing.png"},
           {"# 0\nimage 0.png\n3\n20\n50\n1\n1 1 0 0 40 1\n", "it has 30 by 20 pixels"},
           {"# 0\nimage 0.png\n4\n20\n30\n1\n1 1 0 0 1 1\n", "has 4 channels"}}) {
    WriteBytes(this->folder_ / "windows.txt", bytes);
    expect(this->Text("batch_size: 1 fg_fraction: 1", "crop_size: 4"), part);
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
