#include "caffe/solvers/file_digest.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "caffe/error.hpp"
#include "caffe/util/fnv1a.hpp"
#include "caffe/util/input_file.hpp"

namespace caffe {

std::uint64_t FileDigest(const std::string& path) {
  Fnv1a digest;
  InputFile file(path);
  std::vector<char> buffer(1 << 20);
  for (;;) {
    const ssize_t size = ::read(file.fd(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0)
      throw FileError(Str("cannot read '", path, "': ", std::strerror(errno)));
    if (size == 0) return digest.value();
    digest.Add({buffer.data(), static_cast<std::size_t>(size)});
  }
}

}  // namespace caffe
