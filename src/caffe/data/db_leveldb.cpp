#ifdef USE_LEVELDB

#include "caffe/util/db_leveldb.hpp"

#include <leveldb/db.h>
#include <leveldb/write_batch.h>
#include <unistd.h>

#include <utility>

namespace caffe {
namespace db {
namespace {

void Check(const leveldb::Status& status, const string& source, const char* action) {
  if (status.ok()) return;
  throw FileError(
      Str("database '", source, "': cannot ", action, ": ", status.ToString()));
}

class LevelDBCursor : public Cursor {
 public:
  LevelDBCursor(shared_ptr<leveldb::DB> db, string source)
      : db_(std::move(db)), source_(std::move(source)) {
    leveldb::ReadOptions options;
    options.verify_checksums = true;
    // One pass over everything would only drive useful blocks out of the cache.
    options.fill_cache = false;
    iterator_.reset(db_->NewIterator(options));
    SeekToFirst();
  }
  void SeekToFirst() override {
    iterator_->SeekToFirst();
    CheckRead();
  }
  void Next() override {
    iterator_->Next();
    CheckRead();
  }
  string key() override { return iterator_->key().ToString(); }
  string value() override { return iterator_->value().ToString(); }
  bool valid() override { return iterator_->Valid(); }

 private:
  // A damaged block looks like the end of the data but for the status.
  void CheckRead() { Check(iterator_->status(), source_, "read the next entry"); }

  shared_ptr<leveldb::DB> db_;
  string source_;
  std::unique_ptr<leveldb::Iterator> iterator_;
};

class LevelDBTransaction : public Transaction {
 public:
  LevelDBTransaction(shared_ptr<leveldb::DB> db, string source)
      : db_(std::move(db)), source_(std::move(source)) {}
  void Put(const string& key, const string& value) override { batch_.Put(key, value); }
  void Commit() override {
    leveldb::WriteOptions options;
    options.sync = true;
    Check(db_->Write(options, &batch_), source_, "store entries");
    batch_.Clear();
  }

 private:
  shared_ptr<leveldb::DB> db_;
  string source_;
  leveldb::WriteBatch batch_;
};

}  // namespace

LevelDB::LevelDB() {}
LevelDB::~LevelDB() { Close(); }

void LevelDB::Open(const string& source, Mode mode) {
  Close();
  source_ = source;
  const bool is_leveldb = ::access((source + "/CURRENT").c_str(), F_OK) == 0;
  if (mode == NEW && ::access(source.c_str(), F_OK) == 0) {
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
  db_.reset(db);
  LOG_IF(INFO, Caffe::root_solver()) << "Opened leveldb " << source;
}

void LevelDB::Close() { db_.reset(); }

Cursor* LevelDB::NewCursor() {
  CHECK(db_) << "the database is not open";
  return new LevelDBCursor(db_, source_);
}

Transaction* LevelDB::NewTransaction() {
  CHECK(db_) << "the database is not open";
  return new LevelDBTransaction(db_, source_);
}

}  // namespace db
}  // namespace caffe

#endif  // USE_LEVELDB
