#ifndef CAFFE_UTIL_TEXT_CONTEXT_HPP_
#define CAFFE_UTIL_TEXT_CONTEXT_HPP_

#include <string>

#include <google/protobuf/descriptor.h>

namespace caffe {

/// Where in a text-format message a position lies.
struct TextContext {
  /// The message around it; null inside fields that do not exist.
  const google::protobuf::Descriptor* message = nullptr;
  std::string layer;       ///< name of the layer around it, if that has one
  std::string open_field;  ///< the innermost block around it: its field …
  int open_line = 0;       ///< … and the line it starts on, from 1
  bool at_end = false;     ///< nothing but space and comments follows
  int last_line = 0;       ///< where the token before the position starts
  int last_column = 0;
};

/// Finds the context of (line, column), both from 0 as protobuf counts them, in a
/// text that need not be correct.
TextContext FindTextContext(const std::string& text,
                            const google::protobuf::Descriptor* root, int line,
                            int column);

/// The value of the field whose name ends before (line, column), as it is written but for
/// quotes; empty for messages and lists.
std::string ValueBehind(const std::string& text, int line, int column);

/// If protobuf's parse error `message` is about a field that the schema lacks: its
/// message, without the package, and its name.
bool IsUnknownField(const std::string& message, std::string* in, std::string* field);

/// "line:column: …" and one sentence for protobuf's parse error `message` at that
/// position, with the closest valid name where one is wrong.
std::string ExplainTextError(const std::string& text,
                             const google::protobuf::Descriptor* root, int line,
                             int column, const std::string& message);

}  // namespace caffe

#endif  // CAFFE_UTIL_TEXT_CONTEXT_HPP_
