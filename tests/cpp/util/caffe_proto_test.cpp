// The schema against BVLC Caffe 1.0: every message, field, number, type and default of
// its caffe.proto, listed in tests/data/proto/bvlc_fields.csv.

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;

struct Row {
  string owner, name, label, type, default_value;
  int number;
};

std::vector<Row> BvlcFields() {
  std::ifstream in(CAFFE_TEST_DATA "/proto/bvlc_fields.csv");
  std::vector<Row> rows;
  string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::istringstream cells(line);
    Row row;
    string number;
    std::getline(cells, row.owner, ',');
    std::getline(cells, row.name, ',');
    std::getline(cells, number, ',');
    std::getline(cells, row.label, ',');
    std::getline(cells, row.type, ',');
    std::getline(cells, row.default_value);
    row.number = std::stoi(number);
    rows.push_back(row);
  }
  return rows;
}

string TypeName(const FieldDescriptor& field) {
  const string prefix = "caffe.";
  if (field.message_type() != nullptr) {
    return field.message_type()->full_name().substr(prefix.size());
  }
  if (field.enum_type() != nullptr)
    return field.enum_type()->full_name().substr(prefix.size());
  return field.type_name();
}

string Label(const FieldDescriptor& field) {
  if (field.is_required()) return "required";
  if (!field.is_repeated()) return "optional";
  return field.is_packed() ? "packed" : "repeated";
}

string Default(const FieldDescriptor& field) {
  if (!field.has_default_value()) return "";
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return field.default_value_enum()->name();
    case FieldDescriptor::CPPTYPE_STRING:
      return field.default_value_string();
    case FieldDescriptor::CPPTYPE_BOOL:
      return field.default_value_bool() ? "true" : "false";
    case FieldDescriptor::CPPTYPE_FLOAT:
      return Str(field.default_value_float());
    case FieldDescriptor::CPPTYPE_INT32:
      return Str(field.default_value_int32());
    case FieldDescriptor::CPPTYPE_UINT32:
      return Str(field.default_value_uint32());
    case FieldDescriptor::CPPTYPE_INT64:
      return Str(field.default_value_int64());
    default:
      return "?";
  }
}

TEST(CaffeProtoTest, HasEverythingOfBvlcUnderTheSameNumbers) {
  const DescriptorPool* pool = NetParameter::descriptor()->file()->pool();
  const std::vector<Row> rows = BvlcFields();
  ASSERT_EQ(rows.size(), 534u);
  for (const Row& row : rows) {
    SCOPED_TRACE(row.owner + "." + row.name);
    if (row.label == "value") {
      const auto* type = pool->FindEnumTypeByName("caffe." + row.owner);
      ASSERT_NE(type, nullptr);
      const EnumValueDescriptor* value = type->FindValueByName(row.name);
      ASSERT_NE(value, nullptr);
      EXPECT_EQ(value->number(), row.number);
      continue;
    }
    const Descriptor* owner = pool->FindMessageTypeByName("caffe." + row.owner);
    ASSERT_NE(owner, nullptr);
    const FieldDescriptor* field = owner->FindFieldByName(row.name);
    ASSERT_NE(field, nullptr);
    EXPECT_EQ(field->number(), row.number);
    EXPECT_EQ(TypeName(*field), row.type);
    EXPECT_EQ(Label(*field), row.label);
    EXPECT_EQ(Default(*field), row.default_value);
  }
}

// Numbers that other forks may use stay free: additions are far above them all.
TEST(CaffeProtoTest, AdditionsAreOutOfTheWay) {
  std::set<string> bvlc;
  std::set<string> messages;
  for (const Row& row : BvlcFields()) {
    bvlc.insert(row.owner + "." + row.name);
    messages.insert(row.owner);
  }
  // SKNet's batch norm, NVIDIA's stored values and fields of forks' layers, whose numbers
  // are given.
  const std::set<string> given = {"LayerParameter.cudnn_batch_norm_param",
                                  "BatchNormParameter.scale_filler",
                                  "BatchNormParameter.bias_filler",
                                  "BlobProto.raw_data_type",
                                  "BlobProto.raw_diff_type",
                                  "BlobProto.raw_data",
                                  "BlobProto.raw_diff",
                                  "ImageDataParameter.ignore_label",
                                  "ImageDataParameter.label_type",
                                  "LayerParameter.bn_param",
                                  "LayerParameter.detection_evaluate_param",
                                  "LayerParameter.detection_output_param",
                                  "LayerParameter.multibox_loss_param",
                                  "LayerParameter.norm_param",
                                  "LayerParameter.permute_param",
                                  "LayerParameter.prior_box_param",
                                  "LayerParameter.shuffle_channel_param",
                                  "TransformationParameter.crop_h",
                                  "TransformationParameter.crop_w",
                                  "TransformationParameter.distort_param",
                                  "TransformationParameter.emit_constraint",
                                  "TransformationParameter.expand_param",
                                  "TransformationParameter.resize_param",
                                  "V1LayerParameter.bn_param",
                                  "V1LayerParameter.unpooling_param"};
  const auto* file = NetParameter::descriptor()->file();
  for (int i = 0; i < file->message_type_count(); ++i) {
    const Descriptor* message = file->message_type(i);
    if (messages.count(message->name()) == 0) continue;  // all ours
    for (int j = 0; j < message->field_count(); ++j) {
      const string name = message->name() + "." + message->field(j)->name();
      if (bvlc.count(name) == 0 && given.count(name) == 0) {
        EXPECT_GE(message->field(j)->number(), 10000) << name;
      }
    }
  }
}

}  // namespace
}  // namespace caffe
