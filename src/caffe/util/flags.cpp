#include "caffe/util/flags.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <sstream>
#include <type_traits>
#include <utility>

#include "caffe/common.hpp"
#include "caffe/util/closest.hpp"

// The real gflags, where the program is linked with it: null elsewhere. It calls its
// namespace by either name.
namespace google {
__attribute__((weak)) std::uint32_t ParseCommandLineFlags(int* argc, char*** argv,
                                                          bool remove_flags);
}
namespace gflags {
__attribute__((weak)) std::uint32_t ParseCommandLineFlags(int* argc, char*** argv,
                                                          bool remove_flags);
}

namespace caffe {
namespace flags {
namespace {

using Parser = std::uint32_t (*)(int*, char***, bool);

Parser RealParser() {
  // Through variables: a compiler takes the address of a function for non-zero.
  const Parser volatile google = &::google::ParseCommandLineFlags;
  const Parser volatile gflags = &::gflags::ParseCommandLineFlags;
  return google ? google : gflags;
}

template <typename T>
const char* TypeName() {
  if constexpr (std::is_same_v<T, bool>) return "bool";
  if constexpr (std::is_same_v<T, std::int32_t>) return "int32";
  if constexpr (std::is_same_v<T, std::uint32_t>) return "uint32";
  if constexpr (std::is_same_v<T, std::int64_t>) return "int64";
  if constexpr (std::is_same_v<T, std::uint64_t>) return "uint64";
  if constexpr (std::is_same_v<T, double>) return "double";
  return "string";
}

template <typename T>
string TextOf(const T& value) {
  if constexpr (std::is_same_v<T, bool>) return value ? "true" : "false";
  return Str(value);
}

// The value that a text stands for, if it does: numbers decimal or 0x...
template <typename T>
std::optional<T> ValueOf(const string& text) {
  if constexpr (std::is_same_v<T, string>) {
    return text;
  } else if constexpr (std::is_same_v<T, bool>) {
    for (const char* yes : {"1", "t", "true", "y", "yes"}) {
      if (logging::EqualButForCase(text.c_str(), yes)) return true;
    }
    for (const char* no : {"0", "f", "false", "n", "no"}) {
      if (logging::EqualButForCase(text.c_str(), no)) return false;
    }
    return std::nullopt;
  } else {
    const char* begin = text.c_str();
    char* end = nullptr;
    const bool hexadecimal = text.find_first_of("xX") != string::npos;
    const int base = hexadecimal ? 16 : 10;
    T value;
    errno = 0;
    if constexpr (std::is_same_v<T, double>) {
      value = std::strtod(begin, &end);
    } else if constexpr (std::is_unsigned_v<T>) {
      if (text.find('-') != string::npos) return std::nullopt;
      const unsigned long long wide = std::strtoull(begin, &end, base);
      value = static_cast<T>(wide);
      if (value != wide) return std::nullopt;
    } else {
      const long long wide = std::strtoll(begin, &end, base);
      value = static_cast<T>(wide);
      if (value != wide) return std::nullopt;
    }
    if (errno != 0 || end == begin || *end != '\0') return std::nullopt;
    return value;
  }
}

struct Flag {
  string help, file, type, default_text;
  const void* variable;
  std::function<string()> text;
  /// Takes a value, unless `text` is none of its type.
  std::function<bool(const string& text)> set;
  /// Whether the validator, if there is one, accepts the present value.
  std::function<bool()> is_valid = [] { return true; };
  bool has_validator = false;
};

struct Registry {
  std::mutex mutex;
  std::map<string, Flag> flags;
  string usage, version, program = "UNKNOWN";
  std::set<string> asked;  ///< of the flags that make a program print and exit
};

// Never destroyed: flags of other libraries come and go with them.
Registry& GetRegistry() {
  static Registry* registry = new Registry;
  return *registry;
}

Flag* Find(const string& name) {
  auto& flags = GetRegistry().flags;
  const auto found = flags.find(name);
  return found == flags.end() ? nullptr : &found->second;
}

const char* ShortName(const string& path) {
  return path.c_str() + (path.find_last_of('/') + 1);
}

void SetChecked(const string& name, Flag* flag, const string& value) {
  const string before = flag->text();
  if (!flag->set(value)) {
    throw ValueError(
        Str("flag -", name, " is '", value, "', expected a value of type ", flag->type));
  }
  if (!flag->is_valid()) {
    flag->set(before);
    throw ValueError(Str("flag -", name, " is '", value, "', which the program refuses"));
  }
}

constexpr const char* kHelpFlags[] = {"help", "helpfull", "helpshort"};

bool IsHelpFlag(const string& name) {
  for (const char* help : kHelpFlags) {
    if (name == help) return true;
  }
  return name == "version";
}

/// One pass over the arguments of a program.
class CommandLine {
 public:
  CommandLine(int argc, char** argv) : arguments_(argv, argv + argc) {}

  void Parse() {
    size_t i = arguments_.empty() ? 0 : 1;
    for (; i < arguments_.size(); ++i) {
      const string argument = arguments_[i];
      if (argument == "--") {
        ++i;
        break;
      }
      if (argument.size() < 2 || argument[0] != '-') {
        others_.push_back(arguments_[i]);
        continue;
      }
      const string body = argument.substr(argument[1] == '-' ? 2 : 1);
      const size_t equals = body.find('=');
      const bool taken =
          Take(body.substr(0, equals),
               equals == string::npos ? std::nullopt
                                      : std::optional<string>(body.substr(equals + 1)),
               &i);
      (taken ? flags_ : others_).push_back(arguments_[i]);
    }
    others_.insert(others_.end(), arguments_.begin() + i, arguments_.end());
  }

  /// The names that nobody has defined.
  const std::vector<string>& unknown() const { return unknown_; }
  const std::set<string>& allowed() const { return allowed_; }

  /// Puts what is left into argv; returns the index of the first that is no flag.
  int Rewrite(int* argc, char*** argv, bool remove_flags) const {
    if (arguments_.empty()) return 0;
    int count = 1;
    if (!remove_flags) {
      for (char* flag : flags_) (*argv)[count++] = flag;
    }
    const int first = count;
    for (char* other : others_) (*argv)[count++] = other;
    if (count < *argc) (*argv)[count] = nullptr;
    *argc = count;
    return first;
  }

 private:
  // Takes the flag `name`; its value may be the next argument, on which `*i` is then.
  bool Take(const string& name, std::optional<string> value, size_t* i) {
    if (name == "flagfile" || name == "undefok") {
      if (!value) value = Next(name, i);
      if (name == "undefok") {
        std::istringstream list(*value);
        for (string each; std::getline(list, each, ',');) allowed_.insert(each);
      } else {
        TakeFile(*value);
      }
      return true;
    }
    if (!value && IsHelpFlag(name) && !Find(name)) {
      GetRegistry().asked.insert(name);
      return true;
    }
    Flag* flag = Find(name);
    if (!flag && !value && name.rfind("no", 0) == 0) {
      Flag* negated = Find(name.substr(2));
      if (negated && negated->type == "bool") {
        SetChecked(name.substr(2), negated, "false");
        return true;
      }
    }
    if (!flag) {
      unknown_.push_back(name);
      return false;
    }
    if (!value) value = flag->type == "bool" ? "true" : Next(name, i);
    SetChecked(name, flag, *value);
    return true;
  }

  string Next(const string& name, size_t* i) {
    if (*i + 1 >= arguments_.size()) {
      throw ValueError(Str("flag -", name, " has no value, expected -", name, "=value"));
    }
    flags_.push_back(arguments_[*i]);
    return arguments_[++*i];
  }

  void TakeFile(const string& path) {
    std::ifstream file(path);
    if (!file) {
      throw FileError(Str("flag -flagfile: '", path, "': ", std::strerror(errno)));
    }
    size_t nowhere = arguments_.size();
    for (string line; std::getline(file, line);) {
      const size_t begin = line.find_first_not_of(" \t\r");
      if (begin == string::npos || line[begin] == '#') continue;
      line = line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1);
      if (line[0] != '-') continue;  // a condition on the program's name, as in gflags
      const string body = line.substr(line[1] == '-' ? 2 : 1);
      const size_t equals = body.find('=');
      Take(body.substr(0, equals),
           equals == string::npos ? std::nullopt
                                  : std::optional<string>(body.substr(equals + 1)),
           &nowhere);
    }
  }

  std::vector<char*> arguments_, flags_, others_;
  std::vector<string> unknown_;
  std::set<string> allowed_;
};

std::uint32_t Parse(int* argc, char*** argv, bool remove_flags, bool help) {
  Registry& registry = GetRegistry();
  if (*argc > 0) registry.program = (*argv)[0];
  registry.asked.clear();
  CommandLine line(*argc, *argv);
  line.Parse();
  const Parser real = RealParser();
  if (!real) {
    for (const string& name : line.unknown()) {
      if (line.allowed().count(name)) continue;
      std::vector<string> known;
      for (const auto& entry : registry.flags) known.push_back(entry.first);
      throw ValueError(Str("unknown command line flag '", name, "'",
                           Suggestion(name, known), "; -help lists them"));
    }
  }
  for (const auto& [name, flag] : registry.flags) {
    if (flag.is_valid()) continue;
    throw ValueError(Str("flag -", name, " is '", flag.text(),
                         "', which the program refuses; give another value"));
  }
  if (help) names::HandleCommandLineHelpFlags();
  const int first = line.Rewrite(argc, argv, remove_flags);
  return real && !line.unknown().empty() ? real(argc, argv, remove_flags) : first;
}

template <typename T, typename Validator>
bool AddValidator(const T* variable, Validator accepts) {
  Registry& registry = GetRegistry();
  std::lock_guard<std::mutex> lock(registry.mutex);
  for (auto& entry : registry.flags) {
    if (entry.second.variable != variable) continue;
    if (entry.second.has_validator && accepts) return false;
    const string& name = entry.first;
    entry.second.has_validator = accepts != nullptr;
    entry.second.is_valid = [=] { return !accepts || accepts(name.c_str(), *variable); };
    return true;
  }
  return false;
}

names::CommandLineFlagInfo InfoOf(const string& name, const Flag& flag) {
  const string now = flag.text();
  return {name,
          flag.type,
          flag.help,
          now,
          flag.default_text,
          flag.file,
          now == flag.default_text,
          flag.variable};
}

void Show(const char* argv0, const string& restrict_to) {
  std::printf("%s: %s\n", ShortName(argv0), names::ProgramUsage());
  const auto is_meant = [&](const Flag& flag) {
    return flag.file.find(restrict_to) != string::npos;
  };
  std::map<string, std::vector<std::pair<string, const Flag*>>> files;
  for (const auto& [name, flag] : GetRegistry().flags) {
    if (is_meant(flag)) files[flag.file].emplace_back(name, &flag);
  }
  if (files.empty())
    std::printf("\n  No flags are defined in '%s'.\n", restrict_to.c_str());
  for (const auto& [file, flags] : files) {
    std::printf("\n\n  Flags from %s:\n", file.c_str());
    for (const auto& [name, flag] : flags) {
      const bool quoted = flag->type == "string";
      const string now = flag->text();
      std::printf("    -%s (%s) type: %s default: %s\n", name.c_str(), flag->help.c_str(),
                  flag->type.c_str(),
                  (quoted ? '"' + flag->default_text + '"' : flag->default_text).c_str());
      if (now != flag->default_text) {
        std::printf("      currently: %s\n", (quoted ? '"' + now + '"' : now).c_str());
      }
    }
  }
}

}  // namespace

template <typename T>
Registration::Registration(const char* name, const char* help, const char* file, T* value)
    : name_(name), variable_(value) {
  Flag flag;
  flag.help = help;
  flag.file = file;
  flag.type = TypeName<T>();
  flag.default_text = TextOf(*value);
  flag.variable = value;
  flag.text = [value] { return TextOf(*value); };
  flag.set = [value](const string& text) {
    const std::optional<T> parsed = ValueOf<T>(text);
    if (parsed) *value = *parsed;
    return parsed.has_value();
  };
  Registry& registry = GetRegistry();
  std::lock_guard<std::mutex> lock(registry.mutex);
  // A plugin may define a flag that the program has: the first stays.
  registry.flags.emplace(name, std::move(flag));
}

// A plugin with flags may be closed again.
Registration::~Registration() {
  Registry& registry = GetRegistry();
  std::lock_guard<std::mutex> lock(registry.mutex);
  const auto found = registry.flags.find(name_);
  if (found != registry.flags.end() && found->second.variable == variable_) {
    registry.flags.erase(found);
  }
}

#define INSTANTIATE_FLAG(T) \
  template Registration::Registration(const char*, const char*, const char*, T*)
INSTANTIATE_FLAG(bool);
INSTANTIATE_FLAG(std::int32_t);
INSTANTIATE_FLAG(std::uint32_t);
INSTANTIATE_FLAG(std::int64_t);
INSTANTIATE_FLAG(std::uint64_t);
INSTANTIATE_FLAG(double);
INSTANTIATE_FLAG(string);

namespace names {

uint32 ParseCommandLineFlags(int* argc, char*** argv, bool remove_flags) {
  return Parse(argc, argv, remove_flags, true);
}

uint32 ParseCommandLineNonHelpFlags(int* argc, char*** argv, bool remove_flags) {
  return Parse(argc, argv, remove_flags, false);
}

void HandleCommandLineHelpFlags() {
  const Registry& registry = GetRegistry();
  for (const char* help : kHelpFlags) {
    if (registry.asked.count(help) == 0) continue;
    ShowUsageWithFlags(registry.program.c_str());
    std::exit(1);
  }
  if (registry.asked.count("version") == 0) return;
  const string& version = registry.version;
  std::printf("%s%s%s\n", ShortName(registry.program), version.empty() ? "" : " version ",
              version.c_str());
  std::exit(0);
}

void SetUsageMessage(const string& usage) { GetRegistry().usage = usage; }
const char* ProgramUsage() { return GetRegistry().usage.c_str(); }
void SetVersionString(const string& version) { GetRegistry().version = version; }
const char* VersionString() { return GetRegistry().version.c_str(); }
const char* ProgramInvocationName() { return GetRegistry().program.c_str(); }
const char* ProgramInvocationShortName() { return ShortName(GetRegistry().program); }

void ShowUsageWithFlags(const char* argv0) { Show(argv0, ""); }

void ShowUsageWithFlagsRestrict(const char* argv0, const char* restrict_to) {
  Show(argv0, restrict_to);
}

bool GetCommandLineOption(const char* name, string* value) {
  const Flag* flag = Find(name);
  if (flag) *value = flag->text();
  return flag != nullptr;
}

string SetCommandLineOption(const char* name, const char* value) {
  Flag* flag = Find(name);
  if (!flag) return "";
  const string before = flag->text();
  if (!flag->set(value)) return "";
  if (!flag->is_valid()) {
    flag->set(before);
    return "";
  }
  return Str(name, " set to ", flag->text(), "\n");
}

bool GetCommandLineFlagInfo(const char* name, CommandLineFlagInfo* info) {
  const Flag* flag = Find(name);
  if (flag) *info = InfoOf(name, *flag);
  return flag != nullptr;
}

void GetAllFlags(std::vector<CommandLineFlagInfo>* flags) {
  flags->clear();
  for (const auto& [name, flag] : GetRegistry().flags) {
    flags->push_back(InfoOf(name, flag));
  }
}

bool RegisterFlagValidator(const bool* flag, bool (*accepts)(const char*, bool)) {
  return AddValidator(flag, accepts);
}
bool RegisterFlagValidator(const int32* flag, bool (*accepts)(const char*, int32)) {
  return AddValidator(flag, accepts);
}
bool RegisterFlagValidator(const uint32* flag, bool (*accepts)(const char*, uint32)) {
  return AddValidator(flag, accepts);
}
bool RegisterFlagValidator(const int64* flag, bool (*accepts)(const char*, int64)) {
  return AddValidator(flag, accepts);
}
bool RegisterFlagValidator(const uint64* flag, bool (*accepts)(const char*, uint64)) {
  return AddValidator(flag, accepts);
}
bool RegisterFlagValidator(const double* flag, bool (*accepts)(const char*, double)) {
  return AddValidator(flag, accepts);
}
bool RegisterFlagValidator(const string* flag,
                           bool (*accepts)(const char*, const string&)) {
  return AddValidator(flag, accepts);
}

}  // namespace names
}  // namespace flags
}  // namespace caffe
