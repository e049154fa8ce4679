#ifndef CAFFE_UTIL_FLAGS_HPP_
#define CAFFE_UTIL_FLAGS_HPP_

// gflags' interface, for programs written for Caffe: flags that a program defines with
// DEFINE_string(name, default, help) and the like, and reads as FLAGS_name.
//
// On the command line they are -name=value, --name=value or -name value, and -name or
// -noname of a bool; "--" ends them. -help and its kin print all of them and exit with 1,
// -version exits with 0, -flagfile=path reads more of them, one a line, and
// -undefok=a,b allows those that nobody has defined.
//
// Differs from gflags: what is wrong with a flag throws caffe::ValueError, which a
// program that does not catch it prints as one sentence before it exits with 1.

#include <cstdint>
#include <string>
#include <vector>

namespace caffe {
namespace flags {

/// What gflags has in its namespace.
namespace names {

using ::std::int32_t;
using ::std::int64_t;
using ::std::uint32_t;
using ::std::uint64_t;
typedef ::std::int32_t int32;
typedef ::std::int64_t int64;
typedef ::std::uint32_t uint32;
typedef ::std::uint64_t uint64;

/// Sets the flags of the program. With `remove_flags` argv keeps what is none; otherwise
/// flags come first in it. Returns the index of the first argument that is no flag.
/// Flags that the real gflags knows, where a program is linked with it, are its own.
uint32 ParseCommandLineFlags(int* argc, char*** argv, bool remove_flags);
/// The same; -help and its kin are left to HandleCommandLineHelpFlags.
uint32 ParseCommandLineNonHelpFlags(int* argc, char*** argv, bool remove_flags);
void HandleCommandLineHelpFlags();
inline void ShutDownCommandLineFlags() {}

/// The text in front of the flags in what -help prints.
void SetUsageMessage(const std::string& usage);
const char* ProgramUsage();
void SetVersionString(const std::string& version);
const char* VersionString();
const char* ProgramInvocationName();
const char* ProgramInvocationShortName();

/// Print the usage and the flags to stdout: all, or those that are defined in files with
/// `restrict` in their paths, such as "tools/caffe".
void ShowUsageWithFlags(const char* argv0);
void ShowUsageWithFlagsRestrict(const char* argv0, const char* restrict_to);

/// False for a flag that is not defined.
bool GetCommandLineOption(const char* name, std::string* value);
/// What was done, in words; empty if the flag is not defined or the value is none of it.
std::string SetCommandLineOption(const char* name, const char* value);

struct CommandLineFlagInfo {
  std::string name, type, description, current_value, default_value, filename;
  bool is_default;
  const void* flag_ptr;
};
bool GetCommandLineFlagInfo(const char* name, CommandLineFlagInfo* info);
void GetAllFlags(std::vector<CommandLineFlagInfo>* flags);

/// `accepts` is asked about every value that is set, and about the default when flags are
/// parsed. False if there is no such flag, or if it has another validator.
bool RegisterFlagValidator(const bool* flag, bool (*accepts)(const char*, bool));
bool RegisterFlagValidator(const int32* flag, bool (*accepts)(const char*, int32));
bool RegisterFlagValidator(const uint32* flag, bool (*accepts)(const char*, uint32));
bool RegisterFlagValidator(const int64* flag, bool (*accepts)(const char*, int64));
bool RegisterFlagValidator(const uint64* flag, bool (*accepts)(const char*, uint64));
bool RegisterFlagValidator(const double* flag, bool (*accepts)(const char*, double));
bool RegisterFlagValidator(const std::string* flag,
                           bool (*accepts)(const char*, const std::string&));

}  // namespace names

/// Makes a variable known as a flag while it lives; its value is the default.
class Registration {
 public:
  template <typename T>
  Registration(const char* name, const char* help, const char* file, T* value);
  ~Registration();
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

 private:
  std::string name_;
  const void* variable_;
};

}  // namespace flags
}  // namespace caffe

#ifndef GFLAGS_GFLAGS_H_
#define GFLAGS_GFLAGS_H_  // the real header's: a file has one of the two

namespace google {
using namespace ::caffe::flags::names;  // NOLINT(build/namespaces)
}
namespace gflags {
using namespace ::caffe::flags::names;  // NOLINT(build/namespaces)
}

// The variables are the ones that the real macros make, so that files with either header
// can define and declare each other's flags.
#define CAFFE_DEFINE_FLAG(space, type, name, value, help)                          \
  namespace space {                                                                \
  type FLAGS_##name = value;                                                       \
  static const ::caffe::flags::Registration registration_of_##name(#name, help,    \
                                                                   __FILE__,       \
                                                                   &FLAGS_##name); \
  }                                                                                \
  using space::FLAGS_##name
#define CAFFE_DECLARE_FLAG(space, type, name) \
  namespace space {                           \
  extern type FLAGS_##name;                   \
  }                                           \
  using space::FLAGS_##name

#define DEFINE_bool(name, value, help) CAFFE_DEFINE_FLAG(fLB, bool, name, value, help)
#define DEFINE_int32(name, value, help) \
  CAFFE_DEFINE_FLAG(fLI, ::std::int32_t, name, value, help)
#define DEFINE_uint32(name, value, help) \
  CAFFE_DEFINE_FLAG(fLU, ::std::uint32_t, name, value, help)
#define DEFINE_int64(name, value, help) \
  CAFFE_DEFINE_FLAG(fLI64, ::std::int64_t, name, value, help)
#define DEFINE_uint64(name, value, help) \
  CAFFE_DEFINE_FLAG(fLU64, ::std::uint64_t, name, value, help)
#define DEFINE_double(name, value, help) CAFFE_DEFINE_FLAG(fLD, double, name, value, help)
#define DEFINE_string(name, value, help)       \
  namespace fLS {                              \
  static ::std::string value_of_##name(value); \
  }                                            \
  CAFFE_DEFINE_FLAG(fLS, ::std::string&, name, value_of_##name, help)

#define DECLARE_bool(name) CAFFE_DECLARE_FLAG(fLB, bool, name)
#define DECLARE_int32(name) CAFFE_DECLARE_FLAG(fLI, ::std::int32_t, name)
#define DECLARE_uint32(name) CAFFE_DECLARE_FLAG(fLU, ::std::uint32_t, name)
#define DECLARE_int64(name) CAFFE_DECLARE_FLAG(fLI64, ::std::int64_t, name)
#define DECLARE_uint64(name) CAFFE_DECLARE_FLAG(fLU64, ::std::uint64_t, name)
#define DECLARE_double(name) CAFFE_DECLARE_FLAG(fLD, double, name)
#define DECLARE_string(name) CAFFE_DECLARE_FLAG(fLS, ::std::string&, name)

#define DEFINE_validator(name, accepts)              \
  static const bool name##_validator_is_registered = \
      ::caffe::flags::names::RegisterFlagValidator(&FLAGS_##name, accepts)

#endif  // GFLAGS_GFLAGS_H_

#endif  // CAFFE_UTIL_FLAGS_HPP_
