#include "caffe/layers/exp_layer.hpp"

#include "caffe/layers/elementwise_layer_impl.hpp"

namespace caffe {

template <typename Dtype>
void ExpFunctor<Dtype>::Read(const LayerParameter& param) {
  const ExpParameter& exp_param = param.exp_param();
  const double base = exp_param.base();
  if (base != -1 && !(base > 0)) {
    throw ValueError(
        Str("exp_param.base is ", base, ", expected a positive number, or -1 for e"));
  }
  const double log_base = base == -1 ? 1 : std::log(base);
  scale = static_cast<Dtype>(log_base * exp_param.scale());
  shift = static_cast<Dtype>(log_base * exp_param.shift());
}

INSTANTIATE_CLASS(ExpLayer);
REGISTER_LAYER_CLASS(Exp);

}  // namespace caffe
