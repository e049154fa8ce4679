#ifndef CAFFE_LAYERS_THEIR_CAFFE_HPP_
#define CAFFE_LAYERS_THEIR_CAFFE_HPP_

// What the Caffes of this world differ in. Overload resolution finds out what the one
// that this is compiled for has, so nothing need be configured.

#include <algorithm>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {
namespace their {

/// An argument of type Choice<N> prefers the overload with the highest number.
template <int N>
struct Choice : Choice<N - 1> {};
template <>
struct Choice<0> {};

/// What a net says of a CuDNNBatchNorm layer, by the release's names and with its
/// defaults.
struct BatchNormSettings {
  bool frozen = false;
  double momentum = 0.999;
  double eps = 1e-5;
  FillerParameter scale_filler, bias_filler;

  BatchNormSettings() {
    SetConstant(&scale_filler, 1);
    SetConstant(&bias_filler, 0);
  }
  static void SetConstant(FillerParameter* filler, float value) {
    filler->set_type("constant");
    filler->set_value(value);
  }
};

// The release's messages have frozen, momentum and fillers; BVLC's has use_global_stats
// and moving_average_fraction, which mean the same to these layers, and no fillers.
template <typename Param>
auto Frozen(const Param& param, Choice<1>) -> decltype(param.frozen()) {
  return param.frozen();
}
template <typename Param>
bool Frozen(const Param& param, Choice<0>) {
  return param.use_global_stats();
}
template <typename Param>
auto Momentum(const Param& param, Choice<1>) -> decltype(param.momentum()) {
  return param.momentum();
}
template <typename Param>
float Momentum(const Param& param, Choice<0>) {
  return param.moving_average_fraction();
}
template <typename Param>
auto SetFillers(const Param& param, BatchNormSettings* settings, Choice<1>)
    -> decltype(param.scale_filler(), void()) {
  if (param.has_scale_filler()) settings->scale_filler = param.scale_filler();
  if (param.has_bias_filler()) settings->bias_filler = param.bias_filler();
}
template <typename Param>
void SetFillers(const Param& /*param*/, BatchNormSettings* /*settings*/, Choice<0>) {}

template <typename Param>
void SetFrom(const Param& param, BatchNormSettings* settings) {
  settings->frozen = Frozen(param, Choice<1>());
  settings->momentum = Momentum(param, Choice<1>());
  settings->eps = param.eps();
  SetFillers(param, settings, Choice<1>());
}

// GENet and patched Caffes call the field cudnn_batch_norm_param, SKNet and BVLC
// batch_norm_param. The former counts where a layer has both.
template <typename Layer>
auto ReadGeneric(const Layer& layer, BatchNormSettings* settings, Choice<1>)
    -> decltype(layer.batch_norm_param(), void()) {
  if (layer.has_batch_norm_param()) SetFrom(layer.batch_norm_param(), settings);
}
template <typename Layer>
void ReadGeneric(const Layer& /*layer*/, BatchNormSettings* /*settings*/, Choice<0>) {}
template <typename Layer>
auto ReadOwn(const Layer& layer, BatchNormSettings* settings, Choice<1>)
    -> decltype(layer.cudnn_batch_norm_param(), void()) {
  if (layer.has_cudnn_batch_norm_param()) {
    SetFrom(layer.cudnn_batch_norm_param(), settings);
  }
}
template <typename Layer>
void ReadOwn(const Layer& /*layer*/, BatchNormSettings* /*settings*/, Choice<0>) {}

inline BatchNormSettings SettingsOf(const LayerParameter& layer) {
  BatchNormSettings settings;
  ReadGeneric(layer, &settings, Choice<1>());
  ReadOwn(layer, &settings, Choice<1>());
  // cuDNN's CUDNN_BN_MIN_EPSILON of the released models' day.
  settings.eps = std::max(settings.eps, 1e-5);
  return settings;
}

}  // namespace their
}  // namespace caffe

#endif  // CAFFE_LAYERS_THEIR_CAFFE_HPP_
