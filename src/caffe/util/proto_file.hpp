#ifndef CAFFE_UTIL_PROTO_FILE_HPP_
#define CAFFE_UTIL_PROTO_FILE_HPP_

#include <string>

#include <google/protobuf/message.h>

namespace caffe {

/// Reads a binary message. Empty, or one sentence on what is wrong with the contents;
/// throws FileError if they cannot be read at all.
std::string BinaryFileProblem(const std::string& path, google::protobuf::Message* proto);

}  // namespace caffe

#endif  // CAFFE_UTIL_PROTO_FILE_HPP_
