#include "caffe/util/atomic_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

#include "caffe/error.hpp"
#include "util/file_size_limit.hpp"
#include "util/temporary_folder.hpp"

namespace caffe {
namespace {

using test::FileSizeLimit;
using test::MessageOf;
using test::ReadBytes;
using test::TemporaryFolder;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

TEST(AtomicFileTest, CreatesAndReplaces) {
  TemporaryFolder folder;
  WriteFileAtomically(folder / "f", "old");
  EXPECT_EQ(ReadBytes(folder / "f"), "old");
  WriteFileAtomically(folder / "f", std::string("n\0w", 3));
  EXPECT_EQ(ReadBytes(folder / "f"), std::string("n\0w", 3));
  EXPECT_EQ(folder.NumFiles(), 1);
}

TEST(AtomicFileTest, RelativePaths) {
  TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  WriteFileAtomically("plain", "x");
  fs::current_path(before);
  EXPECT_EQ(ReadBytes(folder / "plain"), "x");
}

TEST(AtomicFileTest, NothingShowsBeforeCommit) {
  TemporaryFolder folder;
  WriteFileAtomically(folder / "f", "old");
  {
    AtomicFile file(folder / "f");
    file.Write("new", 3);
    EXPECT_EQ(ReadBytes(folder / "f"), "old");
  }
  EXPECT_EQ(ReadBytes(folder / "f"), "old");
  EXPECT_EQ(folder.NumFiles(), 1);
}

TEST(AtomicFileTest, AnExceptionLeavesTheOldFile) {
  TemporaryFolder folder;
  WriteFileAtomically(folder / "f", "old");
  EXPECT_THROW(WriteFileAtomically(folder / "f",
                                   [](AtomicFile* file) {
                                     file->Write("half", 4);
                                     throw std::runtime_error("stop");
                                   }),
               std::runtime_error);
  EXPECT_EQ(ReadBytes(folder / "f"), "old");
  EXPECT_EQ(folder.NumFiles(), 1);
}

TEST(AtomicFileTest, AFullDiskLeavesTheOldFile) {
  TemporaryFolder folder;
  WriteFileAtomically(folder / "f", "old");
  const std::string message = MessageOf<FileError>([&] {
    const FileSizeLimit limit(1000);
    WriteFileAtomically(folder / "f", std::string(5000, 'x'));
  });
  EXPECT_THAT(message, HasSubstr(folder / "f"));
  EXPECT_THAT(message, HasSubstr("File too large after 1000 bytes"));
  EXPECT_EQ(ReadBytes(folder / "f"), "old");
  EXPECT_EQ(folder.NumFiles(), 1);
}

TEST(AtomicFileTest, DevicesAreWrittenDirectly) {
  EXPECT_THAT(MessageOf<FileError>([] { WriteFileAtomically("/dev/full", "x"); }),
              HasSubstr("cannot write '/dev/full': No space left on device"));
  WriteFileAtomically("/dev/null", "x");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(AtomicFileTest, BadPaths) {
  TemporaryFolder folder;
  EXPECT_THAT(MessageOf<FileError>([&] { WriteFileAtomically(folder / "no/f", "x"); }),
              HasSubstr("create the folder '" + (folder / "no") + "' first"));
  EXPECT_THAT(MessageOf<FileError>([&] { WriteFileAtomically(folder.path(), "x"); }),
              HasSubstr("Is a directory"));
  EXPECT_THAT(MessageOf<FileError>(
                  [&] { WriteFileAtomically(folder / std::string(300, 'n'), "x"); }),
              HasSubstr("File name too long"));
  EXPECT_EQ(folder.NumFiles(), 0);
}

TEST(AtomicFileTest, LongestName) {
  TemporaryFolder folder;
  const std::string name(255, 'n');
  WriteFileAtomically(folder / name, "x");
  EXPECT_EQ(ReadBytes(folder / name), "x");
}

TEST(AtomicFileTest, TheFolderVanishes) {
  TemporaryFolder folder;
  fs::create_directory(folder / "sub");
  AtomicFile file(folder / "sub/f");
  file.Write("x", 1);
  fs::remove_all(folder / "sub");
  EXPECT_THAT(MessageOf<FileError>([&] { file.Commit(); }),
              HasSubstr("No such file or directory"));
}

TEST(AtomicFileTest, FollowsALink) {
  TemporaryFolder folder;
  fs::create_directory(folder / "real");
  WriteFileAtomically(folder / "real/f", "old");
  fs::create_symlink("real/f", folder / "link");
  WriteFileAtomically(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(ReadBytes(folder / "real/f"), "new");
}

TEST(AtomicFileTest, KeepsPermissions) {
  TemporaryFolder folder;
  const mode_t mask = ::umask(022);
  WriteFileAtomically(folder / "f", "x");
  struct stat info;
  ::stat((folder / "f").c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
  ::chmod((folder / "f").c_str(), 0600);
  WriteFileAtomically(folder / "f", "y");
  ::stat((folder / "f").c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ::umask(mask);
}

// A process that is killed at any moment leaves one of the complete versions.
TEST(AtomicFileTest, SurvivesKills) {
  TemporaryFolder folder;
  const std::string path = folder / "f";
  constexpr std::size_t kSize = 200000;
  WriteFileAtomically(path, std::string(kSize, 'a'));
  for (int i = 0; i < 25; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (char c = 'a';; c = c == 'z' ? 'a' : static_cast<char>(c + 1)) {
        WriteFileAtomically(path, std::string(kSize, c));
      }
    }
    ::usleep(static_cast<useconds_t>(500 + 700 * i));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::string bytes = ReadBytes(path);
    ASSERT_EQ(bytes.size(), kSize) << "after kill " << i;
    ASSERT_EQ(bytes, std::string(kSize, bytes[0])) << "after kill " << i;
  }
  WriteFileAtomically(path, "x");
  EXPECT_EQ(folder.NumFiles(), 1) << "what the killed ones left";
}

}  // namespace
}  // namespace caffe
