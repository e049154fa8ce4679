#ifndef CAFFE_DATA_LMDB_FILE_HPP_
#define CAFFE_DATA_LMDB_FILE_HPP_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "caffe/common.hpp"

namespace caffe {
namespace db {

/// One committed state of the main database in an LMDB file, version 1 of the
/// format (all of LMDB 0.9), read without mapping it.
///
/// Why not the library's own reader: it maps the file and trusts it, so that a
/// truncated file ends the process with SIGBUS and a damaged one with SIGSEGV. Here
/// every page number, offset and length is checked before it is used.
///
/// Safe to use from several threads.
class LmdbFile {
 public:
  /// Opens folder/data.mdb. Throws FileError if it is missing, is no LMDB or is
  /// shorter than its own header says.
  explicit LmdbFile(const string& folder);
  ~LmdbFile();

  const string& path() const { return path_; }
  std::uint64_t entries() const { return entries_; }
  /// Number of the root page; meaningless without entries.
  std::uint64_t root() const { return root_; }
  /// Pages from the root to a leaf, both included.
  int depth() const { return depth_; }
  std::size_t page_size() const { return page_size_; }

  /// Reads page `number` whole; throws FileError outside the file.
  void ReadPage(std::uint64_t number, char* page) const;
  /// Reads `size` bytes of the overflow pages from `number` on.
  string ReadOverflow(std::uint64_t number, std::size_t size) const;
  /// Throws FileError if commits since the opening may have reused the pages read so
  /// far. LMDB reuses a page no earlier than in the third commit after this state,
  /// whose header then still says the second.
  void CheckUnchanged() const;

  /// Throws the FileError for a file that contradicts itself.
  [[noreturn]] void Damaged(const string& what) const;

  DISABLE_COPY_AND_ASSIGN(LmdbFile);

 private:
  struct Header;

  bool ReadAt(std::uint64_t offset, std::size_t size, char* out) const;
  Header ReadHeader(std::uint64_t offset) const;
  Header NewestHeader() const;
  void Open();

  string path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::size_t page_size_ = 0;
  std::uint64_t commit_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t root_ = 0;
  int depth_ = 0;
};

/// A position in the tree of an LmdbFile.
class LmdbWalker {
 public:
  explicit LmdbWalker(shared_ptr<const LmdbFile> file);

  void SeekToFirst();
  /// Moves on by `count` entries, or to the end if there are fewer.
  void Skip(std::uint64_t count);
  bool valid() const { return left_ > 0; }
  string key() const;
  string value() const;

 private:
  /// A page on the way down and the node taken in it.
  struct Level {
    vector<char> page;
    int nodes = 0;
    int node = 0;
  };
  struct Node;

  void Load(std::uint64_t number, std::size_t level);
  void DescendFrom(std::size_t level);
  void NextLeaf();
  Node NodeAt(const Level& level) const;
  Node Entry() const;

  shared_ptr<const LmdbFile> file_;
  vector<Level> levels_;
  std::uint64_t left_ = 0;  // entries from here to the end
};

}  // namespace db
}  // namespace caffe

#endif  // CAFFE_DATA_LMDB_FILE_HPP_
