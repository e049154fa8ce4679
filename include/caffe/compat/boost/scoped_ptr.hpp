// Boost's where it is installed, else what programs written for Caffe use of it.

#if __has_include_next(<boost/scoped_ptr.hpp>)
#include_next <boost/scoped_ptr.hpp>
#else
#include "caffe/compat/boost_pointers.hpp"
#endif
