#include "caffe/data/build_state.hpp"

#include <algorithm>
#include <filesystem>
#include <iomanip>
#include <sstream>
#include <system_error>

#include "caffe/error.hpp"
#include "caffe/util/atomic_file.hpp"
#include "caffe/util/input_file.hpp"

namespace caffe {
namespace {

constexpr char kFirstLine[] = "database in the making 1";
constexpr std::int64_t kMaxBytes = std::int64_t{1} << 30;

const std::string* Find(const BuildSettings& settings, const std::string& name) {
  const auto at =
      std::find_if(settings.begin(), settings.end(),
                   [&](const auto& setting) { return setting.first == name; });
  return at == settings.end() ? nullptr : &at->second;
}

bool Parse(const std::string& text, BuildState* state) {
  std::istringstream in(text);
  std::string word;
  if (!std::getline(in, word) || word != kFirstLine) return false;
  int sizes = 0;
  while (in >> word) {
    if (word == "setting") {
      auto& [name, value] = state->settings.emplace_back();
      in >> std::quoted(name) >> std::quoted(value);
    } else if (word == "rejected") {
      std::size_t number = 0;
      std::string reason;
      in >> number >> std::quoted(reason);
      state->rejected[number] = reason;
    } else if (word == "stored" && ++sizes <= 2) {
      BuildState::Size& size = sizes == 1 ? state->before : state->after;
      in >> size.images >> size.bytes;
    } else {
      return false;
    }
    if (!in) return false;
  }
  return sizes == 2;
}

}  // namespace

std::string DifferenceOf(const BuildSettings& before, const BuildSettings& now) {
  const auto told = [](const std::string& name, const std::string* value) {
    return value ? Str(name, " ", *value) : "no " + name;
  };
  for (const auto& [name, value] : now) {
    const std::string* earlier = Find(before, name);
    if (earlier && *earlier == value) continue;
    return name.starts_with('-') ? Str(told(name, earlier), ", now ", told(name, &value))
                                 : name;
  }
  for (const auto& [name, value] : before) {
    if (Find(now, name)) continue;
    return name.starts_with('-') ? Str(told(name, &value), ", now no ", name) : name;
  }
  return "";
}

std::optional<BuildState> ReadBuildState(const std::string& folder) {
  const std::string path = Str(folder, "/", kBuildStateFile);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    for (std::filesystem::directory_iterator entry(folder, error), end;
         !error && entry != end; entry.increment(error)) {
      if (entry->path().filename().string().find(kBuildStateFile) == std::string::npos) {
        throw ValueError(Str("'", folder, "': no work of ours; remove it"));
      }
    }
    return std::nullopt;
  }
  BuildState state;
  if (!Parse(InputFile(path).ReadAll(kMaxBytes), &state)) {
    throw FileError(Str("'", path, "': damaged; remove its folder"));
  }
  return state;
}

void WriteBuildState(const std::string& folder, const BuildState& state) {
  std::ostringstream out;
  out << kFirstLine << '\n';
  for (const auto& [name, value] : state.settings) {
    out << "setting " << std::quoted(name) << ' ' << std::quoted(value) << '\n';
  }
  for (const auto& size : {state.before, state.after}) {
    out << "stored " << size.images << ' ' << size.bytes << '\n';
  }
  for (const auto& [number, reason] : state.rejected) {
    out << "rejected " << number << ' ' << std::quoted(reason) << '\n';
  }
  WriteFileAtomically(Str(folder, "/", kBuildStateFile), out.str());
}

}  // namespace caffe
