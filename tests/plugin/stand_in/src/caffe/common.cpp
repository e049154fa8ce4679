#include "caffe/common.hpp"

namespace caffe {

Caffe::Caffe() : mode_(CPU) {
#ifdef USE_CUDNN
  CUDNN_CHECK(cudnnCreate(&cudnn_handle_));
#endif
}

Caffe& Caffe::Get() {
  static Caffe caffe;
  return caffe;
}

void Caffe::set_random_seed(const unsigned int /*seed*/) {}

}  // namespace caffe
