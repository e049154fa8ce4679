#ifndef CAFFE_COMPAT_GLOG_LOGGING_H_
#define CAFFE_COMPAT_GLOG_LOGGING_H_

// What `#include <glog/logging.h>` finds in code that is compiled against Caffe: the
// real glog where it is installed, else our stand-in for it.

#if __has_include_next(<glog/logging.h>)

#ifndef GLOG_USE_GLOG_EXPORT
#define GLOG_USE_GLOG_EXPORT  // from 0.7 on it wants that, as its CMake target does
#endif
#include_next <glog/logging.h>
#include "caffe/util/no_log_macros.hpp"
// Beside our headers a failed CHECK throws, whichever came first.
#ifdef CAFFE_LOGGING_HPP_
#include "caffe/util/log_macros.hpp"
#endif

#else
#include "caffe/logging.hpp"
#endif

#endif  // CAFFE_COMPAT_GLOG_LOGGING_H_
