#include "caffe/data/database_builder.hpp"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "data/data_test.hpp"

namespace caffe {
namespace test {
namespace {

// Image i has 100 i bytes, so that several make a page; every fifth is rejected.
ImageRecord Record(std::size_t number) {
  ImageRecord record;
  if (number % 5 == 3) {
    record.reason = Str("image ", number, " is \"bad\"\\\nin two lines");
  } else {
    record.value = RawDatum(static_cast<int>(number), 1, 100,
                            static_cast<int>(number) + 1, static_cast<int>(number))
                       .SerializeAsString();
    record.channels = 1;
    record.height = 100;
    record.width = static_cast<int>(number) + 1;
  }
  return record;
}

std::vector<ListedImage> Images(int count) {
  std::vector<ListedImage> images;
  for (int i = 0; i < count; ++i) {
    images.push_back({.path = Str("image", i), .label = i % 3, .line = i + 1});
  }
  return images;
}

class DatabaseBuilderTest : public ::testing::TestWithParam<const char*> {
 protected:
  DatabaseBuilderTest() {
    options_.commit_images = 4;
    options_.threads = 1;
    options_.settings = {{"-flag", "1"}};
  }

  BuildResult Build(const std::string& database, const DataProgress& progress = nullptr) {
    DatabaseBuilder builder(database, GetParam());
    const BuildResult result = builder.Build(images_, Record, options_, progress);
    builder.Publish();
    return result;
  }
  /// Stops after so many images.
  void Interrupt(const std::string& database, std::uint64_t after) {
    struct Stop {};
    EXPECT_THROW(Build(database,
                       [=](std::uint64_t done, std::uint64_t) {
                         if (done == after) throw Stop();
                       }),
                 Stop);
  }
  std::vector<std::string> Names(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  TemporaryFolder folder_;
  std::vector<ListedImage> images_ = Images(19);
  BuildOptions options_;
};

// What there is to store, computed apart from the builder.
Entries Expected(int count) {
  Entries entries;
  for (int i = 0; i < count; ++i) {
    if (i % 5 != 3) entries.emplace_back(Str(Key(i), "_image", i), Record(i).value);
  }
  return entries;
}

void ExpectWhole(const BuildResult& result) {
  const Entries expected = Expected(19);
  EXPECT_EQ(result.listed, 19u);
  EXPECT_EQ(result.written, 15u);
  std::uint64_t bytes = 0;
  for (const auto& [key, value] : expected) bytes += key.size() + value.size();
  EXPECT_EQ(result.bytes, bytes);
  EXPECT_EQ(result.class_counts, (std::map<int, std::uint64_t>{{0, 5}, {1, 5}, {2, 5}}));
  ASSERT_EQ(result.rejected.size(), 4u);
  for (int i = 0; i < 4; ++i) {
    const int number = 5 * i + 3;
    EXPECT_EQ(result.rejected[i].name, Str("image", number));
    EXPECT_EQ(result.rejected[i].line, number + 1);
    EXPECT_EQ(result.rejected[i].reason, Record(number).reason);
  }
}

TEST_P(DatabaseBuilderTest, BuildsInOneGo) {
  const BuildResult result = Build(folder_ / "db");
  ExpectWhole(result);
  EXPECT_EQ(ReadDatabase(folder_ / "db", GetParam()), Expected(19));
  EXPECT_EQ(result.resumed, 0u);
  EXPECT_EQ(folder_.NumFiles(), 1);
  if (std::string(GetParam()) == "lmdb") {
    EXPECT_EQ(Names(folder_ / "db"), std::vector<std::string>{"data.mdb"});
  }
}

TEST_P(DatabaseBuilderTest, GoesOnWhereAnErrorStoppedIt) {
  for (std::uint64_t after = 1; after <= 19; ++after) {
    const std::string database = folder_ / Str("db", after);
    Interrupt(database, after);
    EXPECT_FALSE(std::filesystem::exists(database));
    // Of the first `after` images all that were stored, in transactions of four.
    std::uint64_t stored = 0;
    for (std::uint64_t i = 0; i < after; ++i) stored += i % 5 != 3;
    stored -= stored % 4;
    EXPECT_EQ(std::filesystem::exists(database + ".partial"), stored > 0);
    const BuildResult result = Build(database);
    EXPECT_EQ(result.resumed, stored);
    ExpectWhole(result);
    EXPECT_EQ(ReadDatabase(database, GetParam()), Expected(19));
    EXPECT_EQ(folder_.NumFiles(), static_cast<int>(after));
  }
}

// Calls of the system that change what is on the disk.
bool ChangesFiles(std::uint64_t number) {
  switch (number) {
#ifdef SYS_open
    case SYS_open:
    case SYS_mkdir:
    case SYS_rename:
    case SYS_unlink:
    case SYS_rmdir:
#endif
#ifdef SYS_renameat
    case SYS_renameat:
#endif
    case SYS_openat:
    case SYS_mkdirat:
    case SYS_renameat2:
    case SYS_unlinkat:
    case SYS_write:
    case SYS_writev:
    case SYS_pwrite64:
    case SYS_pwritev:
    case SYS_ftruncate:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_flock:
      return true;
    default:
      return false;
  }
}

enum class End { kKilled, kDone, kCannotTrace };

/// Runs `action` in a process that is killed when it is about to make the call number
/// `moment` of those that change files.
template <typename Action>
End KilledAt(int moment, Action action) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(3);
    ::raise(SIGSTOP);
    action();
    ::_exit(0);
  }
  int status = 0;
  const auto stopped = [&] {
    return ::waitpid(child, &status, 0) == child && WIFSTOPPED(status);
  };
  // Only this thread is traced; the others read images, and die with it.
  if (!stopped() || ::ptrace(PTRACE_SETOPTIONS, child, nullptr,
                             PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) != 0) {
    return End::kCannotTrace;
  }
  for (int signal = 0;;) {
    ::ptrace(PTRACE_SYSCALL, child, nullptr, signal);
    if (!stopped()) break;
    signal = WSTOPSIG(status);
    if (signal != (SIGTRAP | 0x80)) continue;
    signal = 0;
    __ptrace_syscall_info call{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(call), &call) <= 0) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return End::kCannotTrace;
    }
    if (call.op == PTRACE_SYSCALL_INFO_ENTRY && ChangesFiles(call.entry.nr) &&
        moment-- == 0) {
      ::kill(child, SIGKILL);
    }
  }
  if (WIFSIGNALED(status)) return End::kKilled;
  EXPECT_EQ(status, 0);
  return End::kDone;
}

// From the creation of the folder to the last file's removal, in the first run and in the
// one that goes on.
TEST_P(DatabaseBuilderTest, GoesOnWhereverItWasKilled) {
  int moment = 0;
  for (;; ++moment) {
    const std::string database = folder_ / "db";
    const End end = KilledAt(moment, [&] { Build(database); });
    if (end == End::kCannotTrace) GTEST_SKIP() << "processes cannot be traced here";
    // Killed again, somewhere else in the second run.
    if (!std::filesystem::exists(database)) {
      KilledAt((7 * moment) % 40, [&] { Build(database); });
    }
    if (!std::filesystem::exists(database)) {
      ExpectWhole(Build(database));
      EXPECT_EQ(ReadDatabase(database, GetParam()), Expected(19));
      for (const std::string& name : Names(database)) {
        EXPECT_EQ(name.find(kBuildStateFile), name.npos) << "moment " << moment;
        EXPECT_NE(name, "lock.mdb") << "moment " << moment;
      }
    } else {
      EXPECT_EQ(ReadDatabase(database, GetParam()), Expected(19)) << "moment " << moment;
    }
    EXPECT_EQ(folder_.NumFiles(), 1) << "moment " << moment;
    ASSERT_FALSE(HasFailure()) << "moment " << moment;
    std::filesystem::remove_all(database);
    if (end == End::kDone) break;
  }
  EXPECT_GT(moment, 30) << "or this kills nowhere";
}

TEST_P(DatabaseBuilderTest, TellsOtherSettings) {
  const std::string database = folder_ / "db";
  Interrupt(database, 10);
  const auto refused = [&](const std::string& difference) {
    ExpectError(ErrorKind::kValue,
                {"'" + database + ".partial' was begun with " + difference +
                 "; give what it was begun with, or remove it"},
                [&] { Build(database); });
  };
  options_.settings = {{"-flag", "2"}};
  refused("-flag 1, now -flag 2");
  options_.settings = {};
  refused("-flag 1, now no -flag");
  options_.settings = {{"-flag", "1"}, {"-more", "3"}};
  refused("no -more, now -more 3");
  options_.settings = {{"-flag", "1"}, {"other classes", "3"}};
  refused("other classes");
  options_.settings = {{"-flag", "1"}};
  std::swap(images_[1], images_[2]);
  refused("another order of the images");
  images_[1].label = 9;
  refused("other images or labels");
  images_ = Images(18);
  refused("other images or labels");
  images_ = Images(19);
  ExpectWhole(Build(database));
  EXPECT_EQ(ReadDatabase(database, GetParam()), Expected(19));
}

TEST_P(DatabaseBuilderTest, ChecksTheSizeAgainstAnEarlierRunsFirstImage) {
  options_.check_size = true;
  options_.commit_images = 1;
  const std::string database = folder_ / "db";
  Interrupt(database, 3);
  const BuildResult result = Build(database);
  EXPECT_EQ(result.written, 1u);
  EXPECT_EQ(
      result.rejected.front().reason,
      "'image1' is 1 x 100 x 2, expected 1 x 100 x 1 (channels, height, width) like "
      "the first image");
  EXPECT_EQ(result.rejected.size(), 18u);
}

TEST_P(DatabaseBuilderTest, RefusesWhatItDidNotBegin) {
  const std::string partial = folder_ / "db.partial";
  std::filesystem::create_directory(partial);
  WriteBytes(partial + "/precious", "data");
  ExpectError(ErrorKind::kValue, {partial, "no work of ours; remove it"},
              [&] { Build(folder_ / "db"); });
  EXPECT_EQ(ReadBytes(partial + "/precious"), "data");
  std::filesystem::remove_all(partial);
  WriteBytes(partial, "a file");
  ExpectError(ErrorKind::kFile, {partial, "Not a directory"},
              [&] { Build(folder_ / "db"); });
  std::filesystem::remove(partial);
  std::filesystem::create_symlink("nowhere", partial);
  ExpectError(ErrorKind::kFile, {partial}, [&] { Build(folder_ / "db"); });
}

TEST_P(DatabaseBuilderTest, RefusesADamagedState) {
  const std::string database = folder_ / "db";
  Interrupt(database, 10);
  const std::string path = database + ".partial/" + kBuildStateFile;
  const std::string good = ReadBytes(path);
  ASSERT_FALSE(good.empty());
  for (std::size_t size = 0; size + 1 < good.size(); size += 7) {
    WriteBytes(path, good.substr(0, size));
    EXPECT_THROW(Build(database), Error) << size;
    EXPECT_TRUE(std::filesystem::exists(database + ".partial")) << size;
  }
  for (const char* text : {"stored 1 1\nstored 1 1\n", "nonsense\n", "stored 1\n"}) {
    WriteBytes(path, std::string("database in the making 1\n") + text + good);
    ExpectError(ErrorKind::kFile, {path, "damaged; remove its folder"},
                [&] { Build(database); });
  }
  WriteBytes(path, good);
  ExpectWhole(Build(database));
  EXPECT_EQ(ReadDatabase(database, GetParam()), Expected(19));
}

TEST_P(DatabaseBuilderTest, RefusesADatabaseThatIsNotWhatItsStateTells) {
  const std::string database = folder_ / "db", partial = database + ".partial";
  Interrupt(database, 18);
  const auto add = [&](const std::string& key) {
    const std::unique_ptr<db::DB> db(db::GetDB(GetParam()));
    db->Open(partial, db::WRITE);
    const std::unique_ptr<db::Transaction> transaction(db->NewTransaction());
    transaction->Put(key, "x");
    transaction->Commit();
  };
  add("00000015_image15");
  add("00000016_image16");
  ExpectError(ErrorKind::kFile, {partial, "holds 14 images, expected 12", "remove it"},
              [&] { Build(database); });
  add("00000017_other");
  ExpectError(ErrorKind::kFile,
              {partial, "'00000017_other', which the list has not there"},
              [&] { Build(database); });
}

#ifdef USE_LEVELDB
#define BACKENDS "lmdb", "leveldb"
#else
#define BACKENDS "lmdb"
#endif
INSTANTIATE_TEST_SUITE_P(Backends, DatabaseBuilderTest, ::testing::Values(BACKENDS));

}  // namespace
}  // namespace test
}  // namespace caffe
