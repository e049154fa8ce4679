#ifndef CAFFE_SOLVERS_FILE_DIGEST_HPP_
#define CAFFE_SOLVERS_FILE_DIGEST_HPP_

#include <cstdint>
#include <string>

namespace caffe {

/// 64-bit FNV-1a of a file's contents: tells files apart that were mixed up or damaged,
/// not ones that were forged. Throws FileError if it cannot be read.
std::uint64_t FileDigest(const std::string& path);

}  // namespace caffe

#endif  // CAFFE_SOLVERS_FILE_DIGEST_HPP_
