// What other Caffes write in their own words: pooling's ceil_mode, NVIDIA's stored blobs,
// the numbers of bn_param, and the batch norms of NVIDIA and intel that have a scale and
// a bias.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>
#include <vector>

#include <google/protobuf/unknown_field_set.h>

#include "caffe/util/layer_name.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "caffe/util/upgrade_steps.hpp"

namespace caffe {

namespace {

static_assert(std::endian::native == std::endian::little);

void UpgradePooling(LayerParameter* layer) {
  PoolingParameter* param = layer->mutable_pooling_param();
  const auto mode = param->ceil_mode() ? PoolingParameter_RoundMode_CEIL
                                       : PoolingParameter_RoundMode_FLOOR;
  if (param->has_round_mode() && param->round_mode() != mode) {
    throw ValueError(NameOf(*layer),
                     "ceil_mode and round_mode say the opposite of each other; give one "
                     "of them");
  }
  param->set_round_mode(mode);
  param->clear_ceil_mode();
}

float FromHalf(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  const float magnitude =
      exponent == 31  ? (fraction == 0 ? INFINITY : NAN)
      : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                      : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return half >> 15 ? -magnitude : magnitude;
}

template <typename Stored, typename Convert, typename Values>
void ReadRaw(const string& bytes, Convert convert, Values* values) {
  if (bytes.size() % sizeof(Stored) != 0) {
    throw ValueError(Str(bytes.size(), " raw bytes, expected a multiple of ",
                         sizeof(Stored), "; the file is damaged"));
  }
  values->Clear();
  values->Reserve(static_cast<int>(bytes.size() / sizeof(Stored)));
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(Stored)) {
    Stored value;
    std::memcpy(&value, bytes.data() + i, sizeof(Stored));
    values->AddAlreadyReserved(convert(value));
  }
}

template <typename Floats, typename Doubles>
void ReadRaw(BlobProto::RawType type, const string& bytes, Floats* floats,
             Doubles* doubles) {
  const auto same = [](auto value) { return value; };
  switch (type) {
    case BlobProto::DOUBLE:
      return ReadRaw<double>(bytes, same, doubles);
    case BlobProto::FLOAT:
      return ReadRaw<float>(bytes, same, floats);
    case BlobProto::FLOAT16:
      return ReadRaw<uint16_t>(bytes, FromHalf, floats);
  }
}

bool IsRaw(const BlobProto& blob) { return blob.has_raw_data() || blob.has_raw_diff(); }

void UpgradeBlob(BlobProto* blob) {
  if (blob->has_raw_data()) {
    ReadRaw(blob->raw_data_type(), blob->raw_data(), blob->mutable_data(),
            blob->mutable_double_data());
  }
  if (blob->has_raw_diff()) {
    ReadRaw(blob->raw_diff_type(), blob->raw_diff(), blob->mutable_diff(),
            blob->mutable_double_diff());
  }
  blob->clear_raw_data();
  blob->clear_raw_diff();
  blob->clear_raw_data_type();
  blob->clear_raw_diff_type();
}

bool HasRawBlobs(const LayerParameter& layer) {
  return std::any_of(layer.blobs().begin(), layer.blobs().end(), IsRaw);
}

// bn_param of a binary file. Under 1 to 6 PSPNet has the fillers of scale and shift,
// var_eps (a float), moving_average (a bool), decay (a float) and axis; yjxiong has the
// fillers of slope and bias, momentum (a float), eps (a float), frozen (a bool) and
// engine. What has another type here is an unknown field.
bool HasForeignBN(const LayerParameter& layer) {
  if (!layer.has_bn_param()) return false;
  const BNParameter& param = layer.bn_param();
  return !param.GetReflection()->GetUnknownFields(param).empty();
}

void UpgradeBN(BNParameter* param) {
  using google::protobuf::UnknownField;
  google::protobuf::UnknownFieldSet* unknown =
      param->GetReflection()->MutableUnknownFields(param);
  bool yjxiong = false;
  bool has_third = false;
  float third = 0;
  for (int i = 0; i < unknown->field_count(); ++i) {
    const UnknownField& field = unknown->field(i);
    const bool is_float = field.type() == UnknownField::TYPE_FIXED32;
    if (field.number() == 3 && is_float) {
      third = std::bit_cast<float>(field.fixed32());
      has_third = true;
    } else if (field.number() == 4 && is_float) {
      param->set_eps(std::bit_cast<float>(field.fixed32()));
      yjxiong = true;
    } else if (field.number() == 5 && field.type() == UnknownField::TYPE_VARINT) {
      param->set_frozen(field.varint() != 0);
      yjxiong = true;
    }
  }
  // A momentum is near 1, and what is added to a variance near 0.
  yjxiong = yjxiong || third > 0.1f;
  if (has_third) yjxiong ? param->set_momentum(third) : param->set_var_eps(third);
  if (yjxiong) {
    if (param->has_scale_filler()) {
      param->mutable_slope_filler()->Swap(param->mutable_scale_filler());
    }
    if (param->has_shift_filler()) {
      param->mutable_bias_filler()->Swap(param->mutable_shift_filler());
    }
    param->clear_scale_filler();
    param->clear_shift_filler();
    param->clear_axis();  // 6: which engine computes
  }
  unknown->Clear();
}

bool NeedsForkUpgrade(const LayerParameter& layer) {
  return layer.pooling_param().has_ceil_mode() || HasForeignBN(layer) ||
         HasRawBlobs(layer);
}

}  // namespace

bool NetNeedsForkUpgrade(const NetParameter& net_param) {
  return std::any_of(net_param.layer().begin(), net_param.layer().end(),
                     NeedsForkUpgrade);
}

void UpgradeNetForks(NetParameter* net_param) {
  for (LayerParameter& layer : *net_param->mutable_layer()) {
    if (layer.pooling_param().has_ceil_mode()) UpgradePooling(&layer);
    if (HasForeignBN(layer)) UpgradeBN(layer.mutable_bn_param());
    if (!HasRawBlobs(layer)) continue;
    try {
      for (BlobProto& blob : *layer.mutable_blobs()) UpgradeBlob(&blob);
    } catch (Error& error) {
      error.SetWho(NameOf(layer));
      throw;
    }
  }
}

namespace {

constexpr char kBatchNorm[] = "BatchNorm";
constexpr char kScaleSuffix[] = "/scale";
// cuDNN's smallest, below which NVIDIA's layer does not go.
constexpr float kLeastEps = 1e-5f;

int Count(const BlobProto& blob) {
  return std::max(blob.data_size(), blob.double_data_size());
}

// The orders in which a batch norm with a scale stores mean, variance, factor, scale and
// bias; -1 where it has none.
struct Layout {
  int mean, variance, factor, scale, bias;
};

// By the number of blobs and the place of the factor, the only one with a single value.
Layout LayoutOf(const LayerParameter& layer) {
  const int blobs = layer.blobs_size();
  if (Count(layer.blobs(2)) == 1) return {0, 1, 2, 3, blobs == 5 ? 4 : -1};
  if (blobs == 5 && Count(layer.blobs(4)) == 1) return {2, 3, 4, 0, 1};  // intel's CPU
  if (blobs == 4) return {2, 3, -1, 0, 1};  // NVIDIA's of 2016
  throw ValueError(NameOf(layer),
                   Str(blobs,
                       " blobs and none of them the factor, a single value, that the "
                       "batch norms of NVIDIA and intel have"));
}

void SplitBlobs(const LayerParameter& from, LayerParameter* norm, LayerParameter* scale) {
  const Layout layout = LayoutOf(from);
  norm->clear_blobs();
  *norm->add_blobs() = from.blobs(layout.mean);
  *norm->add_blobs() = from.blobs(layout.variance);
  BlobProto* factor = norm->add_blobs();
  if (layout.factor >= 0) *factor = from.blobs(layout.factor);
  const bool zero = factor->data_size() > 0          ? factor->data(0) == 0
                    : factor->double_data_size() > 0 ? factor->double_data(0) == 0
                                                     : true;
  if (zero) {  // NVIDIA's oldest files; here it would mean that there are no statistics
    factor->Clear();
    factor->mutable_shape()->add_dim(1);
    factor->add_data(1);
  }
  *scale->add_blobs() = from.blobs(layout.scale);
  if (layout.bias >= 0) *scale->add_blobs() = from.blobs(layout.bias);
}

bool IsScaled(const LayerParameter& layer) {
  if (layer.type() != kBatchNorm) return false;
  const BatchNormParameter& param = layer.batch_norm_param();
  return param.scale_bias() || param.has_scale_filler() || param.has_bias_filler() ||
         param.use_weight_bias() || layer.blobs_size() > 3;
}

// A BatchNorm and a Scale for a batch norm that does both.
void Split(const LayerParameter& from, LayerParameter* norm, LayerParameter* scale) {
  *norm = from;
  BatchNormParameter* param = norm->mutable_batch_norm_param();
  const bool nvidia = !param->has_use_weight_bias();
  if (nvidia) {
    if (param->eps() < kLeastEps) param->set_eps(kLeastEps);
    // There it has no effect in TEST, and false is the default.
    if (!param->use_global_stats()) param->clear_use_global_stats();
  }
  scale->set_name(from.name() + kScaleSuffix);
  scale->set_type("Scale");
  scale->add_bottom(from.top(0));
  scale->add_top(from.top(0));
  *scale->mutable_include() = from.include();
  *scale->mutable_exclude() = from.exclude();
  if (from.has_phase()) scale->set_phase(from.phase());
  scale->mutable_loss_weight()->Swap(norm->mutable_loss_weight());
  ScaleParameter* affine = scale->mutable_scale_param();
  affine->set_bias_term(nvidia || !param->has_bias_term() || param->bias_term());
  if (param->has_filler()) affine->mutable_filler()->Swap(param->mutable_filler());
  if (param->has_scale_filler()) {
    affine->mutable_filler()->Swap(param->mutable_scale_filler());
  }
  if (param->has_bias_filler()) {
    affine->mutable_bias_filler()->Swap(param->mutable_bias_filler());
  }
  for (const char* field : {"scale_bias", "use_weight_bias", "bias_term", "filler",
                            "scale_filler", "bias_filler"}) {
    param->GetReflection()->ClearField(param,
                                       param->GetDescriptor()->FindFieldByName(field));
  }
  norm->clear_param();
  for (int i = 0; i < from.param_size(); ++i) {
    *(i < 3 ? norm : scale)->add_param() = from.param(i);
  }
  for (ParamSpec& rate : *norm->mutable_param()) {  // both forks do the same
    rate.set_lr_mult(0);
    rate.set_decay_mult(0);
  }
  if (from.blobs_size() > 3) SplitBlobs(from, norm, scale);
}

// "a/b.caffemodel" with a suffix: "a/b_bvlc.caffemodel".
string Renamed(const string& file, const string& form) {
  const std::filesystem::path path(file);
  std::filesystem::path renamed = path;
  renamed.replace_filename(path.stem().string() + "_" + form + path.extension().string());
  return renamed.string();
}

}  // namespace

void SplitScaledBatchNorms(NetParameter* net_param) {
  std::set<string> names;
  int scaled = 0;
  for (const LayerParameter& layer : net_param->layer()) {
    names.insert(layer.name());
    scaled += IsScaled(layer);
  }
  if (scaled == 0) return;
  NetParameter split;
  string first;
  for (LayerParameter& layer : *net_param->mutable_layer()) {
    if (!IsScaled(layer)) {
      split.add_layer()->Swap(&layer);
      continue;
    }
    if (layer.bottom_size() != 1 || layer.top_size() != 1) {
      throw ValueError(NameOf(layer),
                       Str(layer.bottom_size(), " bottom(s) and ", layer.top_size(),
                           " top(s), expected one of each"));
    }
    if (names.count(layer.name() + kScaleSuffix) > 0) {
      throw ValueError(
          NameOf(layer),
          Str("its scale and bias would become layer '", layer.name(), kScaleSuffix,
              "', which the net has already; rename one of them"));
    }
    if (first.empty()) first = NameOf(layer);
    LayerParameter* norm = split.add_layer();
    Split(layer, norm, split.add_layer());
  }
  net_param->mutable_layer()->Swap(split.mutable_layer());
  LOG(INFO) << first << (scaled > 1 ? Str(" and ", scaled - 1, " more") : string())
            << ": a batch norm with scale and bias, as in NVIDIA's and intel's Caffe, "
            << "becomes a BatchNorm and the Scale layer '<name>" << kScaleSuffix << "'";
}

void SplitStoredBatchNorms(const string& file, const FindBlobs& net,
                           NetParameter* weights) {
  const auto is_norm = [](const string& type) {
    return type == kBatchNorm || type == "CuDNNBatchNorm";
  };
  NetParameter split;
  for (LayerParameter& layer : *weights->mutable_layer()) {
    const auto [type, blobs] = net(layer.name());
    LayerParameter* kept = split.add_layer();
    if (!is_norm(type) || !is_norm(layer.type()) || layer.blobs_size() == blobs ||
        layer.blobs_size() == 0) {
      kept->Swap(&layer);
      continue;
    }
    if (type == layer.type() && layer.blobs_size() > 3 &&
        net(layer.name() + kScaleSuffix).first == "Scale") {
      *kept = layer;
      LayerParameter* scale = split.add_layer();
      scale->set_name(layer.name() + kScaleSuffix);
      scale->set_type("Scale");
      SplitBlobs(layer, kept, scale);
      continue;
    }
    const string form = type == kBatchNorm ? "bvlc" : "sknet";
    const bool scaled =
        type == kBatchNorm && layer.type() == type && layer.blobs_size() > 3;
    throw ValueError(
        NameOf(layer),
        Str("'", file, "' has a ", layer.type(), " of ", layer.blobs_size(),
            " blobs, expected a ", type, " of ", blobs,
            "; it is another Caffe's batch norm: ",
            scaled ? "write `batch_norm_param { scale_bias: true }` in the prototxt, or "
                   : "",
            "convert both with `sknet convert-bn ", file, " ", Renamed(file, form),
            " --to ", form, " --prototxt NET.prototxt --out-prototxt NET_", form,
            ".prototxt`"));
  }
  weights->mutable_layer()->Swap(split.mutable_layer());
}

}  // namespace caffe
