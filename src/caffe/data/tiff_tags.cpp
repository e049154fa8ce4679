#include "caffe/data/tiff_tags.hpp"

#include <cstddef>
#include <cstdint>

namespace caffe {
namespace {

using namespace std::string_view_literals;

constexpr std::uint64_t kOrientation = 274, kExtraSamples = 338;
constexpr std::uint64_t kShort = 3;  // type of both

// Numbers of a file in its byte order; those behind its end are 0.
class Numbers {
 public:
  explicit Numbers(std::string* bytes) : bytes_(*bytes), big_endian_(bytes_[0] == 'M') {}

  std::uint64_t Get(std::uint64_t at, int size) const {
    if (at > bytes_.size() || bytes_.size() - at < static_cast<std::size_t>(size)) {
      return 0;
    }
    std::uint64_t value = 0;
    for (int i = 0; i < size; ++i) {
      const std::uint64_t byte = static_cast<unsigned char>(bytes_[at + i]);
      value |= byte << 8 * (big_endian_ ? size - 1 - i : i);
    }
    return value;
  }
  void SetShort(std::uint64_t at, unsigned char value) {
    bytes_[at] = big_endian_ ? '\0' : static_cast<char>(value);
    bytes_[at + 1] = big_endian_ ? static_cast<char>(value) : '\0';
  }

 private:
  std::string& bytes_;
  bool big_endian_;
};

}  // namespace

bool IsTiff(std::string_view bytes) {
  return bytes.starts_with("II*\0"sv) || bytes.starts_with("MM\0*"sv) ||
         bytes.starts_with("II+\0"sv) || bytes.starts_with("MM\0+"sv);
}

std::string WithoutPixelTags(std::string tiff) {
  Numbers file(&tiff);
  // A tag is its number, the type and count of its values, and these or, if they take
  // more, where they are. BigTIFF has wider numbers.
  const bool big = file.Get(2, 2) == 43;
  const int word = big ? 8 : 4;
  const std::uint64_t directory = file.Get(big ? 8 : 4, word);
  const int entry_size = 4 + 2 * word;
  const std::uint64_t entries = file.Get(directory, big ? 8 : 2);
  std::uint64_t entry = directory + (big ? 8 : 2);
  for (std::uint64_t i = 0; i < entries && entry + entry_size <= tiff.size();
       ++i, entry += entry_size) {
    if (file.Get(entry + 2, 2) != kShort) continue;
    const std::uint64_t count = file.Get(entry + 4, word);
    std::uint64_t values = entry + 4 + word;
    if (count > static_cast<std::uint64_t>(word) / 2) values = file.Get(values, word);
    const std::uint64_t tag = file.Get(entry, 2);
    const std::uint64_t first = file.Get(values, 2);
    if (tag == kOrientation && first > 1) file.SetShort(values, 1);
    if (tag == kExtraSamples && first == 2) file.SetShort(values, 1);
  }
  return tiff;
}

}  // namespace caffe
