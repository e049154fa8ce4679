#include "caffe/util/db.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/data_test.hpp"
#include "util/file_size_limit.hpp"

namespace caffe {
namespace test {
namespace {

// Lengths around what decides where LMDB puts a value: inside a leaf page, or in
// overflow pages of their own.
Entries SomeEntries(int count) {
  const size_t lengths[] = {0, 1, 100, 1900, 2100, 4080, 4081, 10000, 70000};
  Entries entries;
  for (int i = 0; i < count; ++i) {
    std::string value(lengths[i % std::size(lengths)], '\0');
    for (size_t j = 0; j < value.size(); ++j) value[j] = static_cast<char>(Bits(i, j));
    entries.emplace_back(Key(i), value);
  }
  return entries;
}

class DatabaseTest : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<db::DB> Open(const std::string& path, db::Mode mode) {
    std::unique_ptr<db::DB> database(db::GetDB(std::string(GetParam())));
    database->Open(path, mode);
    return database;
  }

  TemporaryFolder folder_;
};

TEST_P(DatabaseTest, GivesBackWhatWasStoredInTheOrderOfKeys) {
  const Entries entries = SomeEntries(500);
  Entries shuffled = entries;
  for (size_t i = shuffled.size() - 1; i > 0; --i) {
    std::swap(shuffled[i], shuffled[Bits(1, i) % (i + 1)]);
  }
  WriteDatabase(folder_ / "db", shuffled, GetParam());
  EXPECT_EQ(ReadDatabase(folder_ / "db", GetParam()), entries);
  EXPECT_EQ(Open(folder_ / "db", db::READ)->Count(), entries.size());
}

TEST_P(DatabaseTest, AddsToAnExistingDatabase) {
  Entries entries = SomeEntries(20);
  WriteDatabase(folder_ / "db", {entries.begin(), entries.begin() + 10}, GetParam());
  {
    const auto database = Open(folder_ / "db", db::WRITE);
    const std::unique_ptr<db::Transaction> transaction(database->NewTransaction());
    for (int i = 10; i < 20; ++i) transaction->Put(entries[i].first, entries[i].second);
    transaction->Put(entries[3].first, "replaced");
    transaction->Commit();
    // A cursor sees what has been committed, while the database is open to write.
    const std::unique_ptr<db::Cursor> cursor(database->NewCursor());
    EXPECT_EQ(cursor->key(), entries[0].first);
    EXPECT_EQ(database->Count(), entries.size());
  }
  entries[3].second = "replaced";
  EXPECT_EQ(ReadDatabase(folder_ / "db", GetParam()), entries);
}

TEST_P(DatabaseTest, SkipsAsIfByNext) {
  const Entries entries = SomeEntries(1000);
  WriteDatabase(folder_ / "db", entries, GetParam());
  const auto database = Open(folder_ / "db", db::READ);
  for (const size_t step : {1u, 2u, 7u, 90u, 333u}) {
    const std::unique_ptr<db::Cursor> cursor(database->NewCursor());
    for (size_t i = 0; i < entries.size(); i += step) {
      ASSERT_TRUE(cursor->valid());
      ASSERT_EQ(cursor->key(), entries[i].first);
      ASSERT_EQ(cursor->value(), entries[i].second);
      cursor->Skip(step);
    }
    EXPECT_FALSE(cursor->valid());
    cursor->SeekToFirst();
    cursor->Skip(entries.size() + 5);
    EXPECT_FALSE(cursor->valid());
  }
}

TEST_P(DatabaseTest, HasNoEntriesWhenNew) {
  const auto database = Open(folder_ / "db", db::NEW);
  const std::unique_ptr<db::Transaction> transaction(database->NewTransaction());
  transaction->Commit();
  EXPECT_EQ(database->Count(), 0u);
  const std::unique_ptr<db::Cursor> cursor(database->NewCursor());
  EXPECT_FALSE(cursor->valid());
}

TEST_P(DatabaseTest, ForgetsWhatWasNotCommitted) {
  {
    const auto database = Open(folder_ / "db", db::NEW);
    std::unique_ptr<db::Transaction> transaction(database->NewTransaction());
    transaction->Put("a", "1");
    transaction->Commit();
    transaction.reset(database->NewTransaction());
    transaction->Put("b", "2");
  }
  EXPECT_EQ(ReadDatabase(folder_ / "db", GetParam()), (Entries{{"a", "1"}}));
}

TEST_P(DatabaseTest, KeepsCommittedEntriesWhenTheWriterIsKilled) {
  const Entries entries = SomeEntries(300);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto database = Open(folder_ / "db", db::NEW);
    const std::unique_ptr<db::Transaction> transaction(database->NewTransaction());
    for (const auto& [key, value] : entries) transaction->Put(key, value);
    transaction->Commit();
    for (const auto& [key, value] : entries) transaction->Put("later" + key, value);
    raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(ReadDatabase(folder_ / "db", GetParam()), entries);
}

TEST_P(DatabaseTest, SaysSoWhenTheDiskIsFull) {
  const Entries small = {{"a", "1"}};
  WriteDatabase(folder_ / "db", small, GetParam());
  {
    const auto database = Open(folder_ / "db", db::WRITE);
    const std::unique_ptr<db::Transaction> transaction(database->NewTransaction());
    transaction->Put("b", std::string(4 << 20, 'x'));
    const FileSizeLimit limit(1 << 20);
    const std::string reason =
        std::string(GetParam()) == "lmdb" ? "is the disk full?" : "File too large";
    ExpectError(ErrorKind::kFile, {folder_ / "db", reason},
                [&] { transaction->Commit(); });
  }
  EXPECT_EQ(ReadDatabase(folder_ / "db", GetParam()), small);
}

TEST_P(DatabaseTest, RefusesToReplaceWhatExists) {
  WriteDatabase(folder_ / "db", {{"a", "1"}}, GetParam());
  ExpectError(ErrorKind::kFile, {folder_ / "db", "exists already"},
              [&] { Open(folder_ / "db", db::NEW); });
  EXPECT_EQ(ReadDatabase(folder_ / "db", GetParam()), (Entries{{"a", "1"}}));
  WriteBytes(folder_ / "file", "");
  ExpectError(ErrorKind::kFile, {"exists already"},
              [&] { Open(folder_ / "file", db::NEW); });
}

TEST_P(DatabaseTest, NamesWhatIsMissing) {
  ExpectError(ErrorKind::kFile, {folder_ / "none"},
              [&] { Open(folder_ / "none", db::READ); });
  EXPECT_FALSE(std::filesystem::exists(folder_ / "none"));
  ExpectError(ErrorKind::kFile, {folder_ / "no/parent"},
              [&] { Open(folder_ / "no/parent", db::NEW); });
  std::filesystem::create_directory(folder_ / "empty");
  ExpectError(ErrorKind::kFile, {folder_ / "empty"},
              [&] { Open(folder_ / "empty", db::READ); });
}

TEST_P(DatabaseTest, IsToldApartFromTheOtherBackend) {
  const std::string other = std::string(GetParam()) == "lmdb" ? "leveldb" : "lmdb";
  const std::string file = other == "lmdb" ? "data.mdb" : "CURRENT";
  std::filesystem::create_directory(folder_ / "db");
  WriteBytes(folder_ / "db/" + file, "");
  ExpectError(ErrorKind::kFile, {other == "lmdb" ? "backend: LMDB" : "backend: LEVELDB"},
              [&] { Open(folder_ / "db", db::READ); });
}

INSTANTIATE_TEST_SUITE_P(Lmdb, DatabaseTest, ::testing::Values("lmdb"));
#ifdef USE_LEVELDB
INSTANTIATE_TEST_SUITE_P(LevelDB, DatabaseTest, ::testing::Values("leveldb"));

TEST(LevelDBTest, IsMadeInAnEmptyFolder) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "db");
  const Entries entries = {{"a", "1"}, {"b", "2"}};
  WriteDatabase(folder / "db", entries, "leveldb");
  EXPECT_EQ(ReadDatabase(folder / "db", "leveldb"), entries);
}

TEST(LevelDBTest, CanBeOpenedAgainWhileCursorsOfAClosedOneAreThere) {
  TemporaryFolder folder;
  const Entries entries = {{"a", "1"}, {"b", "2"}};
  WriteDatabase(folder / "db", entries, "leveldb");
  std::unique_ptr<db::DB> first(db::GetDB("leveldb"));
  first->Open(folder / "db", db::WRITE);
  const std::unique_ptr<db::Cursor> cursor(first->NewCursor());
  std::unique_ptr<db::Cursor> gone_before(first->NewCursor());
  const std::unique_ptr<db::Transaction> transaction(first->NewTransaction());
  transaction->Put("c", "3");
  gone_before.reset();
  first->Close();
  EXPECT_EQ(ReadDatabase(folder / "db", "leveldb"), entries);
  first.reset();
  for (const std::function<void()>& use : std::vector<std::function<void()>>{
           [&] { cursor->valid(); }, [&] { cursor->Next(); }, [&] { cursor->key(); },
           [&] { cursor->value(); }, [&] { cursor->SeekToFirst(); },
           [&] { transaction->Commit(); }}) {
    ExpectError(ErrorKind::kValue, {folder / "db", "closed"}, use);
  }
}

TEST(LevelDBTest, NamesTheDatabaseThatIsOpenElsewhere) {
  TemporaryFolder folder;
  WriteDatabase(folder / "db", {{"a", "1"}}, "leveldb");
  const std::unique_ptr<db::DB> first(db::GetDB("leveldb"));
  first->Open(folder / "db", db::READ);
  const std::unique_ptr<db::DB> second(db::GetDB("leveldb"));
  ExpectError(ErrorKind::kFile, {folder / "db", "lock"},
              [&] { second->Open(folder / "db", db::READ); });
}

TEST(LevelDBTest, FindsDamagedBlocks) {
  TemporaryFolder folder;
  Entries entries = SomeEntries(200);
  WriteDatabase(folder / "db", entries, "leveldb");
  ReadDatabase(folder / "db", "leveldb");  // turns the log into a table
  ASSERT_EQ(ReadDatabase(folder / "db", "leveldb"), entries);
  int tables = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder / "db")) {
    if (file.path().extension() != ".ldb") continue;
    std::string bytes = ReadBytes(file.path());
    bytes[bytes.size() / 2] ^= 1;
    WriteBytes(file.path(), bytes);
    ++tables;
  }
  ASSERT_GT(tables, 0);
  ExpectError(ErrorKind::kFile, {folder / "db"},
              [&] { ReadDatabase(folder / "db", "leveldb"); });
}
#else
TEST(LevelDBTest, SaysThatItIsNotBuiltIn) {
  ExpectError(ErrorKind::kNotImplemented, {"LevelDB", "backend: LMDB"},
              [] { db::GetDB("leveldb"); });
}
#endif

TEST(GetDBTest, NamesTheBackendsForAnUnknownOne) {
  ExpectError(ErrorKind::kValue, {"'hdf5'", "lmdb", "leveldb"},
              [] { db::GetDB("hdf5"); });
}

}  // namespace
}  // namespace test
}  // namespace caffe
