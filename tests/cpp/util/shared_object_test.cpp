#include "caffe/util/shared_object.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <link.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "caffe/error.hpp"
#include "fill.hpp"

namespace caffe {
namespace test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

class SharedObjectTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "shared_object_" +
            ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".so";
    good_ = Bytes(CAFFE_TEST_PLUGINS "/libunit_norm.so");
    ASSERT_GT(good_.size(), sizeof(ElfW(Ehdr)));
  }
  void TearDown() override { std::filesystem::remove(path_); }

  void Write(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary).write(bytes.data(), bytes.size());
  }

  /// The message of the FileError, "" if the file was read.
  std::string RefusalOf(const std::string& bytes) {
    Write(bytes);
    try {
      ReadSharedObject(path_);
    } catch (const FileError& error) {
      return error.what();
    }
    return "";
  }

  /// The good file with its header changed by `change`.
  template <typename Change>
  std::string WithHeader(Change change) const {
    std::string bytes = good_;
    ElfW(Ehdr) header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    change(&header);
    std::memcpy(bytes.data(), &header, sizeof(header));
    return bytes;
  }

  std::string path_;
  std::string good_;
};

TEST_F(SharedObjectTest, ReadsWhatALibraryWasLinkedWith) {
  const SharedObject object = ReadSharedObject(CAFFE_TEST_PLUGINS "/libunit_norm.so");
  EXPECT_THAT(object.needed, Contains(StartsWith("libcaffe.so.")));
  EXPECT_THAT(object.needed, Contains(StartsWith("libc.so.")));
  const SharedObject other = ReadSharedObject(CAFFE_TEST_PLUGINS "/other/libcaffe.so");
  EXPECT_EQ(other.soname, "libcaffe.so.9.9");
}

TEST_F(SharedObjectTest, RefusesWhatIsNone) {
  EXPECT_THAT(RefusalOf(""), HasSubstr("not a shared object"));
  EXPECT_THAT(RefusalOf("#include <vector>\n"), HasSubstr("not a shared object"));
  EXPECT_THAT(RefusalOf(std::string(4096, '\0')), HasSubstr("first bytes"));
  EXPECT_THAT(RefusalOf(WithHeader([](auto* h) { h->e_type = ET_REL; })),
              HasSubstr("not linked yet"));
  EXPECT_THAT(RefusalOf(WithHeader([](auto* h) { h->e_type = ET_EXEC; })),
              HasSubstr("a program"));
  EXPECT_THAT(RefusalOf(WithHeader([](auto* h) { h->e_ident[EI_CLASS] ^= 3; })),
              HasSubstr("another machine"));
  EXPECT_THAT(RefusalOf(WithHeader([](auto* h) { h->e_phnum = 0; })),
              HasSubstr("dynamic section"));
  EXPECT_THAT(
      RefusalOf(WithHeader([](auto* h) { h->e_phoff = ~decltype(h->e_phoff){0}; })),
      HasSubstr("program header"));
  EXPECT_THAT(RefusalOf(WithHeader([](auto* h) { h->e_phnum = 0xffff; })),
              HasSubstr("program header"));
}

TEST_F(SharedObjectTest, NoTruncationOrDamageDoesHarm) {
  for (std::size_t size = 0; size < good_.size(); size += 1 + size / 16) {
    Write(good_.substr(0, size));
    try {
      ReadSharedObject(path_);
    } catch (const FileError& error) {
      EXPECT_THAT(error.what(), HasSubstr("shared object")) << "cut at " << size;
    }
  }
  // Everything before the code: headers, segments, names and the dynamic section.
  for (int round = 0; round < 300; ++round) {
    std::string bytes = good_;
    for (int i = 0; i < 8; ++i) {
      const std::uint64_t bits = Bits(round, i);
      bytes[(bits >> 8) % 4096] = static_cast<char>(bits);
    }
    Write(bytes);
    try {
      ReadSharedObject(path_);
    } catch (const FileError& error) {
      EXPECT_THAT(error.what(), HasSubstr("shared object")) << "round " << round;
    }
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
