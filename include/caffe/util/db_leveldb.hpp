#ifndef CAFFE_UTIL_DB_LEVELDB_HPP
#define CAFFE_UTIL_DB_LEVELDB_HPP

#include <memory>
#include <string>

#include "caffe/util/db.hpp"

namespace leveldb {
class DB;
}

namespace caffe {
namespace db {

/// A LevelDB folder. LevelDB lets one process at a time open it, and that once.
/// Present only in builds that found libleveldb; GetDB says so in the others.
class LevelDB : public DB {
 public:
  LevelDB();
  ~LevelDB() override;
  void Open(const string& source, Mode mode) override;
  void Close() override;
  Cursor* NewCursor() override;
  Transaction* NewTransaction() override;

 private:
  string source_;
  shared_ptr<leveldb::DB> db_;
};

}  // namespace db
}  // namespace caffe

#endif  // CAFFE_UTIL_DB_LEVELDB_HPP
