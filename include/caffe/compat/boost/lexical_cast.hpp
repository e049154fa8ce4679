// Boost's where it is installed, else what programs written for Caffe use of it.

#if __has_include_next(<boost/lexical_cast.hpp>)
#include_next <boost/lexical_cast.hpp>
#else
#include "caffe/compat/boost_lexical_cast.hpp"
#endif
