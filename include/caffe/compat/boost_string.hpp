#ifndef CAFFE_COMPAT_BOOST_STRING_HPP_
#define CAFFE_COMPAT_BOOST_STRING_HPP_

// Of <boost/algorithm/string.hpp>, what programs written for Caffe use: split, trim,
// join, the two cases, and comparisons. For std::string.

#include <algorithm>
#include <cctype>
#include <string>

namespace caffe {
namespace boost_names {

/// Whether a character is one of a set.
class is_any_of {
 public:
  explicit is_any_of(const std::string& set) : set_(set) {}
  bool operator()(char c) const { return set_.find(c) != std::string::npos; }

 private:
  std::string set_;
};

struct is_space {
  bool operator()(char c) const { return std::isspace(static_cast<unsigned char>(c)); }
};

struct is_digit {
  bool operator()(char c) const { return std::isdigit(static_cast<unsigned char>(c)); }
};

enum token_compress_mode_type { token_compress_on, token_compress_off };

/// The parts between separators, one more than there are of these; with
/// token_compress_on neighbouring separators count as one.
template <typename Parts, typename IsSeparator>
Parts& split(Parts& parts, const std::string& text, IsSeparator is_separator,
             token_compress_mode_type compress = token_compress_off) {
  parts.clear();
  std::string part;
  for (std::string::size_type i = 0; i < text.size(); ++i) {
    if (!is_separator(text[i])) {
      part += text[i];
      continue;
    }
    parts.insert(parts.end(), part);
    part.clear();
    while (compress == token_compress_on && i + 1 < text.size() &&
           is_separator(text[i + 1])) {
      ++i;
    }
  }
  parts.insert(parts.end(), part);
  return parts;
}

template <typename Parts>
std::string join(const Parts& parts, const std::string& separator) {
  std::string text;
  bool first = true;
  for (const auto& part : parts) {
    if (!first) text += separator;
    text += part;
    first = false;
  }
  return text;
}

template <typename IsTrimmed>
void trim_left_if(std::string& text, IsTrimmed is_trimmed) {
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), is_trimmed));
}
template <typename IsTrimmed>
void trim_right_if(std::string& text, IsTrimmed is_trimmed) {
  text.erase(std::find_if_not(text.rbegin(), text.rend(), is_trimmed).base(), text.end());
}
template <typename IsTrimmed>
void trim_if(std::string& text, IsTrimmed is_trimmed) {
  trim_right_if(text, is_trimmed);
  trim_left_if(text, is_trimmed);
}
inline void trim_left(std::string& text) { trim_left_if(text, is_space()); }
inline void trim_right(std::string& text) { trim_right_if(text, is_space()); }
inline void trim(std::string& text) { trim_if(text, is_space()); }
inline std::string trim_copy(std::string text) {
  trim(text);
  return text;
}

inline void to_lower(std::string& text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}
inline void to_upper(std::string& text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
}
inline std::string to_lower_copy(std::string text) {
  to_lower(text);
  return text;
}
inline std::string to_upper_copy(std::string text) {
  to_upper(text);
  return text;
}

inline bool starts_with(const std::string& text, const std::string& part) {
  return text.compare(0, part.size(), part) == 0;
}
inline bool ends_with(const std::string& text, const std::string& part) {
  return text.size() >= part.size() &&
         text.compare(text.size() - part.size(), part.size(), part) == 0;
}
inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
inline bool equals(const std::string& a, const std::string& b) { return a == b; }
inline bool iequals(const std::string& a, const std::string& b) {
  return to_lower_copy(a) == to_lower_copy(b);
}

inline void replace_all(std::string& text, const std::string& from,
                        const std::string& to) {
  if (from.empty()) return;
  for (std::string::size_type at = 0; (at = text.find(from, at)) != std::string::npos;
       at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

namespace algorithm {
using boost_names::ends_with;
using boost_names::is_any_of;
using boost_names::join;
using boost_names::split;
using boost_names::starts_with;
using boost_names::trim;
}  // namespace algorithm

}  // namespace boost_names
}  // namespace caffe

namespace boost {
using namespace ::caffe::boost_names;  // NOLINT(build/namespaces)
}

#endif  // CAFFE_COMPAT_BOOST_STRING_HPP_
