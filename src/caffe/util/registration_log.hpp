#ifndef CAFFE_UTIL_REGISTRATION_LOG_HPP_
#define CAFFE_UTIL_REGISTRATION_LOG_HPP_

#include <string>
#include <vector>

namespace caffe {

/// What static initialisers have registered since the last call of
/// TakeRegistrations(): layers once per element type.
struct Registrations {
  std::vector<std::string> added;
  std::vector<std::string> refused;  ///< the name was taken already
};

void RecordRegistration(const std::string& type, bool added);
Registrations TakeRegistrations();

}  // namespace caffe

#endif  // CAFFE_UTIL_REGISTRATION_LOG_HPP_
