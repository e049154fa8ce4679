// Batch-norm parameters, whose field in LayerParameter differs between forks:
//
//   139  BVLC: batch_norm_param {1 use_global_stats, 2 moving_average_fraction, 3 eps};
//        others have more fields behind these.
//   200  SKNet: batch_norm_param {1 frozen, 2 momentum, 3 eps, 4 scale_filler,
//        5 bias_filler}; GENet: the same, as cudnn_batch_norm_param.
//        SSD and its descendants (NVIDIA, intel): annotated_data_param.
//
// In both forms 1 is a bool with the meaning "use the running statistics", 2 a float
// with the weight of the past, and 3 is eps: so either form can stand in either field.

#include "caffe/util/layer_name.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "caffe/util/upgrade_steps.hpp"

namespace caffe {

namespace {

constexpr char kType[] = "CuDNNBatchNorm";

bool NeedsUpgrade(const LayerParameter& layer) {
  return layer.type() == kType ? layer.has_batch_norm_param()
                               : layer.has_cudnn_batch_norm_param();
}

// The parameters that came by field 139 or, in text, by the name batch_norm_param.
CuDNNBatchNormParameter FromBatchNorm(const BatchNormParameter& from) {
  CuDNNBatchNormParameter to;
  if (from.has_use_global_stats()) to.set_frozen(from.use_global_stats());
  if (from.has_frozen()) to.set_frozen(from.frozen());
  if (from.has_moving_average_fraction()) to.set_momentum(from.moving_average_fraction());
  if (from.has_momentum()) to.set_momentum(from.momentum());
  if (from.has_eps()) to.set_eps(from.eps());
  if (from.has_scale_filler()) *to.mutable_scale_filler() = from.scale_filler();
  if (from.has_bias_filler()) *to.mutable_bias_filler() = from.bias_filler();
  return to;
}

// Only text can set these: no fork has the numbers.
void RejectForeignNames(const LayerParameter& layer) {
  const BatchNormParameter& param = layer.batch_norm_param();
  if (!param.has_frozen() && !param.has_momentum()) return;
  throw ValueError(
      NameOf(layer),
      Str("batch_norm_param has '", param.has_frozen() ? "frozen" : "momentum",
          "', which only type CuDNNBatchNorm knows; use that type, or "
          "use_global_stats and moving_average_fraction"));
}

}  // namespace

bool NetNeedsBatchNormUpgrade(const NetParameter& net_param) {
  for (const LayerParameter& layer : net_param.layer()) {
    if (layer.type() != "BatchNorm" || layer.param_size() != 3) continue;
    for (const ParamSpec& param : layer.param()) {
      if (param.lr_mult() != 0 || param.decay_mult() != 0) return true;
    }
  }
  return false;
}

void UpgradeNetBatchNorm(NetParameter* net_param) {
  for (LayerParameter& layer : *net_param->mutable_layer()) {
    if (layer.type() != "BatchNorm" || layer.param_size() != 3) continue;
    // Differs from BVLC, which drops the entries and with them names that share blobs.
    for (ParamSpec& param : *layer.mutable_param()) {
      param.set_lr_mult(0);
      param.set_decay_mult(0);
    }
  }
}

bool NetNeedsCuDNNBatchNormUpgrade(const NetParameter& net_param) {
  for (const LayerParameter& layer : net_param.layer()) {
    if (NeedsUpgrade(layer)) return true;
  }
  return false;
}

void UpgradeNetCuDNNBatchNorm(NetParameter* net_param) {
  int foreign = 0;
  string first;
  for (LayerParameter& layer : *net_param->mutable_layer()) {
    if (layer.type() != kType) {
      RejectForeignNames(layer);
      if (!layer.has_cudnn_batch_norm_param()) continue;
      layer.clear_cudnn_batch_norm_param();
      if (foreign++ == 0) first = NameOf(layer);
    } else if (layer.has_batch_norm_param()) {
      CuDNNBatchNormParameter merged = FromBatchNorm(layer.batch_norm_param());
      merged.MergeFrom(layer.cudnn_batch_norm_param());
      layer.mutable_cudnn_batch_norm_param()->Swap(&merged);
      layer.clear_batch_norm_param();
    }
  }
  LOG_IF(WARNING, foreign > 0)
      << first << (foreign > 1 ? Str(" and ", foreign - 1, " more") : string())
      << ": cudnn_batch_norm_param (field 200) ignored, since only CuDNNBatchNorm layers "
         "have it; other forks keep other settings in this field";
}

}  // namespace caffe
