#ifndef CAFFE_UTIL_DB_LEVELDB_HPP
#define CAFFE_UTIL_DB_LEVELDB_HPP

#include <memory>
#include <string>

#include "caffe/util/db.hpp"

namespace caffe {
namespace db {

/// A LevelDB folder. LevelDB lets one process at a time open it, and that once, until
/// Close; cursors and transactions that are still there then throw when they are used.
/// Present only in builds with CAFFE_LEVELDB; GetDB says so in the others.
class LevelDB : public DB {
 public:
  LevelDB();
  ~LevelDB() override;
  void Open(const string& source, Mode mode) override;
  void Close() override;
  Cursor* NewCursor() override;
  Transaction* NewTransaction() override;

 private:
  struct Connection;
  class LevelDBCursor;
  class LevelDBTransaction;

  shared_ptr<Connection> connection_;
};

}  // namespace db
}  // namespace caffe

#endif  // CAFFE_UTIL_DB_LEVELDB_HPP
