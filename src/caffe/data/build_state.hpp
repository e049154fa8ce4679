#ifndef CAFFE_DATA_BUILD_STATE_HPP_
#define CAFFE_DATA_BUILD_STATE_HPP_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace caffe {

/// What makes the content of a database, as names and values. A name that begins with "-"
/// is a flag, and its values are told where they differ; any other is what to say then,
/// such as "other classes", and its value a digest.
using BuildSettings = std::vector<std::pair<std::string, std::string>>;

/// How `now` differs from `before`, for "was begun with …"; empty if it does not.
std::string DifferenceOf(const BuildSettings& before, const BuildSettings& now);

/// What is known of a database in the making: a file in its folder, whole at any moment.
struct BuildState {
  /// Images stored, and the bytes of their keys and values.
  struct Size {
    std::uint64_t images = 0;
    std::uint64_t bytes = 0;
  };

  BuildSettings settings;
  /// Why images were left out, by their numbers.
  std::map<std::size_t, std::string> rejected;
  /// Before and after the last transaction, of which a killed process does not tell
  /// whether it came to pass.
  Size before, after;
};

inline constexpr char kBuildStateFile[] = "build-state";

/// Nothing if the folder is empty, but for what a killed writer of the file left. Throws
/// ValueError if it holds anything else without the file, FileError if that is damaged.
std::optional<BuildState> ReadBuildState(const std::string& folder);

/// Throws FileError.
void WriteBuildState(const std::string& folder, const BuildState& state);

}  // namespace caffe

#endif  // CAFFE_DATA_BUILD_STATE_HPP_
