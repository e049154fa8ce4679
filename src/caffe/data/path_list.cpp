#include "caffe/data/path_list.hpp"

#include <string_view>

#include "caffe/util/input_file.hpp"

namespace caffe {
namespace {

constexpr std::int64_t kMaxListBytes = std::int64_t{1} << 30;
constexpr std::string_view kBlanks = " \t\r";

}  // namespace

vector<string> ReadPathList(const string& filename) {
  const string text = InputFile(filename).ReadAll(kMaxListBytes);
  vector<string> paths;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find('\n', begin);
    if (end == string::npos) end = text.size();
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    const size_t first = line.find_first_not_of(kBlanks);
    if (first == line.npos) continue;
    line = line.substr(first, line.find_last_not_of(kBlanks) - first + 1);
    paths.emplace_back(line);
  }
  if (paths.empty()) {
    throw FileError(Str("'", filename, "' names no file, expected one path per line"));
  }
  return paths;
}

}  // namespace caffe
