// cuDNN's batch normalisation as its reference describes it, in double arithmetic.

#include <cudnn.h>

#include <cmath>
#include <cstddef>

struct cudnnTensorStruct {
  cudnnDataType_t type;
  int n, c, h, w;
  bool dense;
};

namespace {

bool SameShape(const cudnnTensorStruct& a, const cudnnTensorStruct& b) {
  return a.type == b.type && a.n == b.n && a.c == b.c && a.h == b.h && a.w == b.w;
}

/// Whether the arguments are ones that this emulation, and cuDNN, take.
bool Accepts(cudnnBatchNormMode_t mode, const cudnnTensorStruct& x,
             const cudnnTensorStruct& other, const cudnnTensorStruct& parameters,
             double epsilon) {
  return mode != CUDNN_BATCHNORM_PER_ACTIVATION && x.dense && other.dense &&
         SameShape(x, other) && parameters.dense && parameters.n == 1 &&
         parameters.c == x.c && parameters.h == 1 && parameters.w == 1 &&
         parameters.type == x.type && epsilon >= CUDNN_BN_MIN_EPSILON;
}

/// Calls function(index) for every element of channel c.
template <typename Function>
void ForChannel(const cudnnTensorStruct& x, int c, Function function) {
  const int spatial = x.h * x.w;
  for (int n = 0; n < x.n; ++n) {
    for (int s = 0; s < spatial; ++s) {
      function((static_cast<std::size_t>(n) * x.c + c) * spatial + s);
    }
  }
}

/// alpha * result + beta * what is there; what is there is not read when beta is 0.
template <typename T>
class Blend {
 public:
  Blend(const void* alpha, const void* beta)
      : alpha_(*static_cast<const T*>(alpha)), beta_(*static_cast<const T*>(beta)) {}
  void operator()(double result, T* to) const {
    *to = static_cast<T>(beta_ == 0 ? alpha_ * result : alpha_ * result + beta_ * *to);
  }

 private:
  double alpha_, beta_;
};

template <typename T>
void ForwardTraining(const Blend<T>& blend, const cudnnTensorStruct& shape, const T* x,
                     T* y, const T* scale, const T* bias, double factor, T* running_mean,
                     T* running_variance, double epsilon, T* save_mean, T* save_inv) {
  const double count = static_cast<double>(shape.n) * shape.h * shape.w;
  for (int c = 0; c < shape.c; ++c) {
    double sum = 0;
    ForChannel(shape, c, [&](std::size_t i) { sum += x[i]; });
    const double mean = sum / count;
    double squares = 0;
    ForChannel(shape, c,
               [&](std::size_t i) { squares += (x[i] - mean) * (x[i] - mean); });
    const double inv = 1 / std::sqrt(squares / count + epsilon);
    ForChannel(shape, c, [&](std::size_t i) {
      blend(scale[c] * (x[i] - mean) * inv + bias[c], &y[i]);
    });
    if (running_mean) {
      const double unbiased = count > 1 ? squares / (count - 1) : squares;
      running_mean[c] = static_cast<T>(running_mean[c] * (1 - factor) + mean * factor);
      running_variance[c] =
          static_cast<T>(running_variance[c] * (1 - factor) + unbiased * factor);
    }
    if (save_mean) save_mean[c] = static_cast<T>(mean);
    if (save_inv) save_inv[c] = static_cast<T>(inv);
  }
}

template <typename T>
void ForwardInference(const Blend<T>& blend, const cudnnTensorStruct& shape, const T* x,
                      T* y, const T* scale, const T* bias, const T* mean,
                      const T* variance, double epsilon) {
  for (int c = 0; c < shape.c; ++c) {
    const double inv = 1 / std::sqrt(variance[c] + epsilon);
    ForChannel(shape, c, [&](std::size_t i) {
      blend(scale[c] * (x[i] - mean[c]) * inv + bias[c], &y[i]);
    });
  }
}

template <typename T>
void Backward(const Blend<T>& blend_data, const Blend<T>& blend_parameters,
              const cudnnTensorStruct& shape, const T* x, const T* dy, T* dx,
              const T* scale, T* scale_diff, T* bias_diff, const T* mean, const T* inv) {
  const double count = static_cast<double>(shape.n) * shape.h * shape.w;
  for (int c = 0; c < shape.c; ++c) {
    double sum = 0;
    double dot = 0;
    ForChannel(shape, c, [&](std::size_t i) {
      sum += dy[i];
      dot += dy[i] * ((x[i] - mean[c]) * static_cast<double>(inv[c]));
    });
    ForChannel(shape, c, [&](std::size_t i) {
      const double unit = (x[i] - mean[c]) * static_cast<double>(inv[c]);
      blend_data(scale[c] * inv[c] * (dy[i] - sum / count - unit * dot / count), &dx[i]);
    });
    blend_parameters(dot, &scale_diff[c]);
    blend_parameters(sum, &bias_diff[c]);
  }
}

/// Calls function(T()) with the type that the tensor holds.
template <typename Function>
cudnnStatus_t WithType(const cudnnTensorStruct& tensor, Function function) {
  const cuda_emulation::DeviceAccess access;
  if (tensor.type == CUDNN_DATA_FLOAT) {
    function(float());
  } else {
    function(double());
  }
  return CUDNN_STATUS_SUCCESS;
}

template <typename T>
const T* In(const void* pointer) {
  return static_cast<const T*>(pointer);
}

template <typename T>
T* Out(void* pointer) {
  return static_cast<T*>(pointer);
}

}  // namespace

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = nullptr;
  return CUDNN_STATUS_SUCCESS;
}

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
  }
  return "CUDNN_UNKNOWN_STATUS";
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* descriptor) {
  *descriptor = new cudnnTensorStruct();
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t descriptor,
                                           cudnnDataType_t type, int n, int c, int h,
                                           int w, int n_stride, int c_stride,
                                           int h_stride, int w_stride) {
  if (!descriptor || n <= 0 || c <= 0 || h <= 0 || w <= 0) return CUDNN_STATUS_BAD_PARAM;
  const bool dense =
      w_stride == 1 && h_stride == w && c_stride == h * w && n_stride == c * h * w;
  *descriptor = {type, n, c, h, w, dense};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t descriptor) {
  delete descriptor;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDeriveBNTensorDescriptor(cudnnTensorDescriptor_t derived,
                                            const cudnnTensorDescriptor_t x,
                                            cudnnBatchNormMode_t mode) {
  if (mode == CUDNN_BATCHNORM_PER_ACTIVATION) return CUDNN_STATUS_NOT_SUPPORTED;
  *derived = {x->type, 1, x->c, 1, 1, true};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBatchNormalizationForwardTraining(
    cudnnHandle_t /*handle*/, cudnnBatchNormMode_t mode, const void* alpha,
    const void* beta, const cudnnTensorDescriptor_t x_desc, const void* x,
    const cudnnTensorDescriptor_t y_desc, void* y,
    const cudnnTensorDescriptor_t parameter_desc, const void* scale, const void* bias,
    double exponential_average_factor, void* running_mean, void* running_variance,
    double epsilon, void* save_mean, void* save_inv_variance) {
  if (!Accepts(mode, *x_desc, *y_desc, *parameter_desc, epsilon) ||
      !running_mean != !running_variance || !save_mean != !save_inv_variance) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  return WithType(*x_desc, [&](auto zero) {
    using T = decltype(zero);
    ForwardTraining<T>(Blend<T>(alpha, beta), *x_desc, In<T>(x), Out<T>(y), In<T>(scale),
                       In<T>(bias), exponential_average_factor, Out<T>(running_mean),
                       Out<T>(running_variance), epsilon, Out<T>(save_mean),
                       Out<T>(save_inv_variance));
  });
}

cudnnStatus_t cudnnBatchNormalizationForwardInference(
    cudnnHandle_t /*handle*/, cudnnBatchNormMode_t mode, const void* alpha,
    const void* beta, const cudnnTensorDescriptor_t x_desc, const void* x,
    const cudnnTensorDescriptor_t y_desc, void* y,
    const cudnnTensorDescriptor_t parameter_desc, const void* scale, const void* bias,
    const void* mean, const void* variance, double epsilon) {
  if (!Accepts(mode, *x_desc, *y_desc, *parameter_desc, epsilon)) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  return WithType(*x_desc, [&](auto zero) {
    using T = decltype(zero);
    ForwardInference<T>(Blend<T>(alpha, beta), *x_desc, In<T>(x), Out<T>(y), In<T>(scale),
                        In<T>(bias), In<T>(mean), In<T>(variance), epsilon);
  });
}

cudnnStatus_t cudnnBatchNormalizationBackward(
    cudnnHandle_t /*handle*/, cudnnBatchNormMode_t mode, const void* alpha_data,
    const void* beta_data, const void* alpha_parameters, const void* beta_parameters,
    const cudnnTensorDescriptor_t x_desc, const void* x,
    const cudnnTensorDescriptor_t dy_desc, const void* dy,
    const cudnnTensorDescriptor_t dx_desc, void* dx,
    const cudnnTensorDescriptor_t parameter_desc, const void* scale, void* scale_diff,
    void* bias_diff, double epsilon, const void* saved_mean,
    const void* saved_inv_variance) {
  // cuDNN computes the statistics again when they were not saved; here they must be.
  if (!Accepts(mode, *x_desc, *dy_desc, *parameter_desc, epsilon) ||
      !SameShape(*x_desc, *dx_desc) || !saved_mean || !saved_inv_variance) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  return WithType(*x_desc, [&](auto zero) {
    using T = decltype(zero);
    Backward<T>(Blend<T>(alpha_data, beta_data),
                Blend<T>(alpha_parameters, beta_parameters), *x_desc, In<T>(x), In<T>(dy),
                Out<T>(dx), In<T>(scale), Out<T>(scale_diff), Out<T>(bias_diff),
                In<T>(saved_mean), In<T>(saved_inv_variance));
  });
}
