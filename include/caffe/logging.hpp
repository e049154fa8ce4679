#ifndef CAFFE_LOGGING_HPP_
#define CAFFE_LOGGING_HPP_

// glog's macros with glog's line format on stderr, so that layers and log
// parsers written for Caffe keep working. Differs from glog: LOG(FATAL) and a
// failed CHECK throw caffe::ValueError, since a library must not end the process.

#include <atomic>
#include <exception>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>

#include "caffe/error.hpp"

namespace google {
enum LogSeverity { INFO = 0, WARNING = 1, ERROR = 2, FATAL = 3 };
/// Programs written for Caffe call it first; there is nothing to set up.
inline void InitGoogleLogging(const char* /*program*/) {}
}  // namespace google

namespace caffe {
namespace logging {

using google::LogSeverity;

/// Lines below this severity are not printed (GLOG_minloglevel sets the start value).
LogSeverity MinSeverity();
void SetMinSeverity(LogSeverity severity);

/// Highest VLOG(n) that is printed (GLOG_v sets the start value).
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

#define CAFFE_LOG_INFO \
  ::caffe::logging::Message(__FILE__, __LINE__, ::google::INFO).stream()
#define CAFFE_LOG_WARNING \
  ::caffe::logging::Message(__FILE__, __LINE__, ::google::WARNING).stream()
#define CAFFE_LOG_ERROR \
  ::caffe::logging::Message(__FILE__, __LINE__, ::google::ERROR).stream()
#define CAFFE_LOG_FATAL ::caffe::logging::FatalMessage(__FILE__, __LINE__).stream()

#define LOG(severity) CAFFE_LOG_##severity
#define LOG_IF(severity, condition) \
  !(condition) ? (void)0 : ::caffe::logging::Voidify() & LOG(severity)

#define CAFFE_CONCAT_(a, b) a##b
#define CAFFE_CONCAT(a, b) CAFFE_CONCAT_(a, b)
#define CAFFE_LOG_COUNTED(severity, condition)                     \
  static ::std::atomic<int> CAFFE_CONCAT(log_count_, __LINE__)(0); \
  if (int log_n = CAFFE_CONCAT(log_count_, __LINE__)++; condition) LOG(severity)
#define LOG_EVERY_N(severity, n) CAFFE_LOG_COUNTED(severity, log_n % (n) == 0)
#define LOG_FIRST_N(severity, n) CAFFE_LOG_COUNTED(severity, log_n < (n))

#define VLOG_IS_ON(level) ((level) <= ::caffe::logging::VerboseLevel())
#define VLOG(level) LOG_IF(INFO, VLOG_IS_ON(level))

#define CHECK(condition)              \
  (condition)                         \
      ? (void)0                       \
      : ::caffe::logging::Voidify() & \
            ::caffe::logging::FatalMessage(__FILE__, __LINE__, #condition).stream()
#define CAFFE_CHECK_OP(name, op, a, b)                                    \
  while (auto check_text = ::caffe::logging::CheckText(                   \
             ::caffe::logging::Check##name((a), (b), #a " " #op " " #b))) \
  ::caffe::logging::FatalMessage(__FILE__, __LINE__, *check_text.text).stream()
#define CHECK_EQ(a, b) CAFFE_CHECK_OP(EQ, ==, a, b)
#define CHECK_NE(a, b) CAFFE_CHECK_OP(NE, !=, a, b)
#define CHECK_LE(a, b) CAFFE_CHECK_OP(LE, <=, a, b)
#define CHECK_LT(a, b) CAFFE_CHECK_OP(LT, <, a, b)
#define CHECK_GE(a, b) CAFFE_CHECK_OP(GE, >=, a, b)
#define CHECK_GT(a, b) CAFFE_CHECK_OP(GT, >, a, b)
#define CHECK_STREQ(a, b) CHECK_EQ(::std::string(a), ::std::string(b))
#define CHECK_STRNE(a, b) CHECK_NE(::std::string(a), ::std::string(b))
#define CHECK_NEAR(a, b, margin)   \
  do {                             \
    CHECK_LE((a), (b) + (margin)); \
    CHECK_GE((a), (b) - (margin)); \
  } while (0)
#define CHECK_NOTNULL(pointer)                                                          \
  ::caffe::logging::CheckNotNull(__FILE__, __LINE__, "'" #pointer "' must not be null", \
                                 (pointer))

// clang-format off
#ifdef NDEBUG
#define CAFFE_DEBUG_ONLY false &&
#define DLOG(severity) LOG_IF(severity, false)
#else
#define CAFFE_DEBUG_ONLY true &&
#define DLOG(severity) LOG(severity)
#endif
#define DCHECK(condition) while (CAFFE_DEBUG_ONLY !(condition)) CHECK(condition)
#define DCHECK_EQ(a, b) while (CAFFE_DEBUG_ONLY !((a) == (b))) CHECK_EQ(a, b)
#define DCHECK_NE(a, b) while (CAFFE_DEBUG_ONLY !((a) != (b))) CHECK_NE(a, b)
#define DCHECK_LE(a, b) while (CAFFE_DEBUG_ONLY !((a) <= (b))) CHECK_LE(a, b)
#define DCHECK_LT(a, b) while (CAFFE_DEBUG_ONLY !((a) < (b))) CHECK_LT(a, b)
#define DCHECK_GE(a, b) while (CAFFE_DEBUG_ONLY !((a) >= (b))) CHECK_GE(a, b)
#define DCHECK_GT(a, b) while (CAFFE_DEBUG_ONLY !((a) > (b))) CHECK_GT(a, b)
// clang-format on

#endif  // CAFFE_LOGGING_HPP_
