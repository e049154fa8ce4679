#ifndef CAFFE_TESTS_UTIL_FILE_SIZE_LIMIT_HPP_
#define CAFFE_TESTS_UTIL_FILE_SIZE_LIMIT_HPP_

#include <sys/resource.h>

#include <csignal>

namespace caffe {
namespace test {

/// Makes every file of this process end at `bytes`, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit = {bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_{};
  void (*handler_)(int);
};

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_UTIL_FILE_SIZE_LIMIT_HPP_
