// The format of 2014, in which layer types were an enum.

#include <vector>

#include <google/protobuf/message.h>

#include "caffe/util/layer_name.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "caffe/util/upgrade_steps.hpp"

namespace caffe {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;

// Moves the four old fields of a data layer's own message to transform_param.
template <typename DataParam>
void MoveTransformation(DataParam* from, TransformationParameter* to) {
  if (from->has_scale()) to->set_scale(from->scale());
  if (from->has_mean_file()) to->set_mean_file(from->mean_file());
  if (from->has_crop_size()) to->set_crop_size(from->crop_size());
  if (from->has_mirror()) to->set_mirror(from->mirror());
  from->clear_scale();
  from->clear_mean_file();
  from->clear_crop_size();
  from->clear_mirror();
}

template <typename DataParam>
bool HasTransformation(const DataParam& param) {
  return param.has_scale() || param.has_mean_file() || param.has_crop_size() ||
         param.has_mirror();
}

bool NeedsDataUpgrade(const V1LayerParameter& layer) {
  switch (layer.type()) {
    case V1LayerParameter_LayerType_DATA:
      return HasTransformation(layer.data_param());
    case V1LayerParameter_LayerType_IMAGE_DATA:
      return HasTransformation(layer.image_data_param());
    case V1LayerParameter_LayerType_WINDOW_DATA:
      return HasTransformation(layer.window_data_param());
    default:
      return false;
  }
}

// `param` (names), blob_share_mode, blobs_lr and weight_decay become ParamSpecs.
ParamSpec* ParamAt(LayerParameter* layer, int index) {
  while (layer->param_size() <= index) layer->add_param();
  return layer->mutable_param(index);
}

void UpgradeParams(const V1LayerParameter& from, LayerParameter* to) {
  for (int i = 0; i < from.param_size(); ++i) ParamAt(to, i)->set_name(from.param(i));
  for (int i = 0; i < from.blob_share_mode_size(); ++i) {
    const bool strict = from.blob_share_mode(i) == V1LayerParameter_DimCheckMode_STRICT;
    ParamAt(to, i)->set_share_mode(strict ? ParamSpec_DimCheckMode_STRICT
                                          : ParamSpec_DimCheckMode_PERMISSIVE);
  }
  for (int i = 0; i < from.blobs_lr_size(); ++i) {
    ParamAt(to, i)->set_lr_mult(from.blobs_lr(i));
  }
  for (int i = 0; i < from.weight_decay_size(); ++i) {
    ParamAt(to, i)->set_decay_mult(from.weight_decay(i));
  }
}

bool SameKind(const FieldDescriptor* a, const FieldDescriptor* b) {
  return a->type() == b->type() && a->label() == b->label() &&
         a->message_type() == b->message_type();
}

}  // namespace

bool NetNeedsDataUpgrade(const NetParameter& net_param) {
  for (const V1LayerParameter& layer : net_param.layers()) {
    if (NeedsDataUpgrade(layer)) return true;
  }
  return false;
}

void UpgradeNetDataTransformation(NetParameter* net_param) {
  for (V1LayerParameter& layer : *net_param->mutable_layers()) {
    if (!NeedsDataUpgrade(layer)) continue;
    TransformationParameter* transform = layer.mutable_transform_param();
    if (layer.type() == V1LayerParameter_LayerType_DATA) {
      MoveTransformation(layer.mutable_data_param(), transform);
    } else if (layer.type() == V1LayerParameter_LayerType_IMAGE_DATA) {
      MoveTransformation(layer.mutable_image_data_param(), transform);
    } else {
      MoveTransformation(layer.mutable_window_data_param(), transform);
    }
  }
}

void WarnOfIgnoredTransformations(const NetParameter& net_param) {
  for (const LayerParameter& layer : net_param.layer()) {
    LOG_IF(WARNING, HasTransformation(layer.data_param()) ||
                        HasTransformation(layer.image_data_param()) ||
                        HasTransformation(layer.window_data_param()))
        << NameOf(layer)
        << ": scale, mean_file, crop_size and mirror are ignored here; move them to "
           "transform_param";
  }
}

bool NetNeedsV1ToV2Upgrade(const NetParameter& net_param) {
  return net_param.layers_size() > 0;
}

bool UpgradeV1Net(const NetParameter& v1_net_param, NetParameter* net_param) {
  // BVLC drops the new-format layers of such a net; nobody can want that.
  if (v1_net_param.layer_size() > 0) {
    throw ValueError(Str("net '", v1_net_param.name(), "': has ",
                         v1_net_param.layers_size(), " 'layers' (the old format) and ",
                         v1_net_param.layer_size(),
                         " 'layer' (the new one); use one of them"));
  }
  net_param->Clear();
  bool complete = true;
  // Field by field: CopyFrom would copy the weights a second time.
  for (const V1LayerParameter& layer : v1_net_param.layers()) {
    complete &= UpgradeV1LayerParameter(layer, net_param->add_layer());
  }
  if (v1_net_param.has_name()) net_param->set_name(v1_net_param.name());
  *net_param->mutable_input() = v1_net_param.input();
  *net_param->mutable_input_shape() = v1_net_param.input_shape();
  *net_param->mutable_input_dim() = v1_net_param.input_dim();
  if (v1_net_param.has_force_backward()) {
    net_param->set_force_backward(v1_net_param.force_backward());
  }
  if (v1_net_param.has_state()) *net_param->mutable_state() = v1_net_param.state();
  if (v1_net_param.has_debug_info()) net_param->set_debug_info(v1_net_param.debug_info());
  return complete;
}

bool UpgradeV1LayerParameter(const V1LayerParameter& v1_layer_param,
                             LayerParameter* layer_param) {
  layer_param->Clear();
  if (v1_layer_param.has_type()) {
    layer_param->set_type(UpgradeV1LayerType(v1_layer_param.type()));
  }
  UpgradeParams(v1_layer_param, layer_param);

  // Everything else kept its name and type: bottom, top, blobs, *_param …
  const Reflection* in = v1_layer_param.GetReflection();
  const Reflection* out = layer_param->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  in->ListFields(v1_layer_param, &fields);
  for (const FieldDescriptor* field : fields) {
    const FieldDescriptor* target =
        layer_param->GetDescriptor()->FindFieldByName(field->name());
    if (target == nullptr || !SameKind(field, target)) continue;
    if (!field->is_repeated()) {
      if (field->message_type() != nullptr) {
        out->MutableMessage(layer_param, target)
            ->CopyFrom(in->GetMessage(v1_layer_param, field));
      } else {  // only `name`
        out->SetString(layer_param, target, in->GetString(v1_layer_param, field));
      }
      continue;
    }
    for (int i = 0; i < in->FieldSize(v1_layer_param, field); ++i) {
      if (field->message_type() != nullptr) {
        out->AddMessage(layer_param, target)
            ->CopyFrom(in->GetRepeatedMessage(v1_layer_param, field, i));
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
        out->AddString(layer_param, target,
                       in->GetRepeatedString(v1_layer_param, field, i));
      } else {  // only `loss_weight`
        out->AddFloat(layer_param, target,
                      in->GetRepeatedFloat(v1_layer_param, field, i));
      }
    }
  }
  if (v1_layer_param.has_layer()) {
    LOG(ERROR) << NameOf(v1_layer_param.name(), layer_param->type())
               << ": has a V0 layer inside, which is ignored";
    return false;
  }
  return true;
}

const char* UpgradeV1LayerType(const V1LayerParameter_LayerType type) {
  switch (type) {
    case V1LayerParameter_LayerType_NONE:
      return "";
    case V1LayerParameter_LayerType_ABSVAL:
      return "AbsVal";
    case V1LayerParameter_LayerType_ACCURACY:
      return "Accuracy";
    case V1LayerParameter_LayerType_ARGMAX:
      return "ArgMax";
    case V1LayerParameter_LayerType_BNLL:
      return "BNLL";
    case V1LayerParameter_LayerType_CONCAT:
      return "Concat";
    case V1LayerParameter_LayerType_CONTRASTIVE_LOSS:
      return "ContrastiveLoss";
    case V1LayerParameter_LayerType_CONVOLUTION:
      return "Convolution";
    case V1LayerParameter_LayerType_DATA:
      return "Data";
    case V1LayerParameter_LayerType_DECONVOLUTION:
      return "Deconvolution";
    case V1LayerParameter_LayerType_DROPOUT:
      return "Dropout";
    case V1LayerParameter_LayerType_DUMMY_DATA:
      return "DummyData";
    case V1LayerParameter_LayerType_EUCLIDEAN_LOSS:
      return "EuclideanLoss";
    case V1LayerParameter_LayerType_ELTWISE:
      return "Eltwise";
    case V1LayerParameter_LayerType_EXP:
      return "Exp";
    case V1LayerParameter_LayerType_FLATTEN:
      return "Flatten";
    case V1LayerParameter_LayerType_HDF5_DATA:
      return "HDF5Data";
    case V1LayerParameter_LayerType_HDF5_OUTPUT:
      return "HDF5Output";
    case V1LayerParameter_LayerType_HINGE_LOSS:
      return "HingeLoss";
    case V1LayerParameter_LayerType_IM2COL:
      return "Im2col";
    case V1LayerParameter_LayerType_IMAGE_DATA:
      return "ImageData";
    case V1LayerParameter_LayerType_INFOGAIN_LOSS:
      return "InfogainLoss";
    case V1LayerParameter_LayerType_INNER_PRODUCT:
      return "InnerProduct";
    case V1LayerParameter_LayerType_LRN:
      return "LRN";
    case V1LayerParameter_LayerType_MEMORY_DATA:
      return "MemoryData";
    case V1LayerParameter_LayerType_MULTINOMIAL_LOGISTIC_LOSS:
      return "MultinomialLogisticLoss";
    case V1LayerParameter_LayerType_MVN:
      return "MVN";
    case V1LayerParameter_LayerType_POOLING:
      return "Pooling";
    case V1LayerParameter_LayerType_POWER:
      return "Power";
    case V1LayerParameter_LayerType_RELU:
      return "ReLU";
    case V1LayerParameter_LayerType_SIGMOID:
      return "Sigmoid";
    case V1LayerParameter_LayerType_SIGMOID_CROSS_ENTROPY_LOSS:
      return "SigmoidCrossEntropyLoss";
    case V1LayerParameter_LayerType_SILENCE:
      return "Silence";
    case V1LayerParameter_LayerType_SOFTMAX:
      return "Softmax";
    case V1LayerParameter_LayerType_SOFTMAX_LOSS:
      return "SoftmaxWithLoss";
    case V1LayerParameter_LayerType_SPLIT:
      return "Split";
    case V1LayerParameter_LayerType_SLICE:
      return "Slice";
    case V1LayerParameter_LayerType_TANH:
      return "TanH";
    case V1LayerParameter_LayerType_WINDOW_DATA:
      return "WindowData";
    case V1LayerParameter_LayerType_THRESHOLD:
      return "Threshold";
    case V1LayerParameter_LayerType_UNPOOLING:
      return "Unpooling";
    case V1LayerParameter_LayerType_BN:
      return "BN";
    case V1LayerParameter_LayerType_IMAGE_SEG_DATA:
      return "ImageSegData";
  }
  throw ValueError(Str("unknown V1 layer type ", static_cast<int>(type)));
}

}  // namespace caffe
