#include "caffe/layers/log_layer.hpp"

#include "caffe/layers/elementwise_layer_impl.hpp"

namespace caffe {

template <typename Dtype>
void LogFunctor<Dtype>::Read(const LayerParameter& param) {
  const LogParameter& log_param = param.log_param();
  const double base = log_param.base();
  if (base != -1 && (!(base > 0) || base == 1)) {
    throw ValueError(Str("log_param.base is ", base,
                         ", expected a positive number other than 1, or -1 for e"));
  }
  factor = static_cast<Dtype>(base == -1 ? 1 : 1 / std::log(base));
  scale = log_param.scale();
  shift = log_param.shift();
}

INSTANTIATE_CLASS(LogLayer);
REGISTER_LAYER_CLASS(Log);

}  // namespace caffe
