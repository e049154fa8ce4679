#include "caffe/util/db_lmdb.hpp"

#include <lmdb.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "caffe/data/lmdb_file.hpp"

namespace caffe {
namespace db {
namespace {

// The first size of the memory map, doubled whenever it is full. The file itself
// grows only by what is stored.
constexpr std::size_t kFirstMapBytes = std::size_t{64} << 20;

[[noreturn]] void Fail(int code, const string& path, const char* action) {
  const char* cure = "";
  // LMDB reports EIO for a write that was cut short.
  if (code == ENOSPC || code == EIO) cure = "; is the disk full?";
  if (code == MDB_BAD_VALSIZE) cure = "; a key has 1 to 511 bytes";
  throw FileError(
      Str("database '", path, "': cannot ", action, ": ", mdb_strerror(code), cure));
}

void Check(int code, const string& path, const char* action) {
  if (code != MDB_SUCCESS) Fail(code, path, action);
}

}  // namespace

LMDBCursor::LMDBCursor(shared_ptr<LmdbFile> file)
    : walker_(new LmdbWalker(std::move(file))) {
  walker_->SeekToFirst();
}
LMDBCursor::~LMDBCursor() = default;
void LMDBCursor::SeekToFirst() { walker_->SeekToFirst(); }
void LMDBCursor::Next() { walker_->Skip(1); }
string LMDBCursor::key() { return walker_->key(); }
string LMDBCursor::value() { return walker_->value(); }
bool LMDBCursor::valid() { return walker_->valid(); }
void LMDBCursor::Skip(std::uint64_t count) { walker_->Skip(count); }

void LMDBTransaction::Put(const string& key, const string& value) {
  const auto longest = static_cast<std::size_t>(mdb_env_get_maxkeysize(env_));
  if (key.empty() || key.size() > longest) {
    throw ValueError(Str("database '", path_, "': key '", key, "' has ", key.size(),
                         " bytes, expected 1 to ", longest));
  }
  entries_.emplace_back(key, value);
}

void LMDBTransaction::Commit() {
  while (!TryCommit()) DoubleMapSize();
  entries_.clear();
}

// False when the map is too small.
bool LMDBTransaction::TryCommit() {
  MDB_txn* txn = nullptr;
  Check(mdb_txn_begin(env_, nullptr, 0, &txn), path_, "begin a transaction");
  MDB_dbi table = 0;
  int code = mdb_dbi_open(txn, nullptr, 0, &table);
  for (auto entry = entries_.begin(); code == MDB_SUCCESS && entry != entries_.end();
       ++entry) {
    MDB_val key = {entry->first.size(), entry->first.data()};
    MDB_val value = {entry->second.size(), entry->second.data()};
    code = mdb_put(txn, table, &key, &value, 0);
  }
  if (code == MDB_SUCCESS) {
    code = mdb_txn_commit(txn);  // frees txn, whatever it returns
  } else {
    mdb_txn_abort(txn);
  }
  if (code == MDB_MAP_FULL) return false;
  Check(code, path_, "store entries");
  return true;
}

void LMDBTransaction::DoubleMapSize() {
  MDB_envinfo info;
  Check(mdb_env_info(env_, &info), path_, "read the size of the memory map");
  Check(mdb_env_set_mapsize(env_, 2 * info.me_mapsize), path_, "enlarge the memory map");
}

void LMDB::Open(const string& source, Mode mode) {
  Close();
  source_ = source;
  if (mode == READ) {
    file_ = std::make_shared<LmdbFile>(source);
    LOG_IF(INFO, Caffe::root_solver()) << "Opened lmdb " << source;
    return;
  }
  struct stat info;
  if (mode == NEW) {
    if (::mkdir(source.c_str(), 0777) != 0) {
      const int code = errno;
      throw FileError(
          code == EEXIST
              ? Str("database '", source,
                    "' exists already; remove it or choose another name")
              : Str("database '", source, "' cannot be created: ", std::strerror(code)));
    }
  } else if (::stat((source + "/data.mdb").c_str(), &info) == 0 && info.st_size > 0) {
    // The library is about to map and trust this file.
    LmdbFile check(source);
  }
  Check(mdb_env_create(&env_), source, "allocate");
  // Without MDB_NOSYNC and MDB_WRITEMAP: what Commit has stored survives a crash of
  // the machine. An existing file with a larger map keeps that.
  int code = mdb_env_set_mapsize(env_, kFirstMapBytes);
  if (code == MDB_SUCCESS) code = mdb_env_open(env_, source.c_str(), 0, 0666);
  if (code != MDB_SUCCESS) {
    Close();
    Fail(code, source, mode == NEW ? "create it" : "open it for writing");
  }
  LOG_IF(INFO, Caffe::root_solver()) << "Opened lmdb " << source;
}

void LMDB::Close() {
  if (env_) mdb_env_close(env_);
  env_ = nullptr;
  file_.reset();
}

shared_ptr<LmdbFile> LMDB::Snapshot() {
  if (file_) return file_;
  CHECK(env_) << "the database is not open";
  return std::make_shared<LmdbFile>(source_);
}

LMDBCursor* LMDB::NewCursor() { return new LMDBCursor(Snapshot()); }

LMDBTransaction* LMDB::NewTransaction() {
  if (!env_) {
    throw ValueError(Str("database '", source_, "' is open for reading only"));
  }
  return new LMDBTransaction(env_, source_);
}

std::uint64_t LMDB::Count() { return Snapshot()->entries(); }

}  // namespace db
}  // namespace caffe
