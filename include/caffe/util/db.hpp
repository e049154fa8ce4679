#ifndef CAFFE_UTIL_DB_HPP
#define CAFFE_UTIL_DB_HPP

#include <cstdint>
#include <string>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {
namespace db {

/// READ: an existing database, unchanged. WRITE: add to an existing one. NEW: create
/// one; fails if something of that name exists.
enum Mode { READ, WRITE, NEW };

/// Walks over the entries in the order of their keys, as they were when the cursor
/// was made. Several cursors of one database may be used by several threads.
class Cursor {
 public:
  Cursor() {}
  virtual ~Cursor() {}
  virtual void SeekToFirst() = 0;
  virtual void Next() = 0;
  virtual string key() = 0;
  virtual string value() = 0;
  /// False behind the last entry and in an empty database.
  virtual bool valid() = 0;
  /// As many times Next() as `count` says, but without reading what is passed over.
  virtual void Skip(std::uint64_t count) {
    for (; count > 0 && valid(); --count) Next();
  }

  DISABLE_COPY_AND_ASSIGN(Cursor);
};

/// Entries to be stored together by Commit; dropped without it.
class Transaction {
 public:
  Transaction() {}
  virtual ~Transaction() {}
  virtual void Put(const string& key, const string& value) = 0;
  /// Returns when the entries are on the disk.
  virtual void Commit() = 0;

  DISABLE_COPY_AND_ASSIGN(Transaction);
};

/// A folder of keys and values. All failures throw FileError.
class DB {
 public:
  DB() {}
  virtual ~DB() {}
  virtual void Open(const string& source, Mode mode) = 0;
  virtual void Close() = 0;
  virtual Cursor* NewCursor() = 0;
  virtual Transaction* NewTransaction() = 0;
  /// Number of entries.
  virtual std::uint64_t Count();

  DISABLE_COPY_AND_ASSIGN(DB);
};

DB* GetDB(DataParameter::DB backend);
/// `backend` is "lmdb" or "leveldb".
DB* GetDB(const string& backend);

}  // namespace db
}  // namespace caffe

#endif  // CAFFE_UTIL_DB_HPP
