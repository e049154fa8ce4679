// The device half of class Caffe, as far as the layers under test use it.

#include "caffe/common.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

struct Caffe::Device {
  cudnnHandle_t cudnn = nullptr;
  // Ignores its status: a process that ends gives the handle back in any case.
  ~Device() {
    if (cudnn) cudnnDestroy(cudnn);
  }
};

Caffe::Caffe()
    : mode_(CPU),
      solver_count_(1),
      solver_rank_(0),
      multiprocess_(false),
      device_(std::make_unique<Device>()) {}
Caffe::~Caffe() {}
void Caffe::set_mode(Brew mode) { Get().mode_ = mode; }

cudnnHandle_t Caffe::cudnn_handle() {
  cudnnHandle_t& handle = Get().device_->cudnn;
  if (!handle) CUDNN_CHECK(cudnnCreate(&handle));
  return handle;
}

template <typename Dtype>
void caffe_gpu_axpy(const int, const Dtype, const Dtype*, Dtype*) {
  throw RuntimeFailure("caffe_gpu_axpy is not part of this check");
}
template void caffe_gpu_axpy(const int, const float, const float*, float*);
template void caffe_gpu_axpy(const int, const double, const double*, double*);

}  // namespace caffe
