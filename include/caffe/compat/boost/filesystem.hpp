// Boost's where it is installed, else what programs written for Caffe use of it.

#if __has_include_next(<boost/filesystem.hpp>)
#include_next <boost/filesystem.hpp>
#else
#include "caffe/compat/boost_std.hpp"
#endif
