#ifndef CAFFE_ERROR_HPP_
#define CAFFE_ERROR_HPP_

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace caffe {

/// What went wrong; Python sees the exception named beside each kind.
enum class ErrorKind {
  kValue,           ///< a wrong parameter, shape or name: ValueError
  kFile,            ///< a missing, unreadable or malformed file: OSError
  kRuntime,         ///< a device or library failed: RuntimeError
  kNotImplemented,  ///< a combination nobody has written: NotImplementedError
};

/// Base of everything this library throws on purpose.
///
/// The message is one sentence of the form who, what, got, expected, cure.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message)
      : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

template <ErrorKind K>
class ErrorOf : public Error {
 public:
  explicit ErrorOf(const std::string& message) : Error(K, message) {}
};

using ValueError = ErrorOf<ErrorKind::kValue>;
using FileError = ErrorOf<ErrorKind::kFile>;
using RuntimeFailure = ErrorOf<ErrorKind::kRuntime>;
using NotImplementedFailure = ErrorOf<ErrorKind::kNotImplemented>;

/// Concatenates its arguments as an ostream would print them.
template <typename... Args>
std::string Str(Args&&... args) {
  std::ostringstream out;
  (out << ... << std::forward<Args>(args));
  return out.str();
}

/// Throws `error` again with `prefix` before its message, keeping its kind.
[[noreturn]] void RethrowWithPrefix(const Error& error, const std::string& prefix);

}  // namespace caffe

#endif  // CAFFE_ERROR_HPP_
