#include "caffe/util/hdf5_guard.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5_hl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "caffe/util/hdf5.hpp"
#include "util/temporary_folder.hpp"

namespace caffe {
namespace {

using test::MessageOf;
using test::ReadBytes;
using test::TemporaryFolder;
using test::WriteBytes;
using ::testing::AllOf;
using ::testing::HasSubstr;

class Hdf5GuardTest : public ::testing::Test {
 protected:
  /// A program that stands for the reader.
  Hdf5Reader Script(const string& commands) {
    WriteBytes(folder_ / "reader", "#!/bin/sh\n" + commands + "\n");
    chmod((folder_ / "reader").c_str(), 0700);
    return {folder_ / "reader", 1000, 7};
  }
  template <typename E>
  string MessageFrom(const Hdf5Reader& reader) {
    return MessageOf<E>([&] { Hdf5Copy("a/f.h5", reader); });
  }
  /// Calls `fill(id)` on a new file and returns its path.
  template <typename Fill>
  string Make(Fill fill, hsize_t user_block = 0) {
    const string path = folder_ / "f.h5";
    const hid_t made = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(made, user_block);
    const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, made, H5P_DEFAULT);
    fill(id);
    H5Pclose(made);
    EXPECT_GE(H5Fclose(id), 0);
    return path;
  }
  TemporaryFolder folder_;
};

vector<float> Values(hid_t file, const char* name) {
  Blob<float> blob;
  hdf5_load_nd_dataset(file, name, 0, kMaxBlobAxes, &blob, true);
  return {blob.cpu_data(), blob.cpu_data() + blob.count()};
}

// A dataset that is compressed in pieces, as h5py makes them.
void MakeCompressed(hid_t file, const char* name, const vector<hsize_t>& extents,
                    const void* values) {
  const hid_t space =
      H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr);
  const hid_t made = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(made, static_cast<int>(extents.size()), extents.data());
  H5Pset_deflate(made, 1);
  const hid_t set =
      H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, made, H5P_DEFAULT);
  EXPECT_GE(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
  H5Dclose(set);
  H5Pclose(made);
  H5Sclose(space);
}

TEST_F(Hdf5GuardTest, AFaultOfTheLibraryIsASentenceAboutTheFile) {
  const auto because = [](const string& what) {
    return AllOf(HasSubstr("'a/f.h5' is damaged: HDF5 " + what),
                 HasSubstr("get it again, or use another snapshot"));
  };
  EXPECT_THAT(MessageFrom<FileError>(Script("kill -SEGV $$")),
              because("crashed in it (Segmentation fault)"));
  EXPECT_THAT(MessageFrom<FileError>(Script("kill -ABRT $$")),
              because("crashed in it (Aborted)"));
  EXPECT_THAT(MessageFrom<FileError>(Script("kill -XCPU $$")),
              because("did not get to its end in 7 s"));
  EXPECT_THAT(MessageFrom<FileError>(Script("exit 9")), because("ended with status 9"));
}

TEST_F(Hdf5GuardTest, WhatTheReaderSaysIsPassedOn) {
  EXPECT_EQ(MessageFrom<FileError>(Script("printf 'it is green'; exit 1")),
            "'a/f.h5': it is green");
  EXPECT_EQ(MessageFrom<FileError>(Script("printf 'it is blue'; exit 2")),
            "cannot read 'a/f.h5' as HDF5: it is blue");
  // Arguments and limits; nothing but the standard descriptors and the copy's.
  EXPECT_EQ(MessageFrom<FileError>(Script("printf '%s ' \"$@\"; exit 1")),
            "'a/f.h5': a/f.h5 1000 7 ");
  EXPECT_EQ(MessageFrom<FileError>(Script("echo noise >&2; cat; exit 1")), "'a/f.h5': ");
}

TEST_F(Hdf5GuardTest, AnEndFromOutsideIsNoDamage) {
  for (const char* name : {"TERM", "INT", "HUP", "KILL"}) {
    EXPECT_THAT(MessageFrom<RuntimeFailure>(Script(Str("kill -", name, " $$"))),
                HasSubstr("'a/f.h5': the process that read it was ended"));
  }
  EXPECT_THAT(MessageFrom<RuntimeFailure>({folder_ / "none", 0, 0}),
              AllOf(HasSubstr("none', which reads HDF5 files such as 'a/f.h5', cannot"),
                    HasSubstr("No such file"), HasSubstr("install")));
}

TEST_F(Hdf5GuardTest, TheReaderLiesBesideTheLibrary) {
  const Hdf5Reader reader = DefaultHdf5Reader(1 << 20);
  EXPECT_EQ(::access(reader.program.c_str(), X_OK), 0) << reader.program;
  EXPECT_EQ(reader.bytes, (512u << 20) + (8u << 20));
  EXPECT_EQ(reader.seconds, 10u);
}

TEST_F(Hdf5GuardTest, MemoryIsLimited) {
  // 32 MB of zeros take 32 KB of a file.
  const vector<float> zeros(8 << 20);
  const string path =
      Make([&](hid_t id) { MakeCompressed(id, "x", {zeros.size()}, zeros.data()); });
  ASSERT_LT(std::filesystem::file_size(path), 1u << 20);
  Hdf5Reader reader = DefaultHdf5Reader(std::filesystem::file_size(path));
  EXPECT_GT(Hdf5Copy(path, reader).size(), zeros.size() * sizeof(float));
  reader.bytes = 16 << 20;
  EXPECT_THAT(MessageOf<FileError>([&] { Hdf5Copy(path, reader); }),
              AllOf(HasSubstr(path), HasSubstr("memory")));
}

TEST_F(Hdf5GuardTest, ACopyHasTheValuesOfEveryLayoutAndType) {
  constexpr hsize_t kCount = 40000;  // too many to be copied if they are as in memory
  vector<float> many(kCount), few = {1, -2, 3};
  for (hsize_t i = 0; i < kCount; ++i) many[i] = static_cast<float>(i % 1000) - 500;
  for (const hsize_t user_block : {0, 1024}) {
    const string path = Make(
        [&](hid_t id) {
          const hsize_t three = 3;
          H5LTmake_dataset_float(id, "few", 1, &three, few.data());
          H5LTmake_dataset_float(id, "many", 1, &kCount, many.data());
          MakeCompressed(id, "compressed", {kCount / 4, 4}, many.data());
          const vector<double> doubles(many.begin(), many.end());
          H5LTmake_dataset_double(id, "doubles", 1, &kCount, doubles.data());
          const hid_t space = H5Screate_simple(1, &kCount, nullptr);
          const hid_t big = H5Dcreate2(id, "big endian", H5T_IEEE_F32BE, space,
                                       H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
          H5Dwrite(big, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, many.data());
          H5Dclose(big);
          H5Sclose(space);
          H5Lcreate_soft("/many", id, "soft", H5P_DEFAULT, H5P_DEFAULT);
          H5Lcreate_soft("/nothing", id, "nowhere", H5P_DEFAULT, H5P_DEFAULT);
        },
        user_block);
    const Hdf5File file = Hdf5File::Open(path);
    EXPECT_EQ(Values(file.id(), "few"), few);
    for (const char* name : {"many", "compressed", "doubles", "big endian", "soft"}) {
      EXPECT_EQ(Values(file.id(), name), many) << name;
    }
    EXPECT_FALSE(hdf5_has_link(file.id(), "nowhere"));
    EXPECT_EQ(hdf5_get_num_links(file.id()), 6);
  }
}

TEST_F(Hdf5GuardTest, RingsOfGroupsEnd) {
  const string path = Make([](hid_t id) {
    const hid_t group = H5Gcreate2(id, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(id, "/", group, "b", H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(group);
  });
  EXPECT_THAT(MessageOf<FileError>([&] { Hdf5File::Open(path); }),
              HasSubstr("nested deeper than 100"));
}

TEST_F(Hdf5GuardTest, TwoCopiesOfOneFileAreOpenAtOnce) {
  const string path = folder_ / "f.h5";
  const auto write = [&](int value) {
    Hdf5Writer writer(path);
    hdf5_save_int(writer.id(), "x", value);
    writer.Commit();
  };
  write(1);
  const Hdf5File first = Hdf5File::Open(path);
  write(2);
  const Hdf5File second = Hdf5File::Open(path);
  EXPECT_EQ(hdf5_load_int(first.id(), "x"), 1);
  EXPECT_EQ(hdf5_load_int(second.id(), "x"), 2);
  EXPECT_THAT(MessageOf<FileError>([&] { hdf5_load_int(second.id(), "y"); }),
              HasSubstr("'" + path + "': dataset '/y' does not exist"));
}

TEST_F(Hdf5GuardTest, WorksWithoutStandardDescriptors) {
  const string path = Make([](hid_t id) {
    const hsize_t one = 1;
    const int value = 5;
    H5LTmake_dataset_int(id, "x", 1, &one, &value);
  });
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        for (int fd = 0; fd < 3; ++fd) ::close(fd);
        _exit(hdf5_load_int(Hdf5File::Open(path).id(), "x"));
      },
      ::testing::ExitedWithCode(5), "");
}

}  // namespace
}  // namespace caffe
