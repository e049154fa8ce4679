#include "caffe/util/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include "caffe/error.hpp"

namespace caffe {

InputFile::InputFile(const std::string& path) : path_(path) {
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info{};
  int code = 0;
  if (fd_ < 0 || ::fstat(fd_, &info) != 0) {
    code = errno;
  } else if (S_ISDIR(info.st_mode)) {
    code = EISDIR;
  }
  if (code == 0) {
    if (S_ISREG(info.st_mode)) size_ = info.st_size;
    return;
  }
  if (fd_ >= 0) ::close(fd_);
  std::string where;
  if (code == ENOENT && !path.empty() && path[0] != '/') {
    std::error_code ignored;
    where = Str(" in '", std::filesystem::current_path(ignored).string(), "'");
  }
  throw FileError(Str("cannot read '", path, "': ", std::strerror(code), where));
}

InputFile::~InputFile() { ::close(fd_); }

std::string InputFile::Head() const {
  std::string head(kHeadBytes, '\0');
  const ssize_t size = ::pread(fd_, head.data(), head.size(), 0);
  head.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return head;
}

unsigned char InputFile::LastByte() const {
  unsigned char byte = 0;
  static_cast<void>(::pread(fd_, &byte, 1, size_ - 1) == 1);
  return byte;
}

std::string InputFile::ReadAll(std::int64_t limit) {
  std::string bytes;
  // One byte more than expected, so that the end is seen without growing.
  std::size_t room =
      size_ < 0 ? 1 << 16 : static_cast<std::size_t>(std::min(size_, limit)) + 1;
  for (;;) {
    const std::size_t old = bytes.size();
    bytes.resize(old + room);
    const ssize_t got = ::read(fd_, bytes.data() + old, room);
    if (got < 0 && errno != EINTR) {
      throw FileError(Str("cannot read '", path_, "': ", std::strerror(errno)));
    }
    bytes.resize(old + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return bytes;
    if (static_cast<std::int64_t>(bytes.size()) > limit) {
      throw FileError(Str("cannot read '", path_, "': more than the ", limit,
                          " bytes such a file may have"));
    }
    room = 1 << 16;
  }
}

bool InputFile::Rewind() { return ::lseek(fd_, 0, SEEK_SET) == 0; }

namespace {

using google::protobuf::internal::WireFormatLite;

bool IsText(std::string_view head) {
  bool letters = false;
  for (const char c : head) {
    const auto byte = static_cast<unsigned char>(c);
    // White space, printable ASCII, UTF-8.
    if (!((byte >= 9 && byte <= 13) || (byte >= 32 && byte != 127))) return false;
    letters |= std::isalpha(byte) != 0;
  }
  return letters;
}

// The messages differ in the wire types of their first fields: SolverState and
// BlobProto have a number in field 1, NetParameter a string.
Contents GuessMessage(std::string_view head) {
  google::protobuf::io::CodedInputStream in(
      reinterpret_cast<const std::uint8_t*>(head.data()), static_cast<int>(head.size()));
  const std::uint32_t first = in.ReadTag();
  const auto tag = [](int field, WireFormatLite::WireType type) {
    return WireFormatLite::MakeTag(field, type);
  };
  constexpr auto kVarint = WireFormatLite::WIRETYPE_VARINT;
  constexpr auto kBytes = WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
  if (first == tag(1, kBytes) || first == tag(2, kBytes) || first == tag(3, kBytes) ||
      first == tag(100, kBytes)) {
    return Contents::kWeights;
  }
  if (first == tag(5, kBytes) || first == tag(7, kBytes)) return Contents::kArray;
  if (first != tag(1, kVarint)) return Contents::kUnknown;
  std::uint64_t value;
  if (!in.ReadVarint64(&value)) return Contents::kUnknown;
  const std::uint32_t second = in.ReadTag();
  if (second == tag(2, kVarint)) return Contents::kArray;
  if (second == tag(2, kBytes) || second == tag(3, kBytes)) return Contents::kSolverState;
  return Contents::kUnknown;
}

}  // namespace

bool LooksLikeText(std::string_view bytes) {
  std::string rest(bytes.substr(0, kHeadBytes));
  const std::size_t all = rest.size();
  std::erase(rest, '\0');
  // UTF-16 has a byte 0 for each ASCII character.
  return IsText(rest) && 2 * rest.size() >= all;
}

Contents GuessContents(std::string_view head) {
  using namespace std::string_view_literals;
  if (head.empty()) return Contents::kEmpty;
  if (head.starts_with("\x89HDF\r\n\x1a\n"sv)) return Contents::kHdf5;
  if (head.starts_with("\xff\xd8\xff"sv) || head.starts_with("\x89PNG\r\n"sv)) {
    return Contents::kImage;
  }
  return IsText(head) ? Contents::kText : GuessMessage(head);
}

std::string DescribeContents(Contents contents) {
  switch (contents) {
    case Contents::kUnknown:
      return "";
    case Contents::kEmpty:
      return "empty";
    case Contents::kText:
      return "a prototxt or other text";
    case Contents::kHdf5:
      return "an HDF5 file";
    case Contents::kImage:
      return "an image";
    case Contents::kWeights:
      return "a caffemodel (weights)";
    case Contents::kSolverState:
      return "a solverstate";
    case Contents::kArray:
      return "a binaryproto array, such as a mean file";
  }
  return "";
}

}  // namespace caffe
