#include "caffe/data/image_list.hpp"

#include <charconv>
#include <string_view>

#include "caffe/util/input_file.hpp"

namespace caffe {
namespace {

constexpr std::int64_t kMaxListBytes = std::int64_t{4} << 30;
constexpr std::string_view kBlanks = " \t\r";

ListedImage ParseLine(std::string_view text, const string& filename, int line,
                      ListColumn second) {
  if (second == ListColumn::kNothing) {
    ListedImage image;
    image.path = string(text.substr(text.find_first_not_of(kBlanks)));
    image.line = line;
    return image;
  }
  const auto where = [&] { return Str(filename, ":", line, ": "); };
  const size_t blank = text.find_last_of(kBlanks);
  const std::string_view token =
      blank == text.npos ? std::string_view() : text.substr(blank + 1);
  const size_t path_end =
      blank == text.npos ? text.npos : text.find_last_not_of(kBlanks, blank);
  if (token.empty() || path_end == text.npos) {
    throw ValueError(
        Str(where(), "'", text, "', expected a path, a space and ",
            second == ListColumn::kLabel ? "a label" : "the path of an image of labels"));
  }
  ListedImage image;
  image.path = string(text.substr(0, path_end + 1));
  image.line = line;
  if (second == ListColumn::kPath) {
    image.label_path = string(token);
    return image;
  }
  const auto [end, code] =
      std::from_chars(token.data(), token.data() + token.size(), image.label);
  if (code != std::errc() || end != token.data() + token.size()) {
    throw ValueError(Str(where(), "label '", token, "' of '", image.path,
                         "', expected a whole number of at most 31 bits"));
  }
  return image;
}

}  // namespace

vector<ListedImage> ReadImageList(const string& filename, ListColumn second) {
  const string text = InputFile(filename).ReadAll(kMaxListBytes);
  vector<ListedImage> images;
  int line = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find('\n', begin);
    if (end == string::npos) end = text.size();
    std::string_view content = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++line;
    const size_t last = content.find_last_not_of(kBlanks);
    if (last == content.npos) continue;
    images.push_back(ParseLine(content.substr(0, last + 1), filename, line, second));
  }
  if (images.empty()) {
    throw FileError(Str("'", filename, "' names no image, expected one '",
                        second == ListColumn::kLabel  ? "path label"
                        : second == ListColumn::kPath ? "path path"
                                                      : "path",
                        "' per line"));
  }
  return images;
}

}  // namespace caffe
