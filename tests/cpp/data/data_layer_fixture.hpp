#ifndef CAFFE_TESTS_DATA_DATA_LAYER_FIXTURE_HPP_
#define CAFFE_TESTS_DATA_DATA_LAYER_FIXTURE_HPP_

#include <opencv2/imgcodecs.hpp>
#include <string>
#include <vector>

#include "data/data_run.hpp"
#include "data/data_test.hpp"

namespace caffe {
namespace test {

constexpr int kHeight = 6, kWidth = 8;  // of the images below

inline std::string PngOf(int image) {
  cv::Mat mat(kHeight, kWidth, CV_8UC3);
  for (int i = 0; i < kHeight * kWidth * 3; ++i) {
    mat.data[i] = static_cast<uchar>(Bits(image, i));
  }
  std::vector<uchar> bytes;
  EXPECT_TRUE(cv::imencode(".png", mat, bytes));
  return std::string(bytes.begin(), bytes.end());
}

inline std::vector<Datum> EncodedDatums(int count) {
  std::vector<Datum> datums;
  for (int i = 0; i < count; ++i) datums.push_back(EncodedDatum(PngOf(i), i));
  return datums;
}

inline std::vector<Datum> RawDatums(int count) {
  std::vector<Datum> datums;
  for (int i = 0; i < count; ++i) datums.push_back(RawDatum(i, 3, kHeight, kWidth, i));
  return datums;
}

inline std::vector<int> Modulo(int first, int count, int modulus, int step = 1) {
  std::vector<int> values;
  for (int i = 0; i < count; ++i) values.push_back((first + i * step) % modulus);
  return values;
}

template <typename T>
class DataLayerFixture : public ::testing::Test {
 protected:
  void SetUp() override { Caffe::set_random_seed(1701); }
  void TearDown() override {
    Caffe::set_solver_count(1);
    Caffe::set_solver_rank(0);
  }

  /// A layer over the database "db" with more fields of data_param and of the layer.
  std::string Text(const std::string& data_param, const std::string& rest = "",
                   const std::string& backend = "LMDB") {
    return Str(
        "name: 'data' type: 'Data' top: 'data' top: 'label' data_param { source: '",
        folder_ / "db", "' backend: ", backend, " ", data_param, " } ", rest);
  }

  TemporaryFolder folder_;
};

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_DATA_DATA_LAYER_FIXTURE_HPP_
