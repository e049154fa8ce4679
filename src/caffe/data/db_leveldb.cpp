#ifdef USE_LEVELDB

#include "caffe/util/db_leveldb.hpp"

#include <leveldb/db.h>
#include <leveldb/write_batch.h>
#include <unistd.h>

#include <filesystem>
#include <list>
#include <memory>
#include <system_error>
#include <utility>

namespace caffe {
namespace db {
namespace {

bool IsEmptyFolder(const string& path) {
  std::error_code unreadable;
  return std::filesystem::is_empty(path, unreadable) &&
         std::filesystem::is_directory(path, unreadable);
}

void Check(const leveldb::Status& status, const string& source, const char* action) {
  if (status.ok()) return;
  throw FileError(
      Str("database '", source, "': cannot ", action, ": ", status.ToString()));
}

}  // namespace

// The library wants its iterators gone before the database, which holds the lock.
struct LevelDB::Connection {
  Connection(leveldb::DB* database, string path)
      : db(database), source(std::move(path)) {}
  leveldb::DB* Database() const {
    if (!db) throw ValueError(Str("database '", source, "' has been closed"));
    return db.get();
  }
  void Close() {
    for (auto& iterator : iterators) iterator.reset();
    db.reset();
  }

  std::unique_ptr<leveldb::DB> db;
  std::list<std::unique_ptr<leveldb::Iterator>> iterators;
  const string source;
};

class LevelDB::LevelDBCursor : public Cursor {
 public:
  explicit LevelDBCursor(shared_ptr<Connection> connection)
      : connection_(std::move(connection)) {
    leveldb::ReadOptions options;
    options.verify_checksums = true;
    // One pass over everything would only drive useful blocks out of the cache.
    options.fill_cache = false;
    slot_ = connection_->iterators.emplace(connection_->iterators.end(),
                                           connection_->Database()->NewIterator(options));
    Read([](leveldb::Iterator& at) { at.SeekToFirst(); });
  }
  ~LevelDBCursor() override { connection_->iterators.erase(slot_); }
  void SeekToFirst() override {
    Read([](leveldb::Iterator& at) { at.SeekToFirst(); });
  }
  void Next() override {
    Read([](leveldb::Iterator& at) { at.Next(); });
  }
  string key() override { return Iterator().key().ToString(); }
  string value() override { return Iterator().value().ToString(); }
  bool valid() override { return Iterator().Valid(); }

 private:
  leveldb::Iterator& Iterator() const {
    connection_->Database();
    return **slot_;
  }
  template <typename Move>
  void Read(Move move) {
    leveldb::Iterator& at = Iterator();
    move(at);
    // A damaged block looks like the end of the data but for the status.
    Check(at.status(), connection_->source, "read the next entry");
  }

  shared_ptr<Connection> connection_;
  std::list<std::unique_ptr<leveldb::Iterator>>::iterator slot_;
};

class LevelDB::LevelDBTransaction : public Transaction {
 public:
  explicit LevelDBTransaction(shared_ptr<Connection> connection)
      : connection_(std::move(connection)) {}
  void Put(const string& key, const string& value) override { batch_.Put(key, value); }
  void Commit() override {
    leveldb::WriteOptions options;
    options.sync = true;
    Check(connection_->Database()->Write(options, &batch_), connection_->source,
          "store entries");
    batch_.Clear();
  }

 private:
  shared_ptr<Connection> connection_;
  leveldb::WriteBatch batch_;
};

LevelDB::LevelDB() {}
LevelDB::~LevelDB() { Close(); }

void LevelDB::Open(const string& source, Mode mode) {
  Close();
  const bool is_leveldb = ::access((source + "/CURRENT").c_str(), F_OK) == 0;
  if (mode == NEW && ::access(source.c_str(), F_OK) == 0 && !IsEmptyFolder(source)) {
    throw FileError(
        Str("database '", source, "' exists already; remove it or choose another name"));
  }
  if (mode == READ && !is_leveldb) {
    const bool lmdb = ::access((source + "/data.mdb").c_str(), F_OK) == 0;
    const bool exists = ::access(source.c_str(), F_OK) == 0;
    throw FileError(Str("database '", source, "' ",
                        exists ? "is no LevelDB: it has no CURRENT" : "does not exist",
                        lmdb ? "; it looks like an LMDB, set backend: LMDB" : ""));
  }
  leveldb::Options options;
  options.block_size = 64 << 10;
  options.write_buffer_size = 64 << 20;
  options.max_open_files = 100;
  options.paranoid_checks = true;
  options.error_if_exists = mode == NEW;
  options.create_if_missing = mode != READ;
  leveldb::DB* db = nullptr;
  Check(leveldb::DB::Open(options, source, &db), source, "open it");
  connection_ = std::make_shared<Connection>(db, source);
  LOG_IF(INFO, Caffe::root_solver()) << "Opened leveldb " << source;
}

void LevelDB::Close() {
  if (connection_) connection_->Close();
  connection_.reset();
}

Cursor* LevelDB::NewCursor() {
  CHECK(connection_) << "the database is not open";
  return new LevelDBCursor(connection_);
}

Transaction* LevelDB::NewTransaction() {
  CHECK(connection_) << "the database is not open";
  return new LevelDBTransaction(connection_);
}

}  // namespace db
}  // namespace caffe

#endif  // USE_LEVELDB
