#ifndef CAFFE_UTIL_FNV1A_HPP_
#define CAFFE_UTIL_FNV1A_HPP_

#include <cstdint>
#include <string_view>

namespace caffe {

/// 64-bit FNV-1a of bytes that come piece by piece: tells things apart that were mixed
/// up or damaged, not ones that were forged.
class Fnv1a {
 public:
  void Add(std::string_view bytes) {
    for (const char c : bytes) {
      value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    }
  }
  std::uint64_t value() const { return value_; }

 private:
  // Offset basis and prime as published by Fowler, Noll and Vo.
  std::uint64_t value_ = 0xcbf29ce484222325u;
};

}  // namespace caffe

#endif  // CAFFE_UTIL_FNV1A_HPP_
