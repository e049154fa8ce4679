// What `#include <gflags/gflags.h>` finds in code that is compiled against Caffe: the
// real gflags where it is installed, else our stand-in for it. Both have the include
// guard GFLAGS_GFLAGS_H_, so a file has one of them: the first that it includes. The
// variables FLAGS_name are the same with both.

#if __has_include_next(<gflags/gflags.h>)
#include_next <gflags/gflags.h>
#else
#include "caffe/util/flags.hpp"
#endif
