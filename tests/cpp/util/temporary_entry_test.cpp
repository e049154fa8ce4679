#include "caffe/util/temporary_entry.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

#include "caffe/util/atomic_file.hpp"
#include "util/temporary_folder.hpp"

namespace caffe {
namespace {

using test::TemporaryFolder;
using test::WriteBytes;
namespace fs = std::filesystem;

std::string BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id;
}

// Runs `action` in another process, which is killed at its end.
template <typename Action>
void Killed(Action action) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    action();
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
}

// A folder, locked, of a name such as `file` has; pycaffe makes them.
std::string LockedFolder(std::string file, int* fd) {
  char& digit = file[file.size() - std::string(".caffe-tmp").size() - 1];
  digit = digit == '0' ? '1' : '0';
  fs::create_directory(file);
  *fd = ::open(file.c_str(), O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(::flock(*fd, LOCK_EX), 0);
  return file;
}

TEST(TemporaryEntryTest, NamesTellTheTargetAndTheMachine) {
  TemporaryFolder folder;
  std::string path;
  const int fd = CreateTemporaryFile(folder / "weights.caffemodel", 0600, &path);
  ASSERT_GE(fd, 0);
  ::close(fd);
  EXPECT_TRUE(std::regex_match(
      path, std::regex(folder / (R"(\.weights\.caffemodel\.)" + BootId() +
                                 R"(-[0-9a-f]{16}\.caffe-tmp)"))))
      << path;
}

TEST(TemporaryEntryTest, LongNamesAreCutBetweenCharacters) {
  TemporaryFolder folder;
  std::string name = "n", path;
  while (name.size() < 250) name += "\xC3\xA9";
  const int fd = CreateTemporaryFile(folder / name, 0600, &path);
  ASSERT_GE(fd, 0);
  ::close(fd);
  const std::string stem = fs::path(path).filename().string().substr(1, 180);
  EXPECT_EQ(stem, name.substr(0, 179) + ".");
}

TEST(TemporaryEntryTest, WhatKilledProcessesLeftIsRemoved) {
  TemporaryFolder folder;
  Killed([&] {
    std::string path;
    CreateTemporaryFile(folder / "a", 0600, &path);
    int folder_fd = -1;
    WriteBytes(LockedFolder(path, &folder_fd) + "/content", "x");
    AtomicFile file(folder / "c");
    file.Write("half", 4);
    ::raise(SIGKILL);
  });
  EXPECT_EQ(folder.NumFiles(), 3);
  WriteFileAtomically(folder / "f", "x");
  EXPECT_EQ(folder.NumFiles(), 1);
}

TEST(TemporaryEntryTest, WhatLivingProcessesWriteStays) {
  TemporaryFolder folder;
  std::string file;
  const int fd = CreateTemporaryFile(folder / "a", 0600, &file);
  int folder_fd = -1;
  const std::string in_folder = LockedFolder(file, &folder_fd);
  RemoveAbandoned(folder.path());
  Killed([&] {
    // Not even if a descendant, which has the descriptors too, is the one that removes.
    RemoveAbandoned(folder.path());
  });
  EXPECT_TRUE(fs::exists(file));
  EXPECT_TRUE(fs::exists(in_folder));
  ::close(fd);
  RemoveAbandoned(folder.path());
  EXPECT_FALSE(fs::exists(file));
  EXPECT_TRUE(fs::exists(in_folder));
  ::close(folder_fd);
}

// Of another machine or container host, or of nobody's: nobody here can know.
TEST(TemporaryEntryTest, WhatIsNotThisMachinesStays) {
  TemporaryFolder folder;
  std::string path;
  ::close(CreateTemporaryFile(folder / "a", 0600, &path));
  const std::string name = fs::path(path).filename().string();
  const std::string boot = BootId();
  std::string other = name;
  other.replace(name.find(boot), boot.size(), "01234567-89ab-cdef-0123-456789abcdef");
  for (const std::string& kept :
       {other, name.substr(1), name + ".old", std::string("a.caffe-tmp"),
        std::string(".a." + boot + "-short.caffe-tmp")}) {
    WriteBytes(folder / kept, "x");
  }
  fs::create_symlink("gone",
                     folder / ("." + name.substr(0, name.size() - 11) + "0.caffe-tmp"));
  RemoveAbandoned(folder.path());
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(folder.NumFiles(), 6);
}

TEST(TemporaryEntryTest, AFolderThatCannotBeRead) {
  RemoveAbandoned("/no/such/folder");
  RemoveAbandoned("/dev/null");
  std::string path;
  EXPECT_LT(CreateTemporaryFile("/no/such/folder/f", 0600, &path), 0);
  EXPECT_EQ(errno, ENOENT);
}

// Many at once create, remove and commit in one folder: none takes another one's away.
TEST(TemporaryEntryTest, WritersAtTheSameTime) {
  TemporaryFolder folder;
  constexpr int kProcesses = 4, kFiles = 60;
  pid_t children[kProcesses];
  for (int p = 0; p < kProcesses; ++p) {
    children[p] = ::fork();
    if (children[p] != 0) continue;
    try {
      for (int i = 0; i < kFiles; ++i) {
        WriteFileAtomically(folder / Str("f", p, "_", i), Str(p, i));
      }
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(folder.NumFiles(), kProcesses * kFiles);
}

}  // namespace
}  // namespace caffe
