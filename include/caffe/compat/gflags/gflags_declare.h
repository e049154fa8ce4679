// See gflags.h.

#if __has_include_next(<gflags/gflags_declare.h>)
#include_next <gflags/gflags_declare.h>
#else
#include "caffe/util/flags.hpp"
#endif
