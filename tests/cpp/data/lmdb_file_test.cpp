#include "caffe/data/lmdb_file.hpp"

#include <lmdb.h>

#include <fstream>
#include <set>

#include "caffe/util/db_lmdb.hpp"
#include "data/data_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr size_t kPage = 4096;

// What the LMDB library itself reads.
Entries ReadByLibrary(const std::string& path) {
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  MDB_dbi table = 0;
  MDB_cursor* cursor = nullptr;
  EXPECT_EQ(mdb_env_create(&env), 0);
  EXPECT_EQ(mdb_env_open(env, path.c_str(), MDB_RDONLY | MDB_NOLOCK, 0), 0);
  EXPECT_EQ(mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn), 0);
  EXPECT_EQ(mdb_dbi_open(txn, nullptr, 0, &table), 0);
  EXPECT_EQ(mdb_cursor_open(txn, table, &cursor), 0);
  Entries entries;
  MDB_val key, value;
  while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
    entries.emplace_back(std::string(static_cast<char*>(key.mv_data), key.mv_size),
                         std::string(static_cast<char*>(value.mv_data), value.mv_size));
  }
  mdb_cursor_close(cursor);
  mdb_txn_abort(txn);
  mdb_env_close(env);
  return entries;
}

// Keys and values of many lengths, several commits, replaced entries.
Entries WriteManyCommits(const std::string& path, int count) {
  db::LMDB database;
  database.Open(path, db::NEW);
  std::map<std::string, std::string> content;
  for (int round = 0; round < 3; ++round) {
    const std::unique_ptr<db::Transaction> transaction(database.NewTransaction());
    for (int i = 0; i < count; ++i) {
      const std::uint64_t bits = Bits(round, i);
      const std::string key = Key(bits % 5000) + std::string(bits % 97, 'k');
      const std::string value(bits % 11 == 0 ? bits % 9000 : bits % 300,
                              static_cast<char>(bits));
      transaction->Put(key, value);
      content[key] = value;
    }
    transaction->Commit();
  }
  return Entries(content.begin(), content.end());
}

TEST(LmdbFileTest, ReadsWhatTheLibraryReads) {
  TemporaryFolder folder;
  const Entries entries = WriteManyCommits(folder / "db", 4000);
  EXPECT_GE(db::LmdbFile(folder / "db").depth(), 3);
  EXPECT_EQ(ReadByLibrary(folder / "db"), entries);
  EXPECT_EQ(ReadDatabase(folder / "db"), entries);
}

TEST(LmdbFileTest, NeverTakesATruncatedFileForAWholeOne) {
  TemporaryFolder folder;
  const Entries entries = WriteManyCommits(folder / "db", 300);
  const size_t whole = std::filesystem::file_size(folder / "db/data.mdb");
  int errors = 0;
  for (size_t size = whole; size > 0;
       size -= std::min<size_t>(size, size > 2 * kPage ? kPage / 2 : 61)) {
    std::filesystem::resize_file(folder / "db/data.mdb", size);
    try {
      EXPECT_EQ(ReadDatabase(folder / "db"), entries) << size << " bytes";
    } catch (const FileError& error) {
      ++errors;
      EXPECT_NE(std::string(error.what()).find(folder / "db/data.mdb"),
                std::string::npos);
    }
  }
  EXPECT_GT(errors, 50);
}

TEST(LmdbFileTest, IsCheckedBeforeTheLibraryWritesToIt) {
  TemporaryFolder folder;
  WriteManyCommits(folder / "db", 300);
  // The library would map the file and die of SIGBUS.
  std::filesystem::resize_file(folder / "db/data.mdb", 20 * kPage);
  db::LMDB database;
  ExpectError(ErrorKind::kFile, {"truncated"},
              [&] { database.Open(folder / "db", db::WRITE); });
}

TEST(LmdbFileTest, SaysThatAFileIsTruncated) {
  TemporaryFolder folder;
  WriteManyCommits(folder / "db", 300);
  const size_t size = std::filesystem::file_size(folder / "db/data.mdb");
  std::filesystem::resize_file(folder / "db/data.mdb", size / 2);
  ExpectError(ErrorKind::kFile,
              {folder / "db/data.mdb", "truncated", std::to_string(size / 2),
               std::to_string(size)},
              [&] { ReadDatabase(folder / "db"); });
}

TEST(LmdbFileTest, RefusesGarbage) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "db");
  std::string noise(10 * kPage, '\0');
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>(Bits(3, i));
  for (const std::string& content : {noise, std::string(noise.size(), '\0'),
                                     std::string("no database\n"), std::string()}) {
    WriteBytes(folder / "db/data.mdb", content);
    ExpectError(ErrorKind::kFile, {folder / "db/data.mdb", "LMDB"},
                [&] { ReadDatabase(folder / "db"); });
  }
  WriteBytes(folder / "file", "no folder");
  ExpectError(ErrorKind::kFile, {"is a file"}, [&] { ReadDatabase(folder / "file"); });
}

// Whatever bytes are wrong, reading ends with an error or with entries; under the
// sanitizers this also shows that nothing is read outside a page.
TEST(LmdbFileTest, SurvivesDamagedFiles) {
  TemporaryFolder folder;
  WriteManyCommits(folder / "db", 50);
  const std::string whole = ReadBytes(folder / "db/data.mdb");
  std::fstream file(folder / "db/data.mdb",
                    std::ios::in | std::ios::out | std::ios::binary);
  int errors = 0;
  for (int round = 0; round < 2000; ++round) {
    std::set<size_t> changed;
    for (int i = 1; i <= 1 + round % 4; ++i) {
      // Most often where the structure is: the start of a page.
      const size_t page = Bits(round, 3 * i) % (whole.size() / kPage) * kPage;
      const size_t offset = page + Bits(round, 3 * i + 1) % (round % 3 ? 160 : kPage);
      file.seekp(static_cast<std::streamoff>(offset));
      file.put(static_cast<char>(Bits(round, 3 * i + 2)));
      changed.insert(offset);
    }
    file.flush();
    try {
      ReadDatabase(folder / "db");
    } catch (const FileError&) {
      ++errors;
    }
    for (const size_t offset : changed) {
      file.seekp(static_cast<std::streamoff>(offset));
      file.put(whole[offset]);
    }
  }
  EXPECT_GT(errors, 100);
}

TEST(LmdbFileTest, NoticesThatItWasWrittenWhileRead) {
  TemporaryFolder folder;
  Entries entries;
  for (int i = 0; i < 2000; ++i) entries.emplace_back(Key(i), std::string(100, 'a'));
  WriteDatabase(folder / "db", entries);
  db::LMDB reader, writer;
  reader.Open(folder / "db", db::READ);
  const std::unique_ptr<db::Cursor> cursor(reader.NewCursor());
  cursor->Skip(5);
  writer.Open(folder / "db", db::WRITE);
  for (int round = 0; round < 3; ++round) {
    const std::unique_ptr<db::Transaction> transaction(writer.NewTransaction());
    for (const auto& [key, value] : entries) transaction->Put(key, "other");
    transaction->Commit();
  }
  ExpectError(ErrorKind::kFile, {folder / "db/data.mdb", "written while"}, [&] {
    for (; cursor->valid(); cursor->Next()) EXPECT_NE(cursor->value(), "other");
  });
}

TEST(LmdbFileTest, LeavesNoTraceInTheFolder) {
  TemporaryFolder folder;
  WriteDatabase(folder / "db", {{"a", "1"}});
  std::filesystem::remove(folder / "db/lock.mdb");
  const auto time = std::filesystem::last_write_time(folder / "db");
  EXPECT_EQ(ReadDatabase(folder / "db"), (Entries{{"a", "1"}}));
  EXPECT_FALSE(std::filesystem::exists(folder / "db/lock.mdb"));
  EXPECT_EQ(std::filesystem::last_write_time(folder / "db"), time);
}

TEST(LmdbTest, GrowsItsMapAsOftenAsNeeded) {
  TemporaryFolder folder;
  db::LMDB database;
  database.Open(folder / "db", db::NEW);
  const std::unique_ptr<db::Transaction> transaction(database.NewTransaction());
  // 150 MB in one transaction and 1 MB in the next, from a map of 64 MB.
  const std::string megabyte(1 << 20, 'm');
  for (int i = 0; i < 150; ++i) transaction->Put(Key(i), megabyte);
  transaction->Commit();
  transaction->Put(Key(150), megabyte);
  transaction->Commit();
  EXPECT_EQ(database.Count(), 151u);
  const std::unique_ptr<db::Cursor> cursor(database.NewCursor());
  for (; cursor->valid(); cursor->Next()) ASSERT_EQ(cursor->value(), megabyte);
}

TEST(LmdbTest, NamesAKeyItCannotStore) {
  TemporaryFolder folder;
  db::LMDB database;
  database.Open(folder / "db", db::NEW);
  const std::unique_ptr<db::Transaction> transaction(database.NewTransaction());
  ExpectError(ErrorKind::kValue, {"512 bytes", "1 to 511"},
              [&] { transaction->Put(std::string(512, 'k'), "v"); });
  ExpectError(ErrorKind::kValue, {"0 bytes"}, [&] { transaction->Put("", "v"); });
  transaction->Put(std::string(511, 'k'), "v");
  transaction->Commit();
  EXPECT_EQ(database.Count(), 1u);
}

TEST(LmdbTest, WritesNothingWhenOpenForReading) {
  TemporaryFolder folder;
  WriteDatabase(folder / "db", {{"a", "1"}});
  db::LMDB database;
  database.Open(folder / "db", db::READ);
  ExpectError(ErrorKind::kValue, {folder / "db", "reading only"},
              [&] { database.NewTransaction(); });
}

}  // namespace
}  // namespace test
}  // namespace caffe
