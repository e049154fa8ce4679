#ifndef CAFFE_UTIL_INPUT_FILE_HPP_
#define CAFFE_UTIL_INPUT_FILE_HPP_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace caffe {

/// A file opened for reading. Throws FileError if it is missing, a folder or
/// unreadable; the message says where a relative path was looked up.
class InputFile {
 public:
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  int fd() const { return fd_; }
  /// Size in bytes, or -1 for pipes and devices.
  std::int64_t size() const { return size_; }

  /// The first bytes, at most kHeadBytes; nothing for pipes. The position stays.
  std::string Head() const;
  /// The last byte of a file that is not empty.
  unsigned char LastByte() const;
  /// All bytes from the position on; throws FileError above `limit`.
  std::string ReadAll(std::int64_t limit);
  /// Back to the start; false for pipes.
  bool Rewind();

 private:
  std::string path_;
  int fd_ = -1;
  std::int64_t size_ = -1;
};

/// So many bytes tell what a file is.
inline constexpr std::size_t kHeadBytes = 512;

/// Whether the first bytes are text, but for bytes 0 that stand between it.
bool LooksLikeText(std::string_view bytes);

/// What a file is, judged by its first bytes.
enum class Contents {
  kUnknown,
  kEmpty,
  kText,  ///< such as a prototxt
  kHdf5,
  kImage,    ///< JPEG or PNG
  kWeights,  ///< NetParameter, as in a caffemodel
  kSolverState,
  kArray,  ///< BlobProto, as in a mean file
};

Contents GuessContents(std::string_view head);

/// "an HDF5 file", "a prototxt or other text" …; empty for kUnknown.
std::string DescribeContents(Contents contents);

}  // namespace caffe

#endif  // CAFFE_UTIL_INPUT_FILE_HPP_
