#include "caffe/solvers/file_digest.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "caffe/error.hpp"
#include "caffe/util/input_file.hpp"

namespace caffe {

std::uint64_t FileDigest(const std::string& path) {
  // Offset basis and prime as published by Fowler, Noll and Vo.
  std::uint64_t digest = 0xcbf29ce484222325u;
  InputFile file(path);
  std::vector<unsigned char> buffer(1 << 20);
  for (;;) {
    const ssize_t size = ::read(file.fd(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0)
      throw FileError(Str("cannot read '", path, "': ", std::strerror(errno)));
    if (size == 0) return digest;
    for (ssize_t i = 0; i < size; ++i) digest = (digest ^ buffer[i]) * 0x100000001b3u;
  }
}

}  // namespace caffe
