#ifndef CAFFE_UTIL_UTF8_HPP_
#define CAFFE_UTIL_UTF8_HPP_

#include <string>
#include <string_view>

#include <google/protobuf/message.h>

namespace caffe {

bool IsUtf8(std::string_view text);

/// Empty, or one sentence on the first name (of a net, layer, type, blob or parameter) in
/// a message that is not UTF-8, as which other programs read it. Paths may be any bytes.
std::string Utf8Problem(const google::protobuf::Message& message,
                        const std::string& source);

}  // namespace caffe

#endif  // CAFFE_UTIL_UTF8_HPP_
