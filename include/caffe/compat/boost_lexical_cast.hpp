#ifndef CAFFE_COMPAT_BOOST_LEXICAL_CAST_HPP_
#define CAFFE_COMPAT_BOOST_LEXICAL_CAST_HPP_

// boost::lexical_cast<To>(from): through text, all of which must be read.

#include <limits>
#include <sstream>
#include <string>
#include <type_traits>
#include <typeinfo>

namespace caffe {
namespace boost_names {

class bad_lexical_cast : public std::bad_cast {
 public:
  const char* what() const noexcept override {
    return "bad lexical cast: source type value could not be interpreted as target";
  }
};

template <typename To, typename From>
To lexical_cast(const From& from) {
  std::stringstream text;
  // As many digits as tell two neighbours apart.
  if constexpr (std::is_floating_point<From>::value) {
    text.precision(std::numeric_limits<From>::max_digits10);
  }
  text << from;
  if constexpr (std::is_same<To, std::string>::value) {
    return text.str();
  } else {
    if (std::is_unsigned<To>::value && !std::is_same<To, char>::value &&
        text.str().find('-') != std::string::npos) {
      throw bad_lexical_cast();  // streams let it wrap around
    }
    To to;
    if (!(text >> std::noskipws >> to) ||
        text.peek() != std::stringstream::traits_type::eof()) {
      throw bad_lexical_cast();
    }
    return to;
  }
}

}  // namespace boost_names
}  // namespace caffe

namespace boost {
using namespace ::caffe::boost_names;  // NOLINT(build/namespaces)
}

#endif  // CAFFE_COMPAT_BOOST_LEXICAL_CAST_HPP_
