// Boost's where it is installed, else what programs written for Caffe use of it.

#if __has_include_next(<boost/algorithm/string/replace.hpp>)
#include_next <boost/algorithm/string/replace.hpp>
#else
#include "caffe/compat/boost_string.hpp"
#endif
