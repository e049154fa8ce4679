#include "caffe/util/db.hpp"

#include <memory>

#include "caffe/util/db_leveldb.hpp"
#include "caffe/util/db_lmdb.hpp"

namespace caffe {
namespace db {

std::uint64_t DB::Count() {
  const std::unique_ptr<Cursor> cursor(NewCursor());
  std::uint64_t count = 0;
  for (cursor->SeekToFirst(); cursor->valid(); cursor->Next()) ++count;
  return count;
}

DB* GetDB(DataParameter::DB backend) {
  if (backend == DataParameter::LMDB) return new LMDB();
#ifdef USE_LEVELDB
  return new LevelDB();
#else
  throw NotImplementedFailure(
      "this build of Caffe has no LevelDB, which is also the default when "
      "data_param names no backend; set backend: LMDB, or build again with "
      "CAFFE_LEVELDB on");
#endif
}

DB* GetDB(const string& backend) {
  if (backend == "lmdb") return GetDB(DataParameter::LMDB);
  if (backend == "leveldb") return GetDB(DataParameter::LEVELDB);
  throw ValueError(
      Str("unknown database backend '", backend, "', expected lmdb or leveldb"));
}

}  // namespace db
}  // namespace caffe
