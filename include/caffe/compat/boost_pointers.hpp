#ifndef CAFFE_COMPAT_BOOST_POINTERS_HPP_
#define CAFFE_COMPAT_BOOST_POINTERS_HPP_

// boost::shared_ptr and its kin, as std's: those of caffe. So they convert into each
// other, whether or not Boost is installed, in every file that does not include Boost's
// own <boost/shared_ptr.hpp>. In a file that does, boost::shared_ptr is Boost's class,
// since these names come by a using-directive.

#include <memory>

namespace caffe {
namespace boost_names {

using std::const_pointer_cast;
using std::dynamic_pointer_cast;
using std::enable_shared_from_this;
using std::make_shared;
using std::shared_ptr;
using std::static_pointer_cast;
using std::weak_ptr;

template <typename T>
using scoped_ptr = std::unique_ptr<T>;
template <typename T>
using scoped_array = std::unique_ptr<T[]>;
template <typename T>
using shared_array = std::shared_ptr<T[]>;

}  // namespace boost_names
}  // namespace caffe

namespace boost {
using namespace ::caffe::boost_names;  // NOLINT(build/namespaces)
}

#endif  // CAFFE_COMPAT_BOOST_POINTERS_HPP_
