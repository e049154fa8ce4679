// The device half of class Caffe, as far as the layers under test use it.

#include "caffe/common.hpp"
#include "caffe/util/cudnn.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

struct Caffe::Device {};

Caffe::Caffe() : mode_(CPU), solver_count_(1), solver_rank_(0), multiprocess_(false) {}
Caffe::~Caffe() {}
void Caffe::set_mode(Brew mode) { Get().mode_ = mode; }

cudnnHandle_t Caffe::cudnn_handle() {
  static const cudnnHandle_t handle = [] {
    cudnnHandle_t created = nullptr;
    CUDNN_CHECK(cudnnCreate(&created));
    return created;
  }();
  return handle;
}

template <typename Dtype>
void caffe_gpu_axpy(const int, const Dtype, const Dtype*, Dtype*) {
  throw RuntimeFailure("caffe_gpu_axpy is not emulated");
}
template void caffe_gpu_axpy(const int, const float, const float*, float*);
template void caffe_gpu_axpy(const int, const double, const double*, double*);

}  // namespace caffe
