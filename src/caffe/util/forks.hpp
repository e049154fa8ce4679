#ifndef CAFFE_UTIL_FORKS_HPP_
#define CAFFE_UTIL_FORKS_HPP_

#include <string>

namespace caffe {

/// What one is told to do about a layer type that is not here.
inline constexpr char kLoadAsPlugin[] =
    "load it as a plugin: `caffe build-plugin` makes one of its source file, and "
    "caffe.load_plugin() or caffe train -plugin loads it";

/// The Caffe that has a layer type, such as "SSD's Caffe"; empty if none known has.
std::string HomeOfLayerType(const std::string& type);

/// A field of a fork's prototxt that this schema lacks.
struct ForkField {
  const char* message;  ///< "" for any
  const char* field;
  const char* home;  ///< the Caffe that has it
  /// The value with which results are those of a file without the field. kAnyValue: they
  /// never depend on it, only speed, storage or messages do. kNoValue: always.
  const char* neutral;
  const char* cure;  ///< what to write where it is not neutral; empty for a layer's own
};

inline constexpr char kAnyValue[] = "*";
inline constexpr char kNoValue[] = "";

/// Null if no known fork has the field in this message (named without its package).
const ForkField* FindForkField(const std::string& message, const std::string& field);

/// Whether a value, as written in the file, leaves the results as they are.
bool IsNeutral(const ForkField& field, const std::string& value);

}  // namespace caffe

#endif  // CAFFE_UTIL_FORKS_HPP_
