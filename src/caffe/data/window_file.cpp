#include "caffe/data/window_file.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "caffe/util/input_file.hpp"

namespace caffe {
namespace {

constexpr std::int64_t kMaxFileBytes = std::int64_t{4} << 30;

// Words of a text, one after the other.
class Words {
 public:
  Words(std::string_view text, const string& filename)
      : text_(text), filename_(filename) {}

  bool AtEnd() {
    SkipBlanks();
    return at_ == text_.size();
  }

  std::string_view Next(const char* what) {
    SkipBlanks();
    size_t end = at_;
    while (end < text_.size() && !IsBlank(text_[end])) ++end;
    if (end == at_) Fail(Str("the file ends, expected ", what));
    const std::string_view word = text_.substr(at_, end - at_);
    at_ = end;
    return word;
  }

  // The rest of the line, without the blanks around it: paths may have some within.
  std::string_view NextLine(const char* what) {
    SkipBlanks();
    size_t end = std::min(text_.find('\n', at_), text_.size());
    const size_t begin = at_;
    at_ = end;
    while (end > begin && IsBlank(text_[end - 1])) --end;
    if (end == begin) Fail(Str("the file ends, expected ", what));
    return text_.substr(begin, end - begin);
  }

  template <typename T>
  T Number(const char* what) {
    const std::string_view word = Next(what);
    T value{};
    const auto [end, code] =
        std::from_chars(word.data(), word.data() + word.size(), value);
    if (code != std::errc() || end != word.data() + word.size()) {
      Fail(Str("'", word, "', expected ", what));
    }
    return value;
  }

  size_t left() const { return text_.size() - at_; }

  [[noreturn]] void Fail(const string& problem) const {
    throw ValueError(Str(filename_, ":", line_, ": ", problem));
  }

 private:
  static bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
  void SkipBlanks() {
    for (; at_ < text_.size() && IsBlank(text_[at_]); ++at_) line_ += text_[at_] == '\n';
  }

  const std::string_view text_;
  const string& filename_;
  size_t at_ = 0;
  int line_ = 1;
};

ListedWindow ReadWindow(const WindowsOfImage& image, Words* words) {
  ListedWindow window;
  // R-CNN's lists have classes as 3 and as 3.0.
  window.label = static_cast<int>(words->Number<float>("the class of a window"));
  window.overlap = words->Number<float>("the overlap of a window");
  window.x1 = words->Number<int>("x1 of a window");
  window.y1 = words->Number<int>("y1 of a window");
  window.x2 = words->Number<int>("x2 of a window");
  window.y2 = words->Number<int>("y2 of a window");
  if (window.x1 < 0 || window.y1 < 0 || window.x1 > window.x2 || window.y1 > window.y2 ||
      window.x2 >= image.width || window.y2 >= image.height) {
    words->Fail(Str("window (", window.x1, ", ", window.y1, ") to (", window.x2, ", ",
                    window.y2, "), expected corners in order and within the image of ",
                    image.width, " by ", image.height, " pixels"));
  }
  return window;
}

}  // namespace

std::vector<WindowsOfImage> ReadWindowFile(const string& filename) {
  const string text = InputFile(filename).ReadAll(kMaxFileBytes);
  Words words(text, filename);
  std::vector<WindowsOfImage> images;
  while (!words.AtEnd()) {
    if (words.Next("'#'") != "#") {
      words.Fail("expected '#' and the number of an image, as every image begins");
    }
    words.Number<int>("the number of an image");
    WindowsOfImage image;
    image.path = string(words.NextLine("the path of an image"));
    image.channels = words.Number<int>("the channels of an image");
    image.height = words.Number<int>("the height of an image");
    image.width = words.Number<int>("the width of an image");
    const int windows = words.Number<int>("the number of windows");
    // A window takes twelve characters or more.
    if (windows < 0 || static_cast<size_t>(windows) > words.left() / 12) {
      words.Fail(Str(windows, " windows, expected as many as follow"));
    }
    image.windows.reserve(windows);
    for (int i = 0; i < windows; ++i) image.windows.push_back(ReadWindow(image, &words));
    images.push_back(std::move(image));
  }
  if (images.empty()) throw FileError(Str("'", filename, "' has no image"));
  return images;
}

}  // namespace caffe
