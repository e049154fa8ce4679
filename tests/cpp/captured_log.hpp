#ifndef CAFFE_TESTS_CAPTURED_LOG_HPP_
#define CAFFE_TESTS_CAPTURED_LOG_HPP_

#include <string>
#include <vector>

#include "caffe/logging.hpp"

namespace caffe {
namespace test {

/// Collects the log lines printed while it lives, of all severities.
class CapturedLog {
 public:
  CapturedLog() : min_severity_(logging::MinSeverity()) {
    logging::SetMinSeverity(google::INFO);
    logging::SetSink(
        [](logging::LogSeverity severity, const char* line, void* context) {
          auto* capture = static_cast<CapturedLog*>(context);
          capture->severities_.push_back(severity);
          capture->lines_.push_back(line);
        },
        this);
  }
  ~CapturedLog() {
    logging::SetSink(nullptr, nullptr);
    logging::SetMinSeverity(min_severity_);
  }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;

  const std::vector<std::string>& lines() const { return lines_; }
  const std::vector<logging::LogSeverity>& severities() const { return severities_; }

  /// The texts behind "file:line] " of the lines that hold `part`.
  std::vector<std::string> Texts(const std::string& part) const {
    std::vector<std::string> texts;
    for (const std::string& line : lines_) {
      if (line.find(part) == std::string::npos) continue;
      texts.push_back(line.substr(line.find("] ") + 2));
    }
    return texts;
  }

 private:
  logging::LogSeverity min_severity_;
  std::vector<std::string> lines_;
  std::vector<logging::LogSeverity> severities_;
};

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_CAPTURED_LOG_HPP_
