// The format of 2013, in which one message held the parameters of all layers.

#include <cstring>
#include <map>
#include <vector>

#include <google/protobuf/message.h>

#include "caffe/util/closest.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/upgrade_proto.hpp"

namespace caffe {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

struct V0Type {
  const char* name;
  V1LayerParameter_LayerType type;
};

constexpr V0Type kTypes[] = {
    {"accuracy", V1LayerParameter_LayerType_ACCURACY},
    {"bnll", V1LayerParameter_LayerType_BNLL},
    {"concat", V1LayerParameter_LayerType_CONCAT},
    {"conv", V1LayerParameter_LayerType_CONVOLUTION},
    {"data", V1LayerParameter_LayerType_DATA},
    {"dropout", V1LayerParameter_LayerType_DROPOUT},
    {"euclidean_loss", V1LayerParameter_LayerType_EUCLIDEAN_LOSS},
    {"flatten", V1LayerParameter_LayerType_FLATTEN},
    {"hdf5_data", V1LayerParameter_LayerType_HDF5_DATA},
    {"hdf5_output", V1LayerParameter_LayerType_HDF5_OUTPUT},
    {"im2col", V1LayerParameter_LayerType_IM2COL},
    {"images", V1LayerParameter_LayerType_IMAGE_DATA},
    {"infogain_loss", V1LayerParameter_LayerType_INFOGAIN_LOSS},
    {"innerproduct", V1LayerParameter_LayerType_INNER_PRODUCT},
    {"lrn", V1LayerParameter_LayerType_LRN},
    {"multinomial_logistic_loss", V1LayerParameter_LayerType_MULTINOMIAL_LOGISTIC_LOSS},
    {"pool", V1LayerParameter_LayerType_POOLING},
    {"relu", V1LayerParameter_LayerType_RELU},
    {"sigmoid", V1LayerParameter_LayerType_SIGMOID},
    {"softmax", V1LayerParameter_LayerType_SOFTMAX},
    {"softmax_loss", V1LayerParameter_LayerType_SOFTMAX_LOSS},
    {"split", V1LayerParameter_LayerType_SPLIT},
    {"tanh", V1LayerParameter_LayerType_TANH},
    {"window_data", V1LayerParameter_LayerType_WINDOW_DATA},
};

// Where a V0 field went for a layer type; "" means every type, and an empty message
// means the V1 layer itself.
struct V0Field {
  const char* field;
  const char* type;
  const char* message;
  const char* name;
};

constexpr V0Field kFields[] = {
    {"name", "", "", "name"},
    {"blobs", "", "", "blobs"},
    {"blobs_lr", "", "", "blobs_lr"},
    {"weight_decay", "", "", "weight_decay"},
    {"num_output", "conv", "convolution_param", "num_output"},
    {"num_output", "innerproduct", "inner_product_param", "num_output"},
    {"biasterm", "conv", "convolution_param", "bias_term"},
    {"biasterm", "innerproduct", "inner_product_param", "bias_term"},
    {"weight_filler", "conv", "convolution_param", "weight_filler"},
    {"weight_filler", "innerproduct", "inner_product_param", "weight_filler"},
    {"bias_filler", "conv", "convolution_param", "bias_filler"},
    {"bias_filler", "innerproduct", "inner_product_param", "bias_filler"},
    {"pad", "conv", "convolution_param", "pad"},
    {"pad", "im2col", "convolution_param", "pad"},
    {"pad", "pool", "pooling_param", "pad"},
    {"kernelsize", "conv", "convolution_param", "kernel_size"},
    {"kernelsize", "im2col", "convolution_param", "kernel_size"},
    {"kernelsize", "pool", "pooling_param", "kernel_size"},
    {"group", "conv", "convolution_param", "group"},
    {"stride", "conv", "convolution_param", "stride"},
    {"stride", "im2col", "convolution_param", "stride"},
    {"stride", "pool", "pooling_param", "stride"},
    {"pool", "pool", "pooling_param", "pool"},
    {"dropout_ratio", "dropout", "dropout_param", "dropout_ratio"},
    {"local_size", "lrn", "lrn_param", "local_size"},
    {"alpha", "lrn", "lrn_param", "alpha"},
    {"beta", "lrn", "lrn_param", "beta"},
    {"k", "lrn", "lrn_param", "k"},
    {"source", "data", "data_param", "source"},
    {"source", "hdf5_data", "hdf5_data_param", "source"},
    {"source", "images", "image_data_param", "source"},
    {"source", "window_data", "window_data_param", "source"},
    {"source", "infogain_loss", "infogain_loss_param", "source"},
    {"scale", "", "transform_param", "scale"},
    {"meanfile", "", "transform_param", "mean_file"},
    {"cropsize", "", "transform_param", "crop_size"},
    {"mirror", "", "transform_param", "mirror"},
    {"batchsize", "data", "data_param", "batch_size"},
    {"batchsize", "hdf5_data", "hdf5_data_param", "batch_size"},
    {"batchsize", "images", "image_data_param", "batch_size"},
    {"batchsize", "window_data", "window_data_param", "batch_size"},
    {"rand_skip", "data", "data_param", "rand_skip"},
    {"rand_skip", "images", "image_data_param", "rand_skip"},
    {"shuffle_images", "images", "image_data_param", "shuffle"},
    {"new_height", "images", "image_data_param", "new_height"},
    {"new_width", "images", "image_data_param", "new_width"},
    {"concat_dim", "concat", "concat_param", "concat_dim"},
    {"det_fg_threshold", "window_data", "window_data_param", "fg_threshold"},
    {"det_bg_threshold", "window_data", "window_data_param", "bg_threshold"},
    {"det_fg_fraction", "window_data", "window_data_param", "fg_fraction"},
    {"det_context_pad", "window_data", "window_data_param", "context_pad"},
    {"det_crop_mode", "window_data", "window_data_param", "crop_mode"},
    {"hdf5_output_param", "hdf5_output", "", "hdf5_output_param"},
};

const V0Field* FindField(const string& field, const string& type) {
  for (const V0Field& row : kFields) {
    if (field == row.field && (*row.type == '\0' || type == row.type)) return &row;
  }
  return nullptr;
}

// Copies one field, which may be single or repeated on either side.
void CopyField(const Message& from, const FieldDescriptor* source, Message* to,
               const FieldDescriptor* target) {
  const Reflection* in = from.GetReflection();
  const Reflection* out = to->GetReflection();
  const bool add = target->is_repeated();
  const int n = source->is_repeated() ? in->FieldSize(from, source) : 1;
  for (int i = 0; i < n; ++i) {
    const bool indexed = source->is_repeated();
    switch (source->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32: {  // new_height and new_width
        const auto v = static_cast<uint32_t>(in->GetInt32(from, source));
        out->SetUInt32(to, target, v);
        break;
      }
      case FieldDescriptor::CPPTYPE_UINT32: {
        const auto v = in->GetUInt32(from, source);
        add ? out->AddUInt32(to, target, v) : out->SetUInt32(to, target, v);
        break;
      }
      case FieldDescriptor::CPPTYPE_FLOAT: {
        const float v =
            indexed ? in->GetRepeatedFloat(from, source, i) : in->GetFloat(from, source);
        add ? out->AddFloat(to, target, v) : out->SetFloat(to, target, v);
        break;
      }
      case FieldDescriptor::CPPTYPE_BOOL:
        out->SetBool(to, target, in->GetBool(from, source));
        break;
      case FieldDescriptor::CPPTYPE_ENUM:  // PoolMethod, with equal numbers
        out->SetEnumValue(to, target, in->GetEnumValue(from, source));
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        out->SetString(to, target, in->GetString(from, source));
        break;
      default:
        if (indexed) {
          out->AddMessage(to, target)->CopyFrom(in->GetRepeatedMessage(from, source, i));
        } else {
          out->MutableMessage(to, target)->CopyFrom(in->GetMessage(from, source));
        }
    }
  }
}

bool IsPadding(const V1LayerParameter& layer) {
  return layer.layer().type() == "padding";
}

}  // namespace

bool NetNeedsV0ToV1Upgrade(const NetParameter& net_param) {
  for (const V1LayerParameter& layer : net_param.layers()) {
    if (layer.has_layer()) return true;
  }
  return false;
}

bool UpgradeV0Net(const NetParameter& v0_net_param, NetParameter* net_param) {
  NetParameter padded;
  UpgradeV0PaddingLayers(v0_net_param, &padded);
  *net_param = padded;
  net_param->clear_layers();
  bool complete = true;
  for (const V1LayerParameter& layer : padded.layers()) {
    complete &= UpgradeV0LayerParameter(layer, net_param->add_layers());
  }
  return complete;
}

void UpgradeV0PaddingLayers(const NetParameter& param, NetParameter* param_upgraded_pad) {
  *param_upgraded_pad = param;
  param_upgraded_pad->clear_layers();
  std::map<string, const V1LayerParameter*> last_writer;
  for (const V1LayerParameter& layer : param.layers()) {
    if (IsPadding(layer)) {
      if (layer.bottom_size() != 1 || layer.top_size() != 1) {
        throw ValueError(NameOf(layer.layer().name(), "padding"),
                         Str(layer.bottom_size(), " bottoms and ", layer.top_size(),
                             " tops, expected one of each"));
      }
    } else {
      V1LayerParameter* kept = param_upgraded_pad->add_layers();
      *kept = layer;
      for (int i = 0; i < layer.bottom_size(); ++i) {
        const auto writer = last_writer.find(layer.bottom(i));
        if (writer == last_writer.end() || !IsPadding(*writer->second)) continue;
        const string& type = layer.layer().type();
        if (type != "conv" && type != "pool") {
          throw ValueError(
              NameOf(layer.layer().name(), type),
              Str("its bottom '", layer.bottom(i),
                  "' comes from a padding layer, which only conv and pool may "
                  "follow"));
        }
        kept->mutable_layer()->set_pad(writer->second->layer().pad());
        kept->set_bottom(i, writer->second->bottom(0));
      }
    }
    for (const string& top : layer.top()) last_writer[top] = &layer;
  }
}

bool UpgradeV0LayerParameter(const V1LayerParameter& v0_layer_connection,
                             V1LayerParameter* layer_param) {
  *layer_param = v0_layer_connection;
  if (!v0_layer_connection.has_layer()) return true;  // a V1 layer among V0 ones
  layer_param->clear_layer();
  const V0LayerParameter& v0 = v0_layer_connection.layer();
  if (v0.has_type()) layer_param->set_type(UpgradeV0LayerType(v0.type()));

  bool complete = true;
  std::vector<const FieldDescriptor*> fields;
  v0.GetReflection()->ListFields(v0, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->name() == "type") continue;
    const V0Field* row = FindField(field->name(), v0.type());
    if (row == nullptr) {
      LOG(ERROR) << NameOf(v0.name(), v0.type()) << ": " << field->name()
                 << " has no meaning for this type";
      complete = false;
      continue;
    }
    Message* target = layer_param;
    if (*row->message != '\0') {
      target = layer_param->GetReflection()->MutableMessage(
          layer_param, layer_param->GetDescriptor()->FindFieldByName(row->message));
    }
    CopyField(v0, field, target, target->GetDescriptor()->FindFieldByName(row->name));
  }
  return complete;
}

V1LayerParameter_LayerType UpgradeV0LayerType(const string& type) {
  std::vector<string> names;
  for (const V0Type& row : kTypes) {
    if (type == row.name) return row.type;
    names.push_back(row.name);
  }
  throw ValueError(
      Str("unknown layer type '", type, "' in the V0 format", Suggestion(type, names)));
}

}  // namespace caffe
