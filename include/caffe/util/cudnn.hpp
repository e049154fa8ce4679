#ifndef CAFFE_UTIL_CUDNN_H_
#define CAFFE_UTIL_CUDNN_H_

#ifdef USE_CUDNN

#include <cudnn.h>

#include "caffe/error.hpp"
#include "caffe/proto/caffe.pb.h"

#define CUDNN_VERSION_MIN(major, minor, patch) \
  (CUDNN_VERSION >= CUDNN_VERSION_MIN_NUMBER(major, minor, patch))

// cuDNN 9 gave the major version one digit more.
#define CUDNN_VERSION_MIN_NUMBER(major, minor, patch)         \
  ((major) >= 9 ? ((major) * 10000 + (minor) * 100 + (patch)) \
                : ((major) * 1000 + (minor) * 100 + (patch)))

#define CUDNN_CHECK(condition)                                                     \
  do {                                                                             \
    const cudnnStatus_t cudnn_status = (condition);                                \
    if (cudnn_status != CUDNN_STATUS_SUCCESS) {                                    \
      throw ::caffe::RuntimeFailure(::caffe::Str(                                  \
          "cuDNN: ", #condition, " failed: ", cudnnGetErrorString(cudnn_status))); \
    }                                                                              \
  } while (0)

namespace caffe {
namespace cudnn {

/// What cuDNN calls Dtype, and its blending factors: alpha and beta are passed by
/// address in the type of the computation.
template <typename Dtype>
class dataType;

template <>
class dataType<float> {
 public:
  static constexpr cudnnDataType_t type = CUDNN_DATA_FLOAT;
  static constexpr float oneval = 1;
  static constexpr float zeroval = 0;
  static constexpr const void* one = &oneval;
  static constexpr const void* zero = &zeroval;
};

template <>
class dataType<double> {
 public:
  static constexpr cudnnDataType_t type = CUDNN_DATA_DOUBLE;
  static constexpr double oneval = 1;
  static constexpr double zeroval = 0;
  static constexpr const void* one = &oneval;
  static constexpr const void* zero = &zeroval;
};

template <typename Dtype>
inline void createTensor4dDesc(cudnnTensorDescriptor_t* desc) {
  CUDNN_CHECK(cudnnCreateTensorDescriptor(desc));
}

/// Shape (n, c, h, w) with the given distances between neighbours of each axis.
template <typename Dtype>
inline void setTensor4dDesc(cudnnTensorDescriptor_t* desc, int n, int c, int h, int w,
                            int stride_n, int stride_c, int stride_h, int stride_w) {
  CUDNN_CHECK(cudnnSetTensor4dDescriptorEx(*desc, dataType<Dtype>::type, n, c, h, w,
                                           stride_n, stride_c, stride_h, stride_w));
}

/// Shape (n, c, h, w), row-major and dense.
template <typename Dtype>
inline void setTensor4dDesc(cudnnTensorDescriptor_t* desc, int n, int c, int h, int w) {
  setTensor4dDesc<Dtype>(desc, n, c, h, w, c * h * w, h * w, w, 1);
}

/// Weights of shape (n, c, h, w): outputs, inputs per group, window.
template <typename Dtype>
inline void createFilterDesc(cudnnFilterDescriptor_t* desc, int n, int c, int h, int w) {
  CUDNN_CHECK(cudnnCreateFilterDescriptor(desc));
  CUDNN_CHECK(cudnnSetFilter4dDescriptor(*desc, dataType<Dtype>::type, CUDNN_TENSOR_NCHW,
                                         n, c, h, w));
}

template <typename Dtype>
inline void createConvolutionDesc(cudnnConvolutionDescriptor_t* conv) {
  CUDNN_CHECK(cudnnCreateConvolutionDescriptor(conv));
}

/// Both tensors are named as in Caffe; their descriptors carry all that cuDNN asks.
template <typename Dtype>
inline void setConvolutionDesc(cudnnConvolutionDescriptor_t* conv,
                               cudnnTensorDescriptor_t /*bottom*/,
                               cudnnFilterDescriptor_t /*filter*/, int pad_h, int pad_w,
                               int stride_h, int stride_w) {
  CUDNN_CHECK(cudnnSetConvolution2dDescriptor(*conv, pad_h, pad_w, stride_h, stride_w, 1,
                                              1, CUDNN_CROSS_CORRELATION,
                                              dataType<Dtype>::type));
}

/// AVE divides by the window clipped to H + pad in Caffe, which no mode of cuDNN does
/// for every shape: callers check theirs.
template <typename Dtype>
inline void createPoolingDesc(cudnnPoolingDescriptor_t* pool_desc,
                              PoolingParameter_PoolMethod poolmethod,
                              cudnnPoolingMode_t* mode, int h, int w, int pad_h,
                              int pad_w, int stride_h, int stride_w) {
  switch (poolmethod) {
    case PoolingParameter_PoolMethod_MAX:
      *mode = CUDNN_POOLING_MAX;
      break;
    case PoolingParameter_PoolMethod_AVE:
      *mode = CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING;
      break;
    default:
      throw NotImplementedFailure(
          Str("cuDNN pooling: method ", static_cast<int>(poolmethod),
              " is not available, expected MAX or AVE; use engine: CAFFE"));
  }
  CUDNN_CHECK(cudnnCreatePoolingDescriptor(pool_desc));
  CUDNN_CHECK(cudnnSetPooling2dDescriptor(*pool_desc, *mode, CUDNN_PROPAGATE_NAN, h, w,
                                          pad_h, pad_w, stride_h, stride_w));
}

template <typename Dtype>
inline void createActivationDescriptor(cudnnActivationDescriptor_t* activ_desc,
                                       cudnnActivationMode_t mode) {
  CUDNN_CHECK(cudnnCreateActivationDescriptor(activ_desc));
  CUDNN_CHECK(
      cudnnSetActivationDescriptor(*activ_desc, mode, CUDNN_PROPAGATE_NAN, /*coef=*/0));
}

}  // namespace cudnn
}  // namespace caffe

#endif  // USE_CUDNN

#endif  // CAFFE_UTIL_CUDNN_H_
