#ifndef CAFFE_DATA_RING_CURSOR_HPP_
#define CAFFE_DATA_RING_CURSOR_HPP_

#include <cstdint>
#include <memory>
#include <string>

#include "caffe/util/db.hpp"

namespace caffe {

/// A cursor for which the first entry follows the last.
class RingCursor {
 public:
  /// Throws FileError if the database `source` is empty.
  RingCursor(db::DB* db, const string& source);

  /// Goes to entry number `position`, modulo the number of entries. Where the
  /// database can skip, that costs little.
  void SeekTo(std::uint64_t position);
  void Advance(std::uint64_t count);

  string key() const { return cursor_->key(); }
  string value() const { return cursor_->value(); }

 private:
  db::DB* db_;
  std::unique_ptr<db::Cursor> cursor_;
};

}  // namespace caffe

#endif  // CAFFE_DATA_RING_CURSOR_HPP_
