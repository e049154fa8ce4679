#include "caffe/layers/image_data_layer.hpp"

#include <opencv2/imgcodecs.hpp>

#include "data/data_run.hpp"
#include "data/data_test.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class ImageDataLayerTest : public ::testing::Test {
 protected:
  void SetUp() override { Caffe::set_random_seed(1701); }

  std::string Text(const std::string& image_data_param, const std::string& rest = "") {
    return Str("name: 'data' type: 'ImageData' image_data_param { source: '",
               folder_ / "list.txt", "' ", image_data_param, " } ", rest);
  }

  void WriteList(const std::string& text) { WriteBytes(folder_ / "list.txt", text); }

  /// `count` images of one pixel (i, i, i), labelled i, in a folder with a space.
  void WriteImages(int count) {
    std::filesystem::create_directory(folder_ / "some images");
    std::string list;
    for (int i = 0; i < count; ++i) {
      const std::string name = Str("some images/", i, ".png");
      ASSERT_TRUE(
          cv::imwrite(folder_ / name, cv::Mat(1, 1, CV_8UC3, cv::Scalar(i, i, i))));
      list += Str(name, " ", i, "\n");
    }
    WriteList(list);
  }

  std::string Root() { return "root_folder: '" + folder_.path() + "/' "; }

  TemporaryFolder folder_;
};

typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(ImageDataLayerTest, Types);

TYPED_TEST(ImageDataLayerTest, DeliversTheFilesOfAList) {
  this->WriteImages(5);
  DataRun<TypeParam> run(this->Text(this->Root() + "batch_size: 3"));
  EXPECT_EQ(run.top(0)->shape(), (std::vector<int>{3, 3, 1, 1}));
  for (int batch = 0, sample = 0; batch < 5; ++batch) {
    const DeliveredBatch got = run.Next();
    for (int i = 0; i < 3; ++i, ++sample) {
      EXPECT_EQ(got.labels[i], sample % 5);
      EXPECT_EQ(got.images[3 * i + 1], sample % 5);
    }
  }
}

TYPED_TEST(ImageDataLayerTest, ReadsPhotographs) {
  this->WriteList(ImagePath("colour.jpg") + " 3\r\n\n" + ImagePath("png_inside.jpg") +
                  "\t-4\n" + ImagePath("rotated.jpg") + " 5");
  DataRun<TypeParam> run(this->Text("batch_size: 3"));
  const DeliveredBatch batch = run.Next();
  EXPECT_EQ(batch.labels, (std::vector<double>{3, -4, 5}));
  EXPECT_EQ(batch.shape, (std::vector<int>{3, 3, 36, 48}));
  std::vector<double> want;
  for (const char* name : {"colour.ppm", "png_inside.ppm", "colour.ppm"}) {
    const Pixels pixels = ReadPixels(name);
    for (int c = 0; c < 3; ++c) {
      for (int h = 0; h < 36; ++h) {
        for (int w = 0; w < 48; ++w) want.push_back(pixels.At(c, h, w));
      }
    }
  }
  ExpectClose(batch.images, want, ToleranceOf<TypeParam>(OpKind::kCopy), "images");
}

TYPED_TEST(ImageDataLayerTest, ResizesAndTurnsGrey) {
  this->WriteList(ImagePath("colour.jpg") + " 0\n" + ImagePath("cmyk.jpg") + " 1\n" +
                  ImagePath("grey.jpg") + " 2\n");
  DataRun<TypeParam> colour(this->Text("batch_size: 3 new_height: 10 new_width: 20"));
  EXPECT_EQ(colour.Next().shape, (std::vector<int>{3, 3, 10, 20}));
  DataRun<TypeParam> grey(
      this->Text("batch_size: 3 new_height: 10 new_width: 20 is_color: false"));
  EXPECT_EQ(grey.Next().shape, (std::vector<int>{3, 1, 10, 20}));
  DataRun<TypeParam> cropped(
      this->Text("batch_size: 3", "transform_param { crop_size: 8 mirror: true }"));
  EXPECT_EQ(cropped.Next().shape, (std::vector<int>{3, 3, 8, 8}));
}

TYPED_TEST(ImageDataLayerTest, ShufflesEveryEpochAnew) {
  const int count = 12;
  this->WriteImages(count);
  const std::string text = this->Text(this->Root() + "batch_size: 4 shuffle: true");
  DataRun<TypeParam> run(text), again(text);
  std::set<std::vector<int>> orders;
  for (int epoch = 0; epoch < 4; ++epoch) {
    std::vector<int> order;
    for (int batch = 0; batch < count / 4; ++batch) {
      const DeliveredBatch got = run.Next();
      EXPECT_EQ(again.Next(), got);
      for (int i = 0; i < 4; ++i) {
        order.push_back(static_cast<int>(got.labels[i]));
        EXPECT_EQ(got.images[3 * i], got.labels[i]) << "labels stay with their images";
      }
    }
    orders.insert(order);
    std::sort(order.begin(), order.end());
    for (int i = 0; i < count; ++i) EXPECT_EQ(order[i], i) << "each file once an epoch";
  }
  EXPECT_EQ(orders.size(), 4u);
  Caffe::set_random_seed(1702);
  DataRun<TypeParam> other(text);
  EXPECT_EQ(orders.count(other.NextLabels(count / 4)), 0u);
}

TYPED_TEST(ImageDataLayerTest, ContinuesExactlyWhereItWas) {
  this->WriteImages(10);
  const std::string text =
      this->Text(this->Root() + "batch_size: 3 shuffle: true rand_skip: 25",
                 "transform_param { mirror: true }");
  DataRun<TypeParam> whole(text);
  whole.Next(6);
  LayerState state;
  ASSERT_TRUE(ResumableOf(*whole.layer()).SaveState(&state));
  EXPECT_EQ(state.position(), 18u);
  const auto want = whole.Next(8);
  Caffe::set_random_seed(5);
  DataRun<TypeParam> resumed(text);
  resumed.Next();
  ResumableOf(*resumed.layer()).RestoreState(state);
  EXPECT_EQ(resumed.Next(8), want);
}

TYPED_TEST(ImageDataLayerTest, NamesTheLineOfAnImageItCannotRead) {
  this->WriteImages(3);
  const std::string good = ReadBytes(this->folder_ / "list.txt");
  this->WriteList(good + "no such.png 3\n" + ImagePath("truncated.jpg") + " 4\n");
  DataRun<TypeParam> run(this->Text(this->Root() + "batch_size: 3"));
  run.Next();
  ExpectError(ErrorKind::kFile,
              {"line 4", this->folder_ / "list.txt", this->folder_ / "no such.png"},
              [&] { run.Next(); });
  this->WriteList(ImagePath("truncated.jpg") + " 4\n");
  ExpectError(ErrorKind::kFile, {"line 1", "truncated.jpg", "truncated:"},
              [&] { DataRun<TypeParam> bad(this->Text("batch_size: 1")); });
}

TYPED_TEST(ImageDataLayerTest, NamesAWrongList) {
  const auto expect = [&](ErrorKind kind, const std::string& list,
                          const std::vector<std::string>& parts) {
    this->WriteList(list);
    ExpectError(kind, parts,
                [&] { DataRun<TypeParam> run(this->Text("batch_size: 1")); });
  };
  const std::string path = this->folder_ / "list.txt";
  expect(ErrorKind::kFile, "", {path, "names no image"});
  expect(ErrorKind::kFile, "\n \n", {path, "names no image"});
  expect(ErrorKind::kValue, "a.jpg 1\nb.jpg\n", {path + ":2", "'b.jpg'"});
  expect(ErrorKind::kValue, "a.jpg cat\n", {path + ":1", "label 'cat'"});
  expect(ErrorKind::kValue, "\na.jpg 1.5\n", {path + ":2", "label '1.5'"});
  expect(ErrorKind::kValue, "a.jpg 99999999999\n", {path + ":1", "99999999999"});
}

TYPED_TEST(ImageDataLayerTest, NamesAWrongParameter) {
  this->WriteImages(2);
  ExpectError(ErrorKind::kValue, {"new_height 5", "new_width 0"}, [&] {
    DataRun<TypeParam> run(this->Text(this->Root() + "new_height: 5"));
  });
  ExpectError(ErrorKind::kValue, {"crop_size is 3", "1 x 1", "line 1"}, [&] {
    DataRun<TypeParam> run(this->Text(this->Root(), "transform_param { crop_size: 3 }"));
  });
  ExpectError(ErrorKind::kValue, {"image_data_param.batch_size is 0, expected"}, [&] {
    DataRun<TypeParam> run(this->Text(this->Root() + "batch_size: 0"));
  });
  ExpectError(ErrorKind::kValue, {"source is missing"},
              [&] { DataRun<TypeParam> run("type: 'ImageData'"); });
  ExpectError(ErrorKind::kFile, {"no_such_list"}, [&] {
    DataRun<TypeParam> run(
        "type: 'ImageData' image_data_param { source: 'no_such_list' }");
  });
}

}  // namespace
}  // namespace test
}  // namespace caffe
