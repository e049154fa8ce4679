#ifndef CAFFE_COMPAT_BOOST_BIND_HPP_
#define CAFFE_COMPAT_BOOST_BIND_HPP_

#include "caffe/compat/boost_std.hpp"

// _1, _2, ... are in the global namespace there.
using namespace ::std::placeholders;  // NOLINT(build/namespaces)

#endif  // CAFFE_COMPAT_BOOST_BIND_HPP_
