#include "caffe/proto/check_numbers.hpp"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>
#include <vector>

#include "caffe/error.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Refusal(const Message& message) {
  try {
    CheckNumbers(message, "the message");
  } catch (const ValueError& error) {
    return error.what();
  }
  return "";
}

template <typename T>
T FromText(const std::string& text) {
  T message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

// Sets every float and double field of `message` and of those within it to `value` in
// turn, and sees to it that the root message is refused by that field's name.
class Sweep {
 public:
  Sweep(Message* root, double value) : root_(*root), value_(value) { Visit(root, ""); }
  int fields() const { return fields_; }

 private:
  void Visit(Message* message, const std::string& path) {
    const Descriptor& type = *message->GetDescriptor();
    if (!open_.insert(&type).second) return;  // messages may hold their own kind
    const auto& reflection = *message->GetReflection();
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      const bool many = field.is_repeated();
      const std::string name = path + std::string(field.name()) + (many ? "[0]" : "");
      switch (field.cpp_type()) {
        case FieldDescriptor::CPPTYPE_FLOAT:
          many ? reflection.AddFloat(message, &field, static_cast<float>(value_))
               : reflection.SetFloat(message, &field, static_cast<float>(value_));
          break;
        case FieldDescriptor::CPPTYPE_DOUBLE:
          many ? reflection.AddDouble(message, &field, value_)
               : reflection.SetDouble(message, &field, value_);
          break;
        case FieldDescriptor::CPPTYPE_MESSAGE: {
          const std::string inner(field.message_type()->name());
          if (inner != "BlobProto" && inner != "NetParameter") {
            Visit(many ? reflection.AddMessage(message, &field)
                       : reflection.MutableMessage(message, &field),
                  name + ".");
          }
          reflection.ClearField(message, &field);
          continue;
        }
        default:
          continue;
      }
      ++fields_;
      EXPECT_THAT(Refusal(root_), StartsWith("the message: " + name + " is "));
      reflection.ClearField(message, &field);
    }
    open_.erase(&type);
  }

  const Message& root_;
  const double value_;
  std::set<const Descriptor*> open_;
  int fields_ = 0;
};

TEST(CheckNumbersTest, NoFieldMayBeNanOrInfinite) {
  for (const double value :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity()}) {
    SolverParameter solver;
    EXPECT_GE(Sweep(&solver, value).fields(), 10);
    LayerParameter layer;
    EXPECT_GE(Sweep(&layer, value).fields(), 60);
  }
}

TEST(CheckNumbersTest, StoredBlobsAndNetsWithinAreNotLookedAt) {
  EXPECT_EQ(Refusal(FromText<LayerParameter>("blobs { data: nan diff: inf }")), "");
  EXPECT_EQ(Refusal(FromText<SolverParameter>(
                "net_param { layer { lrn_param { alpha: nan } } }")),
            "");
}

TEST(CheckNumbersTest, NonsenseOfASolverIsRefused) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"base_lr: -0.1", "base_lr is -0.1, expected at least 0"},
      {"base_lr: nan", "base_lr is nan, expected at least 0"},
      {"base_lr: inf", "base_lr is inf, expected a finite number"},
      {"momentum: 2", "momentum is 2, expected at least 0 and below 1"},
      {"momentum: 1", "momentum is 1, expected at least 0 and below 1"},
      {"momentum: -0.5", "momentum is -0.5"},
      {"momentum2: 1", "momentum2 is 1"},
      {"rms_decay: 1", "rms_decay is 1"},
      {"weight_decay: -1", "weight_decay is -1"},
      {"warmup_start_lr: -1", "warmup_start_lr is -1"},
      {"warmup_iter: -1", "warmup_iter is -1"},
      {"delta: -1", "delta is -1"},
      {"gamma: inf", "gamma is inf"},
      {"power: nan", "power is nan"},
      {"clip_gradients: nan", "clip_gradients is nan"},
      {"iter_size: 0", "iter_size is 0, expected at least 1"},
      {"average_loss: 0", "average_loss is 0"},
      {"max_iter: -1", "max_iter is -1"},
      {"display: -1", "display is -1"},
      {"snapshot: -1", "snapshot is -1"},
      {"test_interval: -1", "test_interval is -1"},
      {"test_iter: 4 test_iter: -1", "test_iter[1] is -1"},
      {"stepvalue: -1", "stepvalue[0] is -1"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(Refusal(FromText<SolverParameter>(c.text)), HasSubstr(c.message))
        << c.text;
  }
}

TEST(CheckNumbersTest, NonsenseOfALayerIsRefusedWhenItIsMade) {
  const struct {
    const char* type;
    const char* text;
    const char* message;
  } cases[] = {
      {"BatchNorm", "batch_norm_param { eps: -1 }", "batch_norm_param.eps is -1"},
      {"BatchNorm", "batch_norm_param { moving_average_fraction: 1.5 }",
       "batch_norm_param.moving_average_fraction is 1.5, expected at least 0 and at most "
       "1"},
      {"CuDNNBatchNorm", "batch_norm_param { momentum: 2 }",
       "batch_norm_param.momentum is 2"},
      {"CuDNNBatchNorm", "cudnn_batch_norm_param { eps: -1 }",
       "cudnn_batch_norm_param.eps is -1"},
      {"CuDNNBatchNorm", "cudnn_batch_norm_param { momentum: -1 }",
       "cudnn_batch_norm_param.momentum is -1"},
      {"Dropout", "dropout_param { dropout_ratio: 1 }",
       "layer 'l' (Dropout): dropout_param.dropout_ratio is 1, expected at least 0 and "
       "below 1"},
      {"LRN", "lrn_param { alpha: -1 }", "lrn_param.alpha is -1"},
      {"LRN", "lrn_param { k: -1 }", "lrn_param.k is -1"},
      // Read by other layers, too, and plugins may.
      {"Power", "mvn_param { eps: -1 }", "mvn_param.eps is -1"},
      {"Power", "contrastive_loss_param { margin: -1 }", "margin is -1"},
      {"SoftmaxWithLoss", "loss_param { label_smoothing: 1 }", "label_smoothing is 1"},
      {"SoftmaxWithLoss", "loss_weight: nan", "loss_weight[0] is nan"},
      {"Convolution", "param { lr_mult: inf }", "param[0].lr_mult is inf"},
      {"Convolution", "param { decay_mult: 1 } param { decay_mult: -1 }",
       "param[1].decay_mult is -1"},
      {"Convolution", "convolution_param { weight_filler { std: -1 } }",
       "convolution_param.weight_filler.std is -1"},
      {"Data", "transform_param { mean_value: 1 mean_value: nan }",
       "transform_param.mean_value[1] is nan"},
      {"ELU", "elu_param { alpha: nan }", "elu_param.alpha is nan"},
      {"Power", "power_param { scale: inf }", "power_param.scale is inf"},
      {"ReLU", "relu_param { negative_slope: nan }", "negative_slope is nan"},
  };
  for (const auto& c : cases) {
    auto param = FromText<LayerParameter>(c.text);
    param.set_name("l");
    param.set_type(c.type);
    std::string message;
    try {
      LayerRegistry<float>::CreateLayer(param);
    } catch (const ValueError& error) {
      message = error.what();
    }
    EXPECT_THAT(message, HasSubstr(c.message)) << c.text;
  }
}

TEST(CheckNumbersTest, UnusualNumbersThatMakeSenseAreTaken) {
  for (const char* text :
       {"base_lr: 0", "momentum: 0", "clip_gradients: -1", "clip_gradients: 0",
        "gamma: -0.25", "power: -1", "weight_decay: 0", "stepvalue: 0"}) {
    EXPECT_EQ(Refusal(FromText<SolverParameter>(text)), "") << text;
  }
  for (const char* text :
       {"param { lr_mult: -1 }", "loss_weight: -1", "batch_norm_param { eps: 0 }",
        "batch_norm_param { moving_average_fraction: 1 }", "lrn_param { beta: -1 }",
        "threshold_param { threshold: -5 }", "eltwise_param { coeff: -1 }"}) {
    EXPECT_EQ(Refusal(FromText<LayerParameter>(text)), "") << text;
  }
}

}  // namespace
}  // namespace caffe
