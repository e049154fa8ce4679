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

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include "caffe/util/layer_name.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "caffe/util/upgrade_steps.hpp"

namespace caffe {

namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

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

namespace {

// Calls `visit(tag, first byte, past the last, payload start)` for each field.
template <typename Visit>
bool ForEachField(const string& bytes, Visit visit) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  for (;;) {
    const int start = in.CurrentPosition();
    const uint32_t tag = in.ReadTag();
    if (tag == 0) return start == static_cast<int>(bytes.size());
    int payload = in.CurrentPosition();
    uint32_t length;
    if (WireFormatLite::GetTagWireType(tag) ==
        WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      if (!in.ReadVarint32(&length)) return false;
      payload = in.CurrentPosition();
      if (length > bytes.size() - static_cast<std::size_t>(payload)) return false;
      if (!in.Skip(static_cast<int>(length))) return false;
    } else if (!WireFormatLite::SkipField(&in, tag)) {
      return false;
    }
    visit(tag, start, in.CurrentPosition(), payload);
  }
}

constexpr uint32_t BytesTag(int field) {
  return WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

// The layer without field 200, if it has one that is not ours.
bool RemoveForeignField(const string& layer, string* stripped) {
  string type;
  bool found = false;
  const bool valid =
      ForEachField(layer, [&](uint32_t tag, int start, int end, int payload) {
        if (tag == BytesTag(LayerParameter::kTypeFieldNumber)) {
          type = layer.substr(payload, end - payload);
        }
        if (WireFormatLite::GetTagFieldNumber(tag) ==
            LayerParameter::kCudnnBatchNormParamFieldNumber) {
          found = true;
        } else {
          stripped->append(layer, start, end - start);
        }
      });
  return valid && found && type != kType;
}

}  // namespace

bool RemoveForeignFields(std::string* net_bytes) {
  string kept;
  bool found = false;
  const bool valid =
      ForEachField(*net_bytes, [&](uint32_t tag, int start, int end, int payload) {
        string layer;
        if (tag == BytesTag(NetParameter::kLayerFieldNumber) &&
            RemoveForeignField(net_bytes->substr(payload, end - payload), &layer)) {
          found = true;
          google::protobuf::io::StringOutputStream stream(&kept);
          google::protobuf::io::CodedOutputStream out(&stream);
          out.WriteTag(tag);
          out.WriteVarint32(static_cast<uint32_t>(layer.size()));
          out.WriteString(layer);
        } else {
          kept.append(*net_bytes, start, end - start);
        }
      });
  if (!valid || !found) return false;
  net_bytes->swap(kept);
  return true;
}

}  // namespace caffe
