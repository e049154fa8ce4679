#ifndef CAFFE_PROTO_CHECK_NUMBERS_HPP_
#define CAFFE_PROTO_CHECK_NUMBERS_HPP_

#include <string>

namespace google::protobuf {
class Message;
}

namespace caffe {

/// Throws ValueError for a number of a parameter message that makes no sense: one that is
/// not finite, or outside the range that the field's comment in caffe.proto gives, such
/// as a negative eps. `who` is the error's: "solver", or a layer by NameOf().
///
/// Looks at the fields that are set, and into the messages within, but not at stored
/// blobs nor at nets and layers, whose numbers are checked when they are built.
void CheckNumbers(const google::protobuf::Message& message, const std::string& who);

}  // namespace caffe

#endif  // CAFFE_PROTO_CHECK_NUMBERS_HPP_
