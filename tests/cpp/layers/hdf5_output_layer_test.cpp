#include "caffe/layers/hdf5_output_layer.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "caffe/util/hdf5.hpp"
#include "layer_test.hpp"
#include "util/temporary_folder.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class HDF5OutputLayerTest : public ::testing::Test {
 protected:
  std::string Text(const std::string& path) {
    return "name: 'out' type: 'HDF5Output' hdf5_output_param { file_name: '" + path +
           "' }";
  }
  void Expect(const std::string& path, const std::string& name,
              const std::vector<int>& shape, const Doubles& values) {
    const Hdf5File file = Hdf5File::Open(path);
    Blob<T> blob;
    hdf5_load_nd_dataset(file.id(), name.c_str(), 4, 5, &blob, true);
    EXPECT_EQ(blob.shape(), shape);
    EXPECT_EQ(Values(blob), values);
  }
  TemporaryFolder folder_;
};

typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(HDF5OutputLayerTest, Types);

TYPED_TEST(HDF5OutputLayerTest, WritesTheRowsOfAllForwards) {
  const std::string path = this->folder_ / "out.h5";
  Doubles data, labels;
  {
    LayerRun<TypeParam> run(this->Text(path), {{3, 2, 5}, {3}}, 0);
    run.SetUp();
    EXPECT_FALSE(std::filesystem::exists(path));
    for (int forward = 1; forward <= 3; ++forward) {
      Fill(run.bottom[0], forward);
      Fill(run.bottom[1], 10 + forward);
      const Doubles x = run.Bottom(0), y = run.Bottom(1);
      data.insert(data.end(), x.begin(), x.end());
      labels.insert(labels.end(), y.begin(), y.end());
      run.layer->Forward(run.bottom, run.top);
      if (forward == 3) continue;  // in the file when the layer goes
      this->Expect(path, "data", {3 * forward, 2, 5, 1}, data);
      this->Expect(path, "label", {3 * forward, 1, 1, 1}, labels);
    }
    run.layer->Backward(run.top, {true, false}, run.bottom);
    EXPECT_EQ(run.BottomDiff(0), Doubles(30, 0));
  }
  this->Expect(path, "data", {9, 2, 5, 1}, data);
  this->Expect(path, "label", {9, 1, 1, 1}, labels);
}

TYPED_TEST(HDF5OutputLayerTest, BatchesMayDifferInLengthAlone) {
  const std::string path = this->folder_ / "out.h5";
  LayerRun<TypeParam> run(this->Text(path), {{3, 2, 1, 1, 2}, {3}}, 0);
  run.SetUp();
  run.layer->Forward(run.bottom, run.top);
  run.bottom[0]->Reshape({1, 2, 1, 1, 2});
  run.bottom[1]->Reshape({1});
  run.layer->Forward(run.bottom, run.top);
  Blob<TypeParam> blob;
  hdf5_load_nd_dataset(Hdf5File::Open(path).id(), "data", 5, 5, &blob, true);
  EXPECT_EQ(blob.shape(), (std::vector<int>{4, 2, 1, 1, 2}));
  run.bottom[1]->Reshape({1, 2});
  EXPECT_NE(ErrorOfAction([&] {
              run.layer->Forward(run.bottom, run.top);
            }).find("bottom[1]: rows of shape (1, 2, 1, 1) come behind others"),
            std::string::npos);
}

TYPED_TEST(HDF5OutputLayerTest, SaysWhatIsWrong) {
  ExpectLayerError("name: 'out' type: 'HDF5Output'", {{3, 2}, {3}}, 0,
                   {"layer 'out' (HDF5Output): hdf5_output_param.file_name is missing"});
  const std::string path = this->folder_ / "none" + "/out.h5";
  ExpectLayerError(this->Text(path), {{3, 2}, {3}}, 0, {path});
  ExpectLayerError(this->Text(this->folder_ / "out.h5"), {{3, 2}, {4}}, 0,
                   {"expected the same number of samples on axis 0"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
