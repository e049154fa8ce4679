#include "caffe/util/hdf5.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5_hl.h>

#include "caffe/util/math_functions.hpp"
#include "util/file_size_limit.hpp"
#include "util/temporary_folder.hpp"

namespace caffe {
namespace {

using test::MessageOf;
using test::ReadBytes;
using test::TemporaryFolder;
using test::WriteBytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Files are made and read back with HDF5's own high-level functions.
class Hdf5Test : public ::testing::Test {
 protected:
  // Calls `fill(id)` on a new file and returns its path.
  template <typename Fill>
  string Make(Fill fill) {
    const string path = folder_ / "f.h5";
    const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    fill(id);
    EXPECT_GE(H5Fclose(id), 0);
    return path;
  }
  TemporaryFolder folder_;
};

template <typename Dtype>
vector<Dtype> Values(const Blob<Dtype>& blob) {
  return {blob.cpu_data(), blob.cpu_data() + blob.count()};
}

TEST_F(Hdf5Test, LoadsNumbersOfAnyType) {
  const string path = Make([](hid_t id) {
    const hsize_t dims[] = {2, 3};
    const double doubles[] = {0.5, 1.5, 2.5, 3.5, 4.5, 5.5};
    const int ints[] = {-1, 0, 1, 2, 3, 4};
    const unsigned char bytes[] = {0, 1, 2, 253, 254, 255};
    H5LTmake_dataset_double(id, "doubles", 2, dims, doubles);
    H5LTmake_dataset_int(id, "ints", 2, dims, ints);
    H5LTmake_dataset(id, "bytes", 2, dims, H5T_NATIVE_UCHAR, bytes);
  });
  const Hdf5File file = Hdf5File::Open(path);
  Blob<float> f;
  hdf5_load_nd_dataset(file.id(), "doubles", 1, 4, &f, true);
  EXPECT_THAT(f.shape(), ElementsAre(2, 3));
  EXPECT_THAT(Values(f), ElementsAre(0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f));
  hdf5_load_nd_dataset(file.id(), "ints", 0, 4, &f);
  EXPECT_THAT(Values(f), ElementsAre(-1, 0, 1, 2, 3, 4));
  Blob<double> d;
  hdf5_load_nd_dataset(file.id(), "bytes", 2, 2, &d, true);
  EXPECT_THAT(Values(d), ElementsAre(0, 1, 2, 253, 254, 255));
}

TEST_F(Hdf5Test, LoadsFromGroups) {
  const string path = Make([](hid_t id) {
    const hid_t group = H5Gcreate2(id, "data", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t inner = H5Gcreate2(group, "conv1", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const hsize_t dim = 1;
    const float value = 7;
    H5LTmake_dataset_float(inner, "0", 1, &dim, &value);
    H5Gclose(inner);
    H5Gclose(group);
  });
  const Hdf5File file = Hdf5File::Open(path);
  const hid_t group = hdf5_open_group(file.id(), "data");
  EXPECT_EQ(hdf5_get_num_links(group), 1);
  EXPECT_EQ(hdf5_get_name_by_idx(group, 0), "conv1");
  EXPECT_TRUE(hdf5_has_link(group, "conv1"));
  EXPECT_FALSE(hdf5_has_link(group, "conv2"));
  const hid_t inner = hdf5_open_group(group, "conv1");
  Blob<float> blob;
  hdf5_load_nd_dataset(inner, "0", 0, kMaxBlobAxes, &blob, true);
  EXPECT_THAT(Values(blob), ElementsAre(7));
  EXPECT_THAT(
      MessageOf<FileError>([&] { hdf5_load_nd_dataset(inner, "1", 0, 4, &blob); }),
      HasSubstr("f.h5': dataset '/data/conv1/1' does not exist"));
  H5Gclose(inner);
  EXPECT_THAT(MessageOf<FileError>([&] { hdf5_open_group(group, "conv2"); }),
              HasSubstr("f.h5': group '/data/conv2' does not exist"));
  EXPECT_THAT(MessageOf<FileError>([&] { hdf5_get_name_by_idx(group, 1); }),
              HasSubstr("has no link number 1"));
  EXPECT_THAT(MessageOf<FileError>([&] { hdf5_get_name_by_idx(group, -1); }),
              HasSubstr("has no link number -1"));
  H5Gclose(group);
}

TEST_F(Hdf5Test, SavesDataAndDiff) {
  const string path = folder_ / "out.h5";
  Blob<float> f({2, 2});
  Blob<double> scalar(vector<int>{});
  for (int i = 0; i < 4; ++i) {
    f.mutable_cpu_data()[i] = i + 0.5f;
    f.mutable_cpu_diff()[i] = -i;
  }
  scalar.mutable_cpu_data()[0] = 9;
  {
    Hdf5Writer writer(path);
    hdf5_save_nd_dataset(writer.id(), "data", f);
    hdf5_save_nd_dataset(writer.id(), "diff", f, true);
    hdf5_save_nd_dataset(writer.id(), "scalar", scalar);
    EXPECT_FALSE(std::filesystem::exists(path));
    writer.Commit();
  }
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  ASSERT_GE(id, 0);
  int axes;
  hsize_t dims[2];
  H5T_class_t kind;
  std::size_t size;
  EXPECT_GE(H5LTget_dataset_ndims(id, "data", &axes), 0);
  EXPECT_EQ(axes, 2);
  EXPECT_GE(H5LTget_dataset_info(id, "data", dims, &kind, &size), 0);
  EXPECT_THAT(dims, ElementsAre(2, 2));
  EXPECT_EQ(kind, H5T_FLOAT);
  EXPECT_EQ(size, sizeof(float));
  float values[4];
  H5LTread_dataset_float(id, "data", values);
  EXPECT_THAT(values, ElementsAre(0.5f, 1.5f, 2.5f, 3.5f));
  H5LTread_dataset_float(id, "diff", values);
  EXPECT_THAT(values, ElementsAre(0, -1, -2, -3));
  double nine;
  H5LTread_dataset_double(id, "scalar", &nine);
  EXPECT_EQ(nine, 9);
  H5Fclose(id);
}

TEST_F(Hdf5Test, FindsShapesBelowAGroup) {
  const string path = Make([](hid_t id) {
    const Hdf5Group nested(hdf5_create_group(id, "data/block/fc"));
    const hsize_t matrix[] = {3, 4}, row[] = {3};
    const vector<float> zeros(12);
    H5LTmake_dataset_float(nested.id(), "0", 2, matrix, zeros.data());
    H5LTmake_dataset_float(nested.id(), "1", 1, row, zeros.data());
    const Hdf5Group empty(hdf5_create_group(id, "data/none"));
  });
  const Hdf5File file = Hdf5File::Open(path);
  const Hdf5Group data(hdf5_open_group(file.id(), "data"));
  const std::map<string, vector<vector<int>>> want = {{"block/fc", {{3, 4}, {3}}}};
  EXPECT_EQ(hdf5_find_shapes(data.id()), want);
}

TEST_F(Hdf5Test, IntsAndStrings) {
  const string path = folder_ / "out.h5";
  {
    Hdf5Writer writer(path);
    hdf5_save_int(writer.id(), "iter", 1234567);
    hdf5_save_string(writer.id(), "learned_net", "x_iter_5.caffemodel.h5");
    hdf5_save_string(writer.id(), "empty", "");
    writer.Commit();
  }
  {
    const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
    int iter;
    H5LTread_dataset_int(id, "iter", &iter);
    EXPECT_EQ(iter, 1234567);
    char text[64];
    H5LTread_dataset_string(id, "learned_net", text);
    EXPECT_STREQ(text, "x_iter_5.caffemodel.h5");
    H5Fclose(id);
  }
  const string other = Make([](hid_t id) {
    const hsize_t dims[] = {1, 2};
    const int values[] = {-3, 4};
    H5LTmake_dataset_int(id, "one", 1, dims, values);
    H5LTmake_dataset_int(id, "two", 2, dims, values);
    H5LTmake_dataset_string(id, "text", "name");
    // A string of variable length, as h5py writes it.
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t set =
        H5Dcreate2(id, "python", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const char* text = "from python";
    H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text);
    H5Dclose(set);
    H5Sclose(space);
    H5Tclose(type);
  });
  const Hdf5File file = Hdf5File::Open(other);
  EXPECT_EQ(hdf5_load_int(file.id(), "one"), -3);
  EXPECT_EQ(hdf5_load_string(file.id(), "text"), "name");
  EXPECT_EQ(hdf5_load_string(file.id(), "python"), "from python");
  EXPECT_THAT(MessageOf<FileError>([&] { hdf5_load_int(file.id(), "two"); }),
              HasSubstr("'/two' has 2 elements, expected one"));
  EXPECT_THAT(MessageOf<FileError>([&] { hdf5_load_int(file.id(), "text"); }),
              HasSubstr("'/text' cannot be read"));
  EXPECT_THAT(MessageOf<FileError>([&] { hdf5_load_string(file.id(), "one"); }),
              HasSubstr("'/one' is no single string"));
  EXPECT_THAT(MessageOf<FileError>([&] { hdf5_load_string(file.id(), "none"); }),
              HasSubstr("does not exist"));
}

TEST_F(Hdf5Test, WrongShapesAndTypes) {
  const string path = Make([](hid_t id) {
    const hsize_t dims[] = {2, 3};
    const float values[6] = {};
    H5LTmake_dataset_float(id, "matrix", 2, dims, values);
    H5LTmake_dataset_string(id, "text", "x");
  });
  const Hdf5File file = Hdf5File::Open(path);
  Blob<float> blob({3, 2});
  EXPECT_THAT(MessageOf<FileError>(
                  [&] { hdf5_load_nd_dataset(file.id(), "matrix", 3, 4, &blob); }),
              HasSubstr("'/matrix' has 2 axes, expected 3 to 4"));
  EXPECT_THAT(MessageOf<FileError>(
                  [&] { hdf5_load_nd_dataset(file.id(), "matrix", 1, 4, &blob); }),
              HasSubstr("'/matrix' has shape (2, 3), expected (3, 2)"));
  EXPECT_THAT(
      MessageOf<FileError>([&] { hdf5_load_nd_dataset(file.id(), "text", 0, 4, &blob); }),
      HasSubstr("'/text' holds no numbers"));
}

// Datasets may claim any size without holding a byte.
TEST_F(Hdf5Test, HugeClaimsAllocateNothing) {
  const string path = Make([](hid_t id) {
    const auto claim = [&](const char* name, std::initializer_list<hsize_t> dims) {
      const hid_t space =
          H5Screate_simple(static_cast<int>(dims.size()), dims.begin(), nullptr);
      H5Dclose(H5Dcreate2(id, name, H5T_NATIVE_FLOAT, space, H5P_DEFAULT, H5P_DEFAULT,
                          H5P_DEFAULT));
      H5Sclose(space);
    };
    claim("elements", {1u << 20, 1u << 20});
    claim("bytes", {1u << 15, 1u << 15});
    claim("small", {2, 2});
  });
  const Hdf5File file = Hdf5File::Open(path);
  Blob<float> blob;
  EXPECT_THAT(MessageOf<FileError>([&] {
                hdf5_load_nd_dataset(file.id(), "elements", 0, 4, &blob, true);
              }),
              HasSubstr("'/elements' has more than the 2147483647 elements"));
  EXPECT_THAT(MessageOf<FileError>(
                  [&] { hdf5_load_nd_dataset(file.id(), "bytes", 0, 4, &blob, true); }),
              HasSubstr("'/bytes' claims 4294967296 bytes of which the file holds 0"));
  hdf5_load_nd_dataset(file.id(), "small", 0, 4, &blob, true);  // HDF5's fill value
  EXPECT_THAT(Values(blob), ElementsAre(0, 0, 0, 0));
}

TEST_F(Hdf5Test, OtherFilesAreNamed) {
  EXPECT_THAT(MessageOf<FileError>([&] { Hdf5File::Open(folder_ / "none.h5"); }),
              HasSubstr("No such file or directory"));
  WriteBytes(folder_ / "t.h5", "layer { name: 'a' }\n");
  EXPECT_THAT(MessageOf<FileError>([&] { Hdf5File::Open(folder_ / "t.h5"); }),
              HasSubstr("is a prototxt or other text, expected an HDF5 file"));
}

TEST_F(Hdf5Test, TruncatedFilesAreRefused) {
  const string path = Make([](hid_t id) {
    const hsize_t dims[] = {100};
    const float values[100] = {};
    H5LTmake_dataset_float(id, "x", 1, dims, values);
  });
  const string bytes = ReadBytes(path);
  for (std::size_t size = 0; size < bytes.size(); size += 37) {
    WriteBytes(folder_ / "cut.h5", bytes.substr(0, size));
    EXPECT_NE(MessageOf<FileError>([&] {
                const Hdf5File file = Hdf5File::Open(folder_ / "cut.h5");
                Blob<float> blob;
                hdf5_load_nd_dataset(file.id(), "x", 0, 4, &blob, true);
              }),
              "")
        << size;
  }
}

TEST_F(Hdf5Test, AnUnfinishedFileLeavesTheOldOne) {
  const string path = folder_ / "out.h5";
  WriteBytes(path, "old");
  {
    Hdf5Writer writer(path);
    hdf5_save_int(writer.id(), "iter", 1);
  }
  EXPECT_EQ(ReadBytes(path), "old");
  EXPECT_EQ(folder_.NumFiles(), 1);
  EXPECT_THAT(MessageOf<FileError>([&] { Hdf5Writer(folder_ / "no/out.h5"); }),
              HasSubstr("create the folder"));
}

TEST_F(Hdf5Test, AFullDiskLeavesTheOldFile) {
  const string path = folder_ / "out.h5";
  WriteBytes(path, "old");
  Blob<float> blob({1 << 16});
  caffe_set(blob.count(), 1.f, blob.mutable_cpu_data());
  EXPECT_THAT(MessageOf<FileError>([&] {
                const test::FileSizeLimit limit(1 << 16);
                Hdf5Writer writer(path);
                hdf5_save_nd_dataset(writer.id(), "x", blob);
                writer.Commit();
              }),
              HasSubstr("cannot write '" + path + "': File too large"));
  EXPECT_EQ(ReadBytes(path), "old");
  EXPECT_EQ(folder_.NumFiles(), 1);
  // The library goes on working.
  Hdf5Writer writer(path);
  hdf5_save_nd_dataset(writer.id(), "x", blob);
  writer.Commit();
  Blob<float> read;
  const Hdf5File file = Hdf5File::Open(path);
  hdf5_load_nd_dataset(file.id(), "x", 1, 1, &read, true);
  EXPECT_EQ(Values(read), Values(blob));
}

}  // namespace
}  // namespace caffe
