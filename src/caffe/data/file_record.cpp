#include "caffe/data/file_record.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <opencv2/core.hpp>
#include <utility>

#include "caffe/util/image_io.hpp"
#include "caffe/util/input_file.hpp"

namespace caffe {
namespace {

// LMDB's own limit.
constexpr std::size_t kMaxKeyBytes = 511;
constexpr std::uint64_t kMaxImageBytes = std::uint64_t{1} << 30;  // fits a message

string ReadPart(const string& archive, const ArchivePart& part) {
  if (part.size > kMaxImageBytes) {
    throw FileError(Str(part.size, " bytes, expected at most ", kMaxImageBytes));
  }
  const InputFile file(archive);
  string bytes(part.size, '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::pread(file.fd(), bytes.data() + done, bytes.size() - done,
                                static_cast<off_t>(part.offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw FileError(Str("cannot read '", archive, "': ", std::strerror(errno)));
    }
    if (got == 0) {
      throw FileError(
          Str("the archive ends after ", done, " of ", bytes.size(), " bytes"));
    }
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace

ImageRecord FileRecord(const string& source, const ListedImage& image,
                       const std::optional<ArchivePart>& part) {
  ImageRecord record;
  const std::size_t key_bytes = DatabaseKey(0, image.path).size();
  if (key_bytes > kMaxKeyBytes) {
    record.reason =
        Str("its name makes a key of ", key_bytes, " bytes, LMDB takes ", kMaxKeyBytes);
    return record;
  }
  try {
    Datum datum;
    datum.set_data(part ? ReadPart(source, *part)
                        : ReadImageFile(Str(source, "/", image.path)));
    const cv::Mat pixels = DecodeImage(datum.data(), ImageColors::kColor);
    record.channels = pixels.channels();
    record.height = pixels.rows;
    record.width = pixels.cols;
    datum.set_channels(record.channels);
    datum.set_height(record.height);
    datum.set_width(record.width);
    datum.set_label(image.label);
    datum.set_encoded(true);
    datum.SerializeToString(&record.value);
  } catch (const Error& error) {
    record.reason = error.what();
  }
  return record;
}

}  // namespace caffe
