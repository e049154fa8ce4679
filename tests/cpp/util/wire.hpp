#ifndef CAFFE_TESTS_UTIL_WIRE_HPP_
#define CAFFE_TESTS_UTIL_WIRE_HPP_

#include <cstdint>
#include <cstring>
#include <string>

// Protobuf's wire format written by hand, so that tests of the schema do not lean on
// the schema. See protobuf.dev/programming-guides/encoding.

namespace caffe {
namespace test {
namespace wire {

inline std::string Varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes + static_cast<char>(value);
}

inline std::string Number(int field, std::uint64_t value) {
  return Varint(static_cast<std::uint64_t>(field) << 3 | 0) + Varint(value);
}

inline std::string Bytes(int field, const std::string& payload) {
  return Varint(static_cast<std::uint64_t>(field) << 3 | 2) + Varint(payload.size()) +
         payload;
}

inline std::string Float(int field, float value) {
  char raw[4];
  std::memcpy(raw, &value, 4);
  return Varint(static_cast<std::uint64_t>(field) << 3 | 5) + std::string(raw, 4);
}

/// LayerParameter in a NetParameter: fields 1 name, 2 type, then `rest`.
inline std::string Layer(const std::string& name, const std::string& type,
                         const std::string& rest) {
  return Bytes(100, Bytes(1, name) + Bytes(2, type) + rest);
}

}  // namespace wire
}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_UTIL_WIRE_HPP_
