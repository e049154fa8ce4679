#ifndef CAFFE_SOLVERS_FILE_DIGEST_HPP_
#define CAFFE_SOLVERS_FILE_DIGEST_HPP_

#include <cstdint>
#include <string>

namespace caffe {

/// Fnv1a of a file's contents. Throws FileError if it cannot be read.
std::uint64_t FileDigest(const std::string& path);

}  // namespace caffe

#endif  // CAFFE_SOLVERS_FILE_DIGEST_HPP_
