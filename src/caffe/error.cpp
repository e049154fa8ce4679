#include "caffe/error.hpp"

#include <string>

namespace caffe {

Error::Error(ErrorKind kind, const std::string& message) : Error(kind, "", message) {}

Error::Error(ErrorKind kind, const std::string& who, const std::string& message)
    : std::runtime_error(message), kind_(kind), who_(who), message_(message) {
  Compose();
}

void Error::SetWho(const std::string& who) {
  if (who_.empty()) who_ = who;
  Compose();
}

void Error::SetMessage(const std::string& message) {
  message_ = message;
  Compose();
}

void Error::Prefix(const std::string& prefix) {
  (who_.empty() ? message_ : where_).insert(0, prefix + ": ");
  Compose();
}

void Error::Compose() { text_ = where_ + (who_.empty() ? "" : who_ + ": ") + message_; }

}  // namespace caffe
