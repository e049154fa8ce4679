// Field numbers of LayerParameter that other Caffes use for something else than this
// schema does, which the layer's type tells apart.

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/unknown_field_set.h>
#include <google/protobuf/wire_format_lite.h>

#include "caffe/util/upgrade_steps.hpp"

namespace caffe {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;
using google::protobuf::UnknownFieldSet;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

using std::string;

struct ForeignNumber {
  const char* type;
  int number, ours;
};

constexpr ForeignNumber kForeignNumbers[] = {
    {"AnnotatedData", 200, LayerParameter::kAnnotatedDataParamFieldNumber},  // SSD
    {"BN", 137, LayerParameter::kBnParamFieldNumber},  // PSPNet, yjxiong
    {"CenterLoss", 147, LayerParameter::kCenterLossParamFieldNumber},
    {"CenterLoss", 149, LayerParameter::kCenterLossParamFieldNumber},
    {"Interp", 143, LayerParameter::kInterpParamFieldNumber},          // DeepLab
    {"Interp", 163, LayerParameter::kInterpParamFieldNumber},          // PSPNet
    {"ROIPooling", 147, LayerParameter::kRoiPoolingParamFieldNumber},  // R-FCN
    {"ROIPooling", 150, LayerParameter::kRoiPoolingParamFieldNumber},  // PSPNet, yjxiong
    {"ROIPooling", 154, LayerParameter::kRoiPoolingParamFieldNumber},  // intel
    {"SmoothL1Loss", 148, LayerParameter::kSmoothL1LossParamFieldNumber},  // R-FCN
    {"Upsample", 137, LayerParameter::kUpsampleParamFieldNumber},          // SegNet
};

// On layers of all types but these two 200 is nothing that is known.
constexpr int kCuDNN = LayerParameter::kCudnnBatchNormParamFieldNumber;
constexpr char kCuDNNType[] = "CuDNNBatchNorm";

// The number that a field of another Caffe has here: its own if that means the same, 0 if
// it has none.
int OurNumber(const string& type, int number) {
  for (const ForeignNumber& row : kForeignNumbers) {
    if (number == row.number && type == row.type) return row.ours;
  }
  return number == kCuDNN && type != kCuDNNType ? 0 : number;
}

bool HasField(const LayerParameter& layer, int number) {
  const Reflection& reflection = *layer.GetReflection();
  if (const FieldDescriptor* field = layer.GetDescriptor()->FindFieldByNumber(number)) {
    return reflection.HasField(layer, field);
  }
  const UnknownFieldSet& unknown = reflection.GetUnknownFields(layer);
  for (int i = 0; i < unknown.field_count(); ++i) {
    if (unknown.field(i).number() == number) return true;
  }
  return false;
}

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

// The layer with its fields under our numbers, if some have others.
bool RenumberLayer(const string& layer, string* renumbered) {
  string type;
  const bool valid = ForEachField(layer, [&](uint32_t tag, int, int end, int payload) {
    if (tag == BytesTag(LayerParameter::kTypeFieldNumber)) {
      type = layer.substr(payload, end - payload);
    }
  });
  if (!valid) return false;
  bool found = false;
  google::protobuf::io::StringOutputStream stream(renumbered);
  google::protobuf::io::CodedOutputStream out(&stream);
  ForEachField(layer, [&](uint32_t tag, int start, int end, int payload) {
    const int number = WireFormatLite::GetTagFieldNumber(tag);
    const int ours = OurNumber(type, number);
    if (ours == number) {
      out.WriteRaw(layer.data() + start, end - start);
      return;
    }
    found = true;
    if (ours == 0 || tag != BytesTag(number)) return;
    out.WriteTag(BytesTag(ours));
    out.WriteVarint32(static_cast<uint32_t>(end - payload));
    out.WriteRaw(layer.data() + payload, end - payload);
  });
  return found;
}

}  // namespace

bool HasForeignNumbers(const NetParameter& net) {
  for (const LayerParameter& layer : net.layer()) {
    for (const ForeignNumber& row : kForeignNumbers) {
      if (layer.type() == row.type && HasField(layer, row.number)) return true;
    }
  }
  return false;
}

bool RenumberForeignFields(std::string* net_bytes) {
  string kept;
  bool found = false;
  const bool valid =
      ForEachField(*net_bytes, [&](uint32_t tag, int start, int end, int payload) {
        string layer;
        if (tag == BytesTag(NetParameter::kLayerFieldNumber) &&
            RenumberLayer(net_bytes->substr(payload, end - payload), &layer)) {
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
