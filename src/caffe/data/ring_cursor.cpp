#include "caffe/data/ring_cursor.hpp"

namespace caffe {

RingCursor::RingCursor(db::DB* db, const string& source)
    : db_(db), cursor_(db->NewCursor()) {
  cursor_->SeekToFirst();
  if (!cursor_->valid()) {
    throw FileError(Str("database '", source, "' is empty, expected at least one image"));
  }
}

void RingCursor::SeekTo(std::uint64_t position) {
  cursor_->SeekToFirst();
  cursor_->Skip(position);
  if (cursor_->valid()) return;
  // Only now, since some databases have to be read through to be counted.
  cursor_->SeekToFirst();
  cursor_->Skip(position % db_->Count());
}

void RingCursor::Advance(std::uint64_t count) {
  for (; count > 0; --count) {
    cursor_->Next();
    if (!cursor_->valid()) cursor_->SeekToFirst();
  }
}

}  // namespace caffe
