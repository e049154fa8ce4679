// The macros of caffe/logging.hpp. No include guard: where the real glog's header has put
// its own in their place, another #include of this file makes them ours again.

#include "caffe/util/no_log_macros.hpp"

#define CAFFE_LOG_INFO \
  ::caffe::logging::Message(__FILE__, __LINE__, ::caffe::logging::glog::INFO).stream()
#define CAFFE_LOG_WARNING \
  ::caffe::logging::Message(__FILE__, __LINE__, ::caffe::logging::glog::WARNING).stream()
#define CAFFE_LOG_ERROR \
  ::caffe::logging::Message(__FILE__, __LINE__, ::caffe::logging::glog::ERROR).stream()
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
#define VLOG_IF(level, condition) LOG_IF(INFO, VLOG_IS_ON(level) && (condition))

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
#define CHECK_STRCASEEQ(a, b) \
  CHECK(::caffe::logging::EqualButForCase((a), (b))) << (a) << " vs. " << (b) << ' '
#define CHECK_STRCASENE(a, b) \
  CHECK(!::caffe::logging::EqualButForCase((a), (b))) << (a) << " vs. " << (b) << ' '
#define CHECK_DOUBLE_EQ(a, b) CHECK_NEAR(a, b, 0.000000000000001L)
#define CHECK_INDEX(i, a) CHECK_LT((i), sizeof(a) / sizeof((a)[0]))
#define LOG_ASSERT(condition) CHECK(condition)
// With what errno says.
#define PLOG(severity) LOG(severity) << ::std::strerror(errno) << ": "
#define PCHECK(condition) CHECK(condition) << ::std::strerror(errno) << ": "
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
#define DLOG_IF(severity, condition) LOG_IF(severity, false && (condition))
#define DVLOG(level) VLOG_IF(level, false)
#else
#define CAFFE_DEBUG_ONLY true &&
#define DLOG(severity) LOG(severity)
#define DLOG_IF(severity, condition) LOG_IF(severity, condition)
#define DVLOG(level) VLOG(level)
#endif
#define DCHECK(condition) while (CAFFE_DEBUG_ONLY !(condition)) CHECK(condition)
#define DCHECK_EQ(a, b) while (CAFFE_DEBUG_ONLY !((a) == (b))) CHECK_EQ(a, b)
#define DCHECK_NE(a, b) while (CAFFE_DEBUG_ONLY !((a) != (b))) CHECK_NE(a, b)
#define DCHECK_LE(a, b) while (CAFFE_DEBUG_ONLY !((a) <= (b))) CHECK_LE(a, b)
#define DCHECK_LT(a, b) while (CAFFE_DEBUG_ONLY !((a) < (b))) CHECK_LT(a, b)
#define DCHECK_GE(a, b) while (CAFFE_DEBUG_ONLY !((a) >= (b))) CHECK_GE(a, b)
#define DCHECK_GT(a, b) while (CAFFE_DEBUG_ONLY !((a) > (b))) CHECK_GT(a, b)
// clang-format on
