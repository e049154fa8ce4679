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

/// Base of everything this library throws on purpose: one sentence of the form
/// `[where: ]who: what was got, what was expected, what to do`.
///
/// The code that finds the fault often does not know whose it is. Those who know add
/// that as the error passes, and its class stays what it is:
///
///     catch (Error& error) {
///       error.SetWho(NameOf(layer_param));
///       throw;
///     }
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message);
  Error(ErrorKind kind, const std::string& who, const std::string& message);

  ErrorKind kind() const { return kind_; }
  /// Who is at fault, such as "layer 'conv1' (Convolution)"; empty if nobody has said.
  const std::string& who() const { return who_; }
  /// The sentence behind `who: `; all of it while who() is empty.
  const std::string& message() const { return message_; }
  const char* what() const noexcept override { return text_.c_str(); }

  /// Says who it is, unless that is known: who stood closest to the fault is right.
  void SetWho(const std::string& who);
  void SetMessage(const std::string& message);
  /// Puts "prefix: " in front of all that is known by now: of a file's name, say.
  void Prefix(const std::string& prefix);

 private:
  void Compose();

  ErrorKind kind_;
  std::string where_, who_, message_, text_;
};

template <ErrorKind K>
class ErrorOf : public Error {
 public:
  explicit ErrorOf(const std::string& message) : Error(K, message) {}
  ErrorOf(const std::string& who, const std::string& message) : Error(K, who, message) {}
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

}  // namespace caffe

#endif  // CAFFE_ERROR_HPP_
