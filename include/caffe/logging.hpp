#ifndef CAFFE_LOGGING_HPP_
#define CAFFE_LOGGING_HPP_

// glog's macros with glog's line format on stderr, so that layers and log
// parsers written for Caffe keep working. Differs from glog: LOG(FATAL) and a
// failed CHECK throw caffe::ValueError, since a library must not end the process.
//
// A file may include the real <glog/logging.h> as well. Its names in `google` are then
// the real ones, since those below come by a using-directive; the macros are ours if our
// headers come last, or if the real one was found through include/caffe/compat.

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <exception>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>

#include "caffe/error.hpp"

namespace caffe {
namespace logging {

/// What programs written for Caffe name in glog's namespace.
namespace glog {

enum LogSeverity { INFO = 0, WARNING = 1, ERROR = 2, FATAL = 3 };
const LogSeverity GLOG_INFO = INFO, GLOG_WARNING = WARNING, GLOG_ERROR = ERROR,
                  GLOG_FATAL = FATAL;
const int NUM_SEVERITIES = 4;

/// There is nothing to set up or to put away: every line goes to stderr at once, and an
/// error that nobody catches is printed as one sentence.
inline void InitGoogleLogging(const char* /*program*/) {}
inline void ShutdownGoogleLogging() {}
inline void InstallFailureSignalHandler() {}
inline void FlushLogFiles(LogSeverity /*severity*/) {}
inline void LogToStderr() {}
inline void SetStderrLogging(LogSeverity /*severity*/) {}

}  // namespace glog

using glog::LogSeverity;

/// Lines below this severity are not printed (GLOG_minloglevel sets the start value, and
/// it is FLAGS_minloglevel).
LogSeverity MinSeverity();
void SetMinSeverity(LogSeverity severity);

/// Highest VLOG(n) that is printed (GLOG_v sets the start value, and it is FLAGS_v).
int VerboseLevel();
void SetVerboseLevel(int level);

/// Receives every printed line without its newline; nullptr restores stderr.
using Sink = void (*)(LogSeverity severity, const char* line, void* context);
void SetSink(Sink sink, void* context);

/// Appends every printed line to a file as well; an empty path ends that. Lines for which
/// the disk has no room are left out, and a printed line tells so.
void SetLogFile(const std::string& path);

/// One line under construction, printed by the destructor.
class Message {
 public:
  Message(const char* file, int line, LogSeverity severity)
      : file_(file), line_(line), severity_(severity) {}
  ~Message();
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  std::ostream& stream() { return stream_; }

 private:
  const char* file_;
  int line_;
  LogSeverity severity_;
  std::ostringstream stream_;
};

/// A failed check under construction; the destructor throws ValueError, unless
/// what was streamed into it has thrown already: two exceptions end the process.
class FatalMessage {
 public:
  // Not = "": nvcc 13 stops in <string> of GCC 13 and 14 at that conversion.
  FatalMessage(const char* file, int line, const std::string& condition = std::string())
      : file_(file),
        line_(line),
        exceptions_(std::uncaught_exceptions()),
        condition_(condition) {}
  ~FatalMessage() noexcept(false);
  FatalMessage(const FatalMessage&) = delete;
  FatalMessage& operator=(const FatalMessage&) = delete;
  std::ostream& stream() { return stream_; }

 private:
  const char* file_;
  int line_;
  int exceptions_;
  std::string condition_;
  std::ostringstream stream_;
};

/// Swallows a stream so that `cond ? (void)0 : Voidify() & stream` type-checks.
struct Voidify {
  void operator&(std::ostream&) {}
};

/// The text of a failed comparison, or null when it holds.
template <typename A, typename B>
std::string* ComparisonText(const A& a, const B& b, const char* text) {
  std::ostringstream out;
  out << text << " (" << a << " vs. " << b << ")";
  return new std::string(out.str());
}

#define CAFFE_DEFINE_CHECK_OP(name, op)                                       \
  template <typename A, typename B>                                           \
  inline std::string* Check##name(const A& a, const B& b, const char* text) { \
    return (a op b) ? nullptr : ComparisonText(a, b, text);                   \
  }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
CAFFE_DEFINE_CHECK_OP(EQ, ==)
CAFFE_DEFINE_CHECK_OP(NE, !=)
CAFFE_DEFINE_CHECK_OP(LE, <=)
CAFFE_DEFINE_CHECK_OP(LT, <)
CAFFE_DEFINE_CHECK_OP(GE, >=)
CAFFE_DEFINE_CHECK_OP(GT, >)
#pragma GCC diagnostic pop
#undef CAFFE_DEFINE_CHECK_OP

/// As glog has it, two null pointers are equal.
bool EqualButForCase(const char* a, const char* b);

/// Owns the text made by Check??() for the length of one CHECK statement.
struct CheckText {
  explicit CheckText(std::string* text) : text(text) {}
  ~CheckText() { delete text; }
  CheckText(const CheckText&) = delete;
  explicit operator bool() const { return text != nullptr; }
  std::string* text;
};

template <typename T>
T CheckNotNull(const char* file, int line, const char* text, T&& pointer) {
  if (pointer == nullptr) FatalMessage(file, line, text).stream();
  return std::forward<T>(pointer);
}

}  // namespace logging
}  // namespace caffe

namespace google {
using namespace ::caffe::logging::glog;  // NOLINT(build/namespaces)
}

// Declared as glog does. The last four are taken without effect: there are no log files
// of glog's kind.
namespace fLI {
extern std::int32_t FLAGS_minloglevel, FLAGS_v, FLAGS_stderrthreshold;
}
namespace fLB {
extern bool FLAGS_logtostderr, FLAGS_alsologtostderr, FLAGS_colorlogtostderr;
}
using fLB::FLAGS_alsologtostderr;
using fLB::FLAGS_colorlogtostderr;
using fLB::FLAGS_logtostderr;
using fLI::FLAGS_minloglevel;
using fLI::FLAGS_stderrthreshold;
using fLI::FLAGS_v;

#include "caffe/util/log_macros.hpp"

#endif  // CAFFE_LOGGING_HPP_
