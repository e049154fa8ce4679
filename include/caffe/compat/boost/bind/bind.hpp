// Boost's where it is installed, else what programs written for Caffe use of it.

#if __has_include_next(<boost/bind/bind.hpp>)
#include_next <boost/bind/bind.hpp>
#else
#include "caffe/compat/boost_bind.hpp"
#endif
