#ifndef CAFFE_UTIL_NCCL_H_
#define CAFFE_UTIL_NCCL_H_

// For code that calls NCCL itself: compiled with -DUSE_NCCL and linked with it.

#ifdef USE_NCCL

#include <nccl.h>

#include "caffe/common.hpp"

#define NCCL_CHECK(condition)                                                   \
  do {                                                                          \
    const ncclResult_t nccl_status = (condition);                               \
    if (nccl_status != ncclSuccess) {                                           \
      throw ::caffe::RuntimeFailure(::caffe::Str(                               \
          "NCCL: ", #condition, " failed: ", ncclGetErrorString(nccl_status))); \
    }                                                                           \
  } while (0)

namespace caffe {
namespace nccl {

/// What NCCL calls Dtype.
template <typename Dtype>
class dataType;

template <>
class dataType<float> {
 public:
  static constexpr ncclDataType_t type = ncclFloat;
};

template <>
class dataType<double> {
 public:
  static constexpr ncclDataType_t type = ncclDouble;
};

}  // namespace nccl
}  // namespace caffe

#endif  // USE_NCCL

#endif  // CAFFE_UTIL_NCCL_H_
