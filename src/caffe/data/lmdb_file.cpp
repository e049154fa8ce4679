#include "caffe/data/lmdb_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace caffe {
namespace db {
namespace {

// The format as LMDB 0.9 defines it (mdb.c), on 64-bit little-endian machines; files
// of others differ in the width or order of their numbers and fail the magic check
// or the page size check below.
constexpr std::uint32_t kMagic = 0xBEEFC0DE;
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kPageHeader = 16;  // number 8, pad 2, flags 2, bounds 2 + 2
constexpr std::size_t kNodeHeader = 8;   // low and high size 2 + 2, flags 2, key size 2
constexpr std::size_t kTableRecord = 48;
constexpr std::size_t kHeaderSize = 24 + 2 * kTableRecord + 16;
constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
constexpr int kMaxDepth = 32;
enum PageFlag : std::uint16_t {
  kBranch = 1,
  kLeaf = 2,
  kOverflow = 4,
  kMeta = 8,
  kFixedLeaf = 32,
};
enum NodeFlag : std::uint16_t { kBigData = 1, kSubTable = 2, kDuplicates = 4 };
constexpr std::uint16_t kDuplicatesTable = 4;

template <typename T>
T Load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

}  // namespace

// A header page; there are two, written in turns by the commits.
struct LmdbFile::Header {
  std::uint32_t magic, version, page_size;
  std::uint16_t flags, depth;
  std::uint64_t entries, root, last_page, commit;
};

LmdbFile::LmdbFile(const string& folder) : path_(folder + "/data.mdb") {
  struct stat info;
  if (::stat(folder.c_str(), &info) != 0) {
    throw FileError(
        Str("database '", folder, "' cannot be opened: ", std::strerror(errno)));
  }
  if (!S_ISDIR(info.st_mode)) {
    throw FileError(
        Str("database '", folder, "' is a file, expected a folder with data.mdb in it"));
  }
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0 && errno == ENOENT) {
    const bool leveldb = ::access((folder + "/CURRENT").c_str(), F_OK) == 0;
    throw FileError(
        Str("database '", folder, "' is no LMDB: it has no data.mdb",
            leveldb ? "; it looks like a LevelDB, set backend: LEVELDB" : ""));
  }
  if (fd_ < 0 || ::fstat(fd_, &info) != 0) {
    const int code = errno;
    if (fd_ >= 0) ::close(fd_);
    throw FileError(Str("cannot read '", path_, "': ", std::strerror(code)));
  }
  size_ = static_cast<std::uint64_t>(info.st_size);
  try {
    Open();
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

LmdbFile::~LmdbFile() { ::close(fd_); }

void LmdbFile::Open() {
  const Header first = ReadHeader(0);
  if (first.magic != kMagic) {
    throw FileError(Str("'", path_, "' is no LMDB file: it starts otherwise"));
  }
  if (first.version != kVersion) {
    throw FileError(Str("'", path_, "' has LMDB format ", first.version, ", expected ",
                        kVersion, "; rewrite it with LMDB 0.9"));
  }
  page_size_ = first.page_size;
  if (page_size_ < 512 || page_size_ > 65536 || (page_size_ & (page_size_ - 1))) {
    Damaged(Str("pages of ", page_size_, " bytes"));
  }
  const Header header = NewestHeader();
  if (header.flags & kDuplicatesTable) {
    throw FileError(
        Str("'", path_, "' has several values to a key, which no Caffe database has"));
  }
  commit_ = header.commit;
  entries_ = header.entries;
  root_ = header.root;
  depth_ = header.depth;
  if ((entries_ == 0) != (root_ == kNoPage)) {
    Damaged(Str(entries_, " entries below page ", root_));
  }
  if (entries_ > 0 && (depth_ < 1 || depth_ > kMaxDepth)) {
    Damaged(Str("a tree of depth ", depth_));
  }
  const std::uint64_t pages = size_ / page_size_;
  if (header.last_page < pages) return;
  // Pages that a transaction took and freed again are counted but never written, so
  // the file may end before the last one: short only if an entry is missing.
  try {
    if (entries_ > 0 && root_ >= pages) throw FileError("");
    auto self = shared_ptr<const LmdbFile>(shared_ptr<const LmdbFile>(), this);
    LmdbWalker walker(self);
    for (walker.SeekToFirst(); walker.valid(); walker.Skip(1)) walker.value();
  } catch (const FileError&) {
    throw FileError(Str("'", path_, "' is truncated: ", size_, " bytes, expected ",
                        (header.last_page + 1) * page_size_,
                        " by its header; copy or build it again"));
  }
}

void LmdbFile::Damaged(const string& what) const {
  throw FileError(
      Str("'", path_, "' is damaged: it has ", what, "; copy or build it again"));
}

bool LmdbFile::ReadAt(std::uint64_t offset, std::size_t size, char* out) const {
  while (size > 0) {
    const ssize_t got = ::pread(fd_, out, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw FileError(Str("cannot read '", path_, "': ", std::strerror(errno)));
    }
    if (got == 0) return false;
    offset += static_cast<std::uint64_t>(got);
    size -= static_cast<std::size_t>(got);
    out += got;
  }
  return true;
}

LmdbFile::Header LmdbFile::ReadHeader(std::uint64_t offset) const {
  char bytes[kPageHeader + kHeaderSize];
  if (!ReadAt(offset, sizeof(bytes), bytes)) {
    throw FileError(Str("'", path_,
                        "' is no complete LMDB file: it ends within its "
                        "header, at ",
                        size_, " bytes; copy or build it again"));
  }
  // magic 4, version 4, address 8, map size 8, the table of free pages, the main
  // table, last page 8, commit 8. A table is pad 4, flags 2, depth 2, then the number
  // of branch, leaf and overflow pages, of entries, and the root, 8 each. The free
  // table's pad is the page size.
  const char* header = bytes + kPageHeader;
  const char* free_table = header + 24;
  const char* main_table = free_table + kTableRecord;
  Header result;
  result.magic = db::Load<std::uint32_t>(header);
  result.version = db::Load<std::uint32_t>(header + 4);
  result.page_size = db::Load<std::uint32_t>(free_table);
  result.flags = db::Load<std::uint16_t>(main_table + 4);
  result.depth = db::Load<std::uint16_t>(main_table + 6);
  result.entries = db::Load<std::uint64_t>(main_table + 32);
  result.root = db::Load<std::uint64_t>(main_table + 40);
  result.last_page = db::Load<std::uint64_t>(main_table + kTableRecord);
  result.commit = db::Load<std::uint64_t>(main_table + kTableRecord + 8);
  return result;
}

LmdbFile::Header LmdbFile::NewestHeader() const {
  const Header first = ReadHeader(0);
  const Header second = ReadHeader(page_size_);
  if (first.magic != kMagic || second.magic != kMagic) Damaged("a wrong header page");
  return second.commit > first.commit ? second : first;
}

void LmdbFile::CheckUnchanged() const {
  if (NewestHeader().commit <= commit_ + 1) return;
  throw FileError(Str("'", path_,
                      "' was written while it was being read; start again "
                      "when the writer has finished"));
}

void LmdbFile::ReadPage(std::uint64_t number, char* page) const {
  if (number >= size_ / page_size_) {
    Damaged(Str("a reference to page ", number, " of ", size_ / page_size_));
  }
  if (!ReadAt(number * page_size_, page_size_, page)) {
    Damaged(Str("no page ", number, " any more"));
  }
}

string LmdbFile::ReadOverflow(std::uint64_t number, std::size_t size) const {
  const std::uint64_t pages = size_ / page_size_;
  const std::uint64_t needed = (kPageHeader + size + page_size_ - 1) / page_size_;
  if (number >= pages || needed > pages - number) {
    Damaged(Str("a value of ", size, " bytes at page ", number, " of ", pages));
  }
  char header[kPageHeader];
  string value(size, '\0');
  if (!ReadAt(number * page_size_, kPageHeader, header) ||
      !ReadAt(number * page_size_ + kPageHeader, size, value.data())) {
    Damaged(Str("no page ", number, " any more"));
  }
  if (!(db::Load<std::uint16_t>(header + 10) & kOverflow) ||
      db::Load<std::uint32_t>(header + 12) < needed) {
    Damaged(Str("no value of ", size, " bytes at page ", number));
  }
  return value;
}

// One node, its numbers checked against the page it lies in.
struct LmdbWalker::Node {
  std::uint16_t flags;
  std::uint32_t data_size;  // leaf
  std::uint64_t child;      // branch
  const char* key;
  std::size_t key_size;
  const char* data;
  std::size_t room;  // bytes from data to the end of the page
};

LmdbWalker::LmdbWalker(shared_ptr<const LmdbFile> file)
    : file_(std::move(file)), levels_(file_->entries() > 0 ? file_->depth() : 0) {}

void LmdbWalker::SeekToFirst() {
  left_ = file_->entries();
  if (left_ == 0) return;
  Load(file_->root(), 0);
  DescendFrom(0);
  file_->CheckUnchanged();
}

void LmdbWalker::Load(std::uint64_t number, std::size_t level) {
  Level& at = levels_[level];
  at.page.resize(file_->page_size());
  file_->ReadPage(number, at.page.data());
  const auto flags = db::Load<std::uint16_t>(at.page.data() + 10);
  const auto lower = db::Load<std::uint16_t>(at.page.data() + 12);
  const bool leaf = level + 1 == levels_.size();
  if ((flags & (kBranch | kLeaf | kOverflow | kMeta | kFixedLeaf)) !=
          (leaf ? kLeaf : kBranch) ||
      lower <= kPageHeader || lower > file_->page_size()) {
    file_->Damaged(Str("no ", leaf ? "leaf" : "branch", " page at ", number));
  }
  at.nodes = static_cast<int>((lower - kPageHeader) / 2);
  at.node = 0;
}

void LmdbWalker::DescendFrom(std::size_t level) {
  for (; level + 1 < levels_.size(); ++level) {
    Load(NodeAt(levels_[level]).child, level + 1);
  }
}

void LmdbWalker::NextLeaf() {
  std::size_t level = levels_.size() - 1;
  while (level > 0) {
    --level;
    if (++levels_[level].node < levels_[level].nodes) {
      DescendFrom(level);
      return;
    }
  }
  file_->Damaged(Str("fewer entries than the ", file_->entries(), " of its header"));
}

void LmdbWalker::Skip(std::uint64_t count) {
  left_ -= std::min(count, left_);
  if (left_ == 0) return;
  bool moved = false;
  for (;;) {
    Level& leaf = levels_.back();
    const auto rest = static_cast<std::uint64_t>(leaf.nodes - leaf.node);
    if (count < rest) {
      leaf.node += static_cast<int>(count);
      break;
    }
    count -= rest;
    NextLeaf();
    moved = true;
  }
  if (moved) file_->CheckUnchanged();
}

LmdbWalker::Node LmdbWalker::NodeAt(const Level& level) const {
  const char* page = level.page.data();
  const std::size_t size = level.page.size();
  const std::size_t at = db::Load<std::uint16_t>(
      page + kPageHeader + 2 * static_cast<std::size_t>(level.node));
  if (at < kPageHeader || at + kNodeHeader > size) {
    file_->Damaged(Str("a node at byte ", at, " of a page"));
  }
  Node node;
  const std::uint32_t low = db::Load<std::uint16_t>(page + at);
  const std::uint32_t high = db::Load<std::uint16_t>(page + at + 2);
  node.flags = db::Load<std::uint16_t>(page + at + 4);
  node.key_size = db::Load<std::uint16_t>(page + at + 6);
  node.data_size = low | high << 16;
  node.child = node.data_size | std::uint64_t{node.flags} << 32;
  node.key = page + at + kNodeHeader;
  if (at + kNodeHeader + node.key_size > size) {
    file_->Damaged(Str("a key of ", node.key_size, " bytes at the end of a page"));
  }
  node.data = node.key + node.key_size;
  node.room = size - at - kNodeHeader - node.key_size;
  return node;
}

LmdbWalker::Node LmdbWalker::Entry() const {
  if (!valid()) throw ValueError(Str("a cursor of '", file_->path(), "' is at the end"));
  return NodeAt(levels_.back());
}

string LmdbWalker::key() const {
  const Node node = Entry();
  return string(node.key, node.key_size);
}

string LmdbWalker::value() const {
  const Node node = Entry();
  if (node.flags & (kSubTable | kDuplicates)) {
    throw FileError(Str("'", file_->path(),
                        "' holds named tables, expected the entries "
                        "themselves, as Caffe stores them"));
  }
  if (!(node.flags & kBigData)) {
    if (node.data_size > node.room) {
      file_->Damaged(Str("a value of ", node.data_size, " bytes at the end of a page"));
    }
    return string(node.data, node.data_size);
  }
  if (node.room < sizeof(std::uint64_t)) file_->Damaged("half a page number");
  string value = file_->ReadOverflow(db::Load<std::uint64_t>(node.data), node.data_size);
  file_->CheckUnchanged();
  return value;
}

}  // namespace db
}  // namespace caffe
