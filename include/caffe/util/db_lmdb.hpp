#ifndef CAFFE_UTIL_DB_LMDB_HPP
#define CAFFE_UTIL_DB_LMDB_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caffe/util/db.hpp"

struct MDB_env;

namespace caffe {
namespace db {

class LmdbFile;
class LmdbWalker;

/// Reads with plain file reads and checks every number the file gives, so that a
/// damaged or truncated file is an error and never a signal, and takes no lock, so
/// that read-only and network file systems work.
class LMDBCursor : public Cursor {
 public:
  explicit LMDBCursor(shared_ptr<LmdbFile> file);
  ~LMDBCursor() override;
  void SeekToFirst() override;
  void Next() override;
  string key() override;
  string value() override;
  bool valid() override;
  void Skip(std::uint64_t count) override;

 private:
  std::unique_ptr<LmdbWalker> walker_;
};

/// Keeps the entries in memory until Commit writes and flushes them.
class LMDBTransaction : public Transaction {
 public:
  LMDBTransaction(MDB_env* env, string path) : env_(env), path_(std::move(path)) {}
  void Put(const string& key, const string& value) override;
  /// Enlarges the memory map as often as it takes.
  void Commit() override;

 private:
  bool TryCommit();
  void DoubleMapSize();

  MDB_env* env_;
  string path_;
  vector<pair<string, string>> entries_;
};

/// A folder with LMDB's data.mdb. A database must not be written while it is read;
/// a cursor that notices throws.
class LMDB : public DB {
 public:
  LMDB() {}
  ~LMDB() override { Close(); }
  void Open(const string& source, Mode mode) override;
  void Close() override;
  LMDBCursor* NewCursor() override;
  LMDBTransaction* NewTransaction() override;
  std::uint64_t Count() override;

 private:
  /// What is on the disk now.
  shared_ptr<LmdbFile> Snapshot();

  string source_;
  MDB_env* env_ = nullptr;     // when writing
  shared_ptr<LmdbFile> file_;  // when reading
};

}  // namespace db
}  // namespace caffe

#endif  // CAFFE_UTIL_DB_LMDB_HPP
