#ifndef STAND_IN_GLOG_LOGGING_H_
#define STAND_IN_GLOG_LOGGING_H_

// The macros of glog that layers use. As there, a failed CHECK ends the process.

#include <cstdlib>
#include <iostream>
#include <sstream>

namespace google {

class LogMessage {
 public:
  explicit LogMessage(char severity) : severity_(severity) {}
  ~LogMessage() {
    if (severity_ != 'I') std::cerr << severity_ << "] " << text_.str() << std::endl;
    if (severity_ == 'F') std::abort();
  }
  std::ostream& stream() { return text_; }

 private:
  char severity_;
  std::ostringstream text_;
};

struct LogMessageVoidify {
  void operator&(std::ostream&) {}
};

}  // namespace google

#define STAND_IN_LOG_INFO 'I'
#define STAND_IN_LOG_WARNING 'W'
#define STAND_IN_LOG_ERROR 'E'
#define STAND_IN_LOG_FATAL 'F'
#define LOG(severity) ::google::LogMessage(STAND_IN_LOG_##severity).stream()
#define LOG_IF(severity, condition) \
  !(condition) ? (void)0 : ::google::LogMessageVoidify() & LOG(severity)
#define CHECK(condition) LOG_IF(FATAL, !(condition)) << "Check failed: " #condition " "
#define STAND_IN_CHECK_OP(a, op, b) \
  CHECK((a)op(b)) << "(" << (a) << " vs. " << (b) << ") "
#define CHECK_EQ(a, b) STAND_IN_CHECK_OP(a, ==, b)
#define CHECK_NE(a, b) STAND_IN_CHECK_OP(a, !=, b)
#define CHECK_LE(a, b) STAND_IN_CHECK_OP(a, <=, b)
#define CHECK_LT(a, b) STAND_IN_CHECK_OP(a, <, b)
#define CHECK_GE(a, b) STAND_IN_CHECK_OP(a, >=, b)
#define CHECK_GT(a, b) STAND_IN_CHECK_OP(a, >, b)

#endif  // STAND_IN_GLOG_LOGGING_H_
