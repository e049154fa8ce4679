#include "caffe/layers/hdf5_data_layer.hpp"

#include <hdf5.h>

#include <algorithm>
#include <set>

#include "data/data_run.hpp"
#include "data/data_test.hpp"

namespace caffe {
namespace test {
namespace {

// Rows first, first + 1, ...: row r has data (r, r + 0.25) and label 2 r, as an integer.
void WriteRows(const std::string& path, int first, int rows, bool compressed = false,
               hid_t data_type = H5T_NATIVE_DOUBLE) {
  std::vector<double> data;
  std::vector<int> labels;
  for (int r = first; r < first + rows; ++r) {
    data.insert(data.end(), {r + 0.0, r + 0.25});
    labels.push_back(2 * r);
  }
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const auto write = [&](const char* name, int axes, hid_t stored, hid_t type,
                         const void* values) {
    const hsize_t dims[] = {static_cast<hsize_t>(rows), 2, 1};
    const hid_t space = H5Screate_simple(axes, dims, nullptr);
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    if (compressed) {
      H5Pset_chunk(create, axes, dims);
      H5Pset_deflate(create, 9);
    }
    const hid_t set =
        H5Dcreate2(file, name, stored, space, H5P_DEFAULT, create, H5P_DEFAULT);
    ASSERT_GE(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
    H5Dclose(set);
    H5Pclose(create);
    H5Sclose(space);
  };
  write("data", 3, data_type, H5T_NATIVE_DOUBLE, data.data());
  write("label", 1, H5T_NATIVE_INT, H5T_NATIVE_INT, labels.data());
  H5Fclose(file);
}

template <typename T>
class HDF5DataLayerTest : public ::testing::Test {
 protected:
  void SetUp() override { Caffe::set_random_seed(1701); }

  std::string Text(const std::string& param, const std::string& rest = "") {
    return Str(
        "name: 'data' type: 'HDF5Data' top: 'data' top: 'label' hdf5_data_param { "
        "source: '",
        folder_ / "list.txt", "' ", param, " } ", rest);
  }

  /// Files of so many rows each, which go on from one to the next.
  void Write(const std::vector<int>& rows) {
    std::string list;
    int first = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::string path = folder_ / Str("file ", i, ".h5");
      WriteRows(path, first, rows[i], i % 2 == 1,
                i % 2 == 1 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE);
      first += rows[i];
      list += path + (i == 0 ? " \r\n\n" : "\n");
    }
    WriteBytes(folder_ / "list.txt", list);
  }

  /// The rows that the next batches have; each is whole.
  std::vector<int> NextRows(DataRun<T>* run, int batches) {
    std::vector<int> rows;
    for (int b = 0; b < batches; ++b) {
      const DeliveredBatch got = run->Next();
      for (size_t i = 0; i < got.labels.size(); ++i) {
        rows.push_back(static_cast<int>(got.labels[i]) / 2);
        EXPECT_EQ(got.images[2 * i], rows.back());
        EXPECT_EQ(got.images[2 * i + 1], rows.back() + 0.25);
      }
    }
    return rows;
  }

  TemporaryFolder folder_;
};

typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(HDF5DataLayerTest, Types);

TYPED_TEST(HDF5DataLayerTest, DeliversTheRowsOfAllFilesInOrder) {
  this->Write({4, 3, 5});
  DataRun<TypeParam> run(this->Text("batch_size: 5"));
  EXPECT_EQ(run.top(0)->shape(), (std::vector<int>{5, 2, 1}));
  EXPECT_EQ(run.top(1)->shape(), (std::vector<int>{5}));
  const std::vector<int> rows = this->NextRows(&run, 12);
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i], static_cast<int>(i) % 12);
}

TYPED_TEST(HDF5DataLayerTest, ShufflesEveryEpochAnew) {
  for (const std::vector<int>& files : {std::vector<int>{12}, {4, 3, 5}}) {
    this->Write(files);
    const std::string text = this->Text("batch_size: 4 shuffle: true");
    DataRun<TypeParam> run(text), again(text);
    std::set<std::vector<int>> orders;
    for (int epoch = 0; epoch < 4; ++epoch) {
      std::vector<int> order = this->NextRows(&run, 3);
      EXPECT_EQ(this->NextRows(&again, 3), order);
      orders.insert(order);
      if (files.size() > 1) {  // one file after the other
        std::vector<int> of;
        for (const int row : order) of.push_back(row < 4 ? 0 : row < 7 ? 1 : 2);
        EXPECT_EQ(std::unique(of.begin(), of.end()) - of.begin(), 3);
      }
      std::sort(order.begin(), order.end());
      for (int i = 0; i < 12; ++i) EXPECT_EQ(order[i], i) << "each row once an epoch";
    }
    EXPECT_EQ(orders.size(), 4u);
    Caffe::set_random_seed(1702);
    DataRun<TypeParam> other(text);
    EXPECT_EQ(orders.count(this->NextRows(&other, 3)), 0u);
    Caffe::set_random_seed(1701);
  }
}

TYPED_TEST(HDF5DataLayerTest, ContinuesExactlyWhereItWas) {
  for (const std::vector<int>& files : {std::vector<int>{7}, {4, 3, 5}}) {
    this->Write(files);
    const std::string text = this->Text("batch_size: 3 shuffle: true");
    for (int before = 0; before < 9; ++before) {
      Caffe::set_random_seed(5);
      DataRun<TypeParam> run(text);
      this->NextRows(&run, before);
      LayerState state;
      ASSERT_TRUE(ResumableOf(*run.layer()).SaveState(&state));
      EXPECT_EQ(state.position(), 3u * before);
      const std::vector<int> want = this->NextRows(&run, 6);
      Caffe::set_random_seed(6);
      DataRun<TypeParam> resumed(text);
      ResumableOf(*resumed.layer()).RestoreState(state);
      EXPECT_EQ(this->NextRows(&resumed, 6), want);
    }
  }
  DataRun<TypeParam> run(this->Text("batch_size: 3"));
  LayerState state;
  state.set_extra("nonsense");
  EXPECT_NE(ErrorOfAction([&] {
              ResumableOf(*run.layer()).RestoreState(state);
            }).find("is not one of a data layer"),
            std::string::npos);
}

TYPED_TEST(HDF5DataLayerTest, SolversShareTheRows) {
  this->Write({4, 3, 5});
  const std::string text = this->Text("batch_size: 2");
  Caffe::set_solver_count(3);
  for (int rank = 0; rank < 3; ++rank) {
    Caffe::set_solver_rank(rank);
    DataRun<TypeParam> run(text);
    const std::vector<int> rows = this->NextRows(&run, 5);
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i], (rank + 3 * static_cast<int>(i)) % 12);
    }
    LayerState state;
    ResumableOf(*run.layer()).SaveState(&state);
    EXPECT_EQ(state.position(), 30u);
    const std::vector<int> want = this->NextRows(&run, 3);
    DataRun<TypeParam> resumed(text), test(text, TEST);
    ResumableOf(*resumed.layer()).RestoreState(state);
    EXPECT_EQ(this->NextRows(&resumed, 3), want);
    EXPECT_EQ(this->NextRows(&test, 1), (std::vector<int>{0, 1})) << "all of them";
  }
  Caffe::set_solver_rank(0);
  Caffe::set_solver_count(1);
}

TYPED_TEST(HDF5DataLayerTest, SaysWhatIsWrong) {
  const auto expect = [&](const std::string& text, const std::string& part) {
    const std::string message = ErrorOfAction([&] { DataRun<TypeParam>(text).Next(4); });
    EXPECT_NE(message.find(part), std::string::npos) << part << " in: " << message;
  };
  this->Write({4, 3});
  expect(this->Text(""), "layer 'data' (HDF5Data): hdf5_data_param.batch_size is 0");
  expect(this->Text("batch_size: 2", "transform_param { scale: 2 }"),
         "transform_param is given, but rows are delivered as they are");
  expect("type: 'HDF5Data' top: 'data' top: 'label' hdf5_data_param { batch_size: 1 }",
         "hdf5_data_param.source is missing");
  WriteRows(this->folder_ / "file 1.h5", 0, 3);
  {
    const hid_t file =
        H5Fopen((this->folder_ / "file 1.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(file, "label", H5P_DEFAULT);
    H5Fclose(file);
  }
  expect(this->Text("batch_size: 2"), "file 1.h5': dataset '/label' does not exist");
  {
    const hid_t file =
        H5Fopen((this->folder_ / "file 1.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    const hsize_t dims[] = {2};
    const hid_t space = H5Screate_simple(1, dims, nullptr);
    const hid_t set = H5Dcreate2(file, "label", H5T_NATIVE_INT, space, H5P_DEFAULT,
                                 H5P_DEFAULT, H5P_DEFAULT);
    const int labels[] = {0, 2};
    H5Dwrite(set, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, labels);
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(file);
  }
  expect(this->Text("batch_size: 2"),
         "dataset 'label' has 2 rows, expected 3 as 'data' has");
  WriteBytes(this->folder_ / "file 1.h5", "no HDF5 at all, but some text\n");
  expect(this->Text("batch_size: 2"), "expected an HDF5 file");
  WriteBytes(this->folder_ / "list.txt", " \n");
  expect(this->Text("batch_size: 2"), "names no file, expected one path per line");
  WriteBytes(this->folder_ / "list.txt", this->folder_ / "missing.h5");
  expect(this->Text("batch_size: 2"), "missing.h5");
}

}  // namespace
}  // namespace test
}  // namespace caffe
