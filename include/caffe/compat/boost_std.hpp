#ifndef CAFFE_COMPAT_BOOST_STD_HPP_
#define CAFFE_COMPAT_BOOST_STD_HPP_

// Names of Boost that the standard library has by now.

#include <filesystem>
#include <functional>
#include <unordered_map>
#include <unordered_set>
#include <variant>

namespace caffe {
namespace boost_names {

using std::bind;
using std::cref;
using std::function;
using std::get;
using std::ref;
using std::unordered_map;
using std::unordered_set;
using std::variant;
namespace filesystem = std::filesystem;

}  // namespace boost_names
}  // namespace caffe

namespace boost {
using namespace ::caffe::boost_names;  // NOLINT(build/namespaces)
}

#endif  // CAFFE_COMPAT_BOOST_STD_HPP_
