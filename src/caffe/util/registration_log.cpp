#include "caffe/util/registration_log.hpp"

#include <mutex>
#include <utility>

namespace caffe {
namespace {

struct Log {
  std::mutex mutex;
  Registrations entries;
};

Log& GetLog() {
  static Log* log = new Log();
  return *log;
}

}  // namespace

void RecordRegistration(const std::string& type, bool added) {
  Log& log = GetLog();
  std::lock_guard<std::mutex> lock(log.mutex);
  (added ? log.entries.added : log.entries.refused).push_back(type);
}

Registrations TakeRegistrations() {
  Log& log = GetLog();
  std::lock_guard<std::mutex> lock(log.mutex);
  return std::exchange(log.entries, Registrations());
}

}  // namespace caffe
