#include "caffe/util/upgrade_proto.hpp"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_steps.hpp"
#include "util/temporary_folder.hpp"
#include "util/wire.hpp"

namespace caffe {
namespace {

using google::protobuf::util::MessageDifferencer;
using test::MessageOf;
using test::TemporaryFolder;
using test::WriteBytes;
using ::testing::HasSubstr;
namespace wire = test::wire;

template <typename M = NetParameter>
M FromText(const string& text) {
  M message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

NetParameter Upgraded(const string& text) {
  NetParameter net = FromText(text);
  UpgradeNetAsNeeded("f", &net);
  return net;
}

// Collects the warnings and errors that are logged in its scope.
class Log {
 public:
  Log() { logging::SetSink(Take, this); }
  ~Log() { logging::SetSink(nullptr, nullptr); }
  int count() const { return count_; }
  const string& text() const { return text_; }

 private:
  static void Take(logging::LogSeverity severity, const char* line, void* log) {
    if (severity == google::INFO) return;
    static_cast<Log*>(log)->text_ += string(line) + "\n";
    ++static_cast<Log*>(log)->count_;
  }
  string text_;
  int count_ = 0;
};

void ExpectSame(const NetParameter& got, const NetParameter& want) {
  string difference;
  MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&difference);
  EXPECT_TRUE(differencer.Compare(want, got)) << difference;
}

class GoldenNetTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenNetTest, Upgrades) {
  const string base = Str(CAFFE_TEST_DATA, "/proto/", GetParam());
  NetParameter got, want;
  const Log log;
  ReadNetParamsFromTextFileOrDie(base + ".prototxt", &got);
  ReadProtoFromTextFileOrDie(base + "_upgraded.prototxt", &want);
  ExpectSame(got, want);
  EXPECT_EQ(log.text(), "");
  EXPECT_FALSE(NetNeedsUpgrade(got));
  // Upgrading twice changes nothing.
  EXPECT_TRUE(UpgradeNetAsNeeded("f", &got));
  ExpectSame(got, want);
}
INSTANTIATE_TEST_SUITE_P(Nets, GoldenNetTest, ::testing::Values("v0_net", "v1_net"));

TEST(UpgradeV0Test, Types) {
  const std::pair<const char*, const char*> types[] = {
      {"accuracy", "Accuracy"},
      {"bnll", "BNLL"},
      {"concat", "Concat"},
      {"conv", "Convolution"},
      {"data", "Data"},
      {"dropout", "Dropout"},
      {"euclidean_loss", "EuclideanLoss"},
      {"flatten", "Flatten"},
      {"hdf5_data", "HDF5Data"},
      {"hdf5_output", "HDF5Output"},
      {"im2col", "Im2col"},
      {"images", "ImageData"},
      {"infogain_loss", "InfogainLoss"},
      {"innerproduct", "InnerProduct"},
      {"lrn", "LRN"},
      {"multinomial_logistic_loss", "MultinomialLogisticLoss"},
      {"pool", "Pooling"},
      {"relu", "ReLU"},
      {"sigmoid", "Sigmoid"},
      {"softmax", "Softmax"},
      {"softmax_loss", "SoftmaxWithLoss"},
      {"split", "Split"},
      {"tanh", "TanH"},
      {"window_data", "WindowData"}};
  for (const auto& [old_name, new_name] : types) {
    EXPECT_STREQ(UpgradeV1LayerType(UpgradeV0LayerType(old_name)), new_name);
  }
  EXPECT_THAT(
      MessageOf<ValueError>([] { UpgradeV0LayerType("inner_product"); }),
      HasSubstr("unknown layer type 'inner_product' in the V0 format; the closest is "
                "'innerproduct'"));
}

TEST(UpgradeV0Test, FieldsThatMeanNothingAreReported) {
  const Log log;
  NetParameter net =
      FromText("layers { layer { name: 'r' type: 'relu' num_output: 3 } }");
  EXPECT_FALSE(UpgradeNetAsNeeded("f", &net));
  EXPECT_THAT(log.text(),
              HasSubstr("layer 'r' (relu): num_output has no meaning for this type"));
  EXPECT_EQ(net.layer(0).type(), "ReLU");
}

TEST(UpgradeV0Test, PaddingMayOnlyPrecedeConvAndPool) {
  EXPECT_THAT(
      MessageOf<ValueError>([] {
        Upgraded(
            "layers { layer { name: 'p' type: 'padding' pad: 1 } bottom: 'x' top: 'y' }"
            "layers { layer { name: 'r' type: 'relu' } bottom: 'y' top: 'z' }");
      }),
      HasSubstr("layer 'r' (relu): its bottom 'y' comes from a padding layer"));
  EXPECT_THAT(
      MessageOf<ValueError>([] {
        Upgraded(
            "layers { layer { name: 'p' type: 'padding' } bottom: 'x' bottom: 'w' }");
      }),
      HasSubstr("layer 'p' (padding): 2 bottoms and 0 tops"));
}

TEST(UpgradeV1Test, EveryType) {
  const std::pair<const char*, const char*> types[] = {
      {"NONE", ""},
      {"ACCURACY", "Accuracy"},
      {"BNLL", "BNLL"},
      {"CONCAT", "Concat"},
      {"CONVOLUTION", "Convolution"},
      {"DATA", "Data"},
      {"DROPOUT", "Dropout"},
      {"EUCLIDEAN_LOSS", "EuclideanLoss"},
      {"FLATTEN", "Flatten"},
      {"HDF5_DATA", "HDF5Data"},
      {"HDF5_OUTPUT", "HDF5Output"},
      {"IM2COL", "Im2col"},
      {"IMAGE_DATA", "ImageData"},
      {"INFOGAIN_LOSS", "InfogainLoss"},
      {"INNER_PRODUCT", "InnerProduct"},
      {"LRN", "LRN"},
      {"MULTINOMIAL_LOGISTIC_LOSS", "MultinomialLogisticLoss"},
      {"POOLING", "Pooling"},
      {"RELU", "ReLU"},
      {"SIGMOID", "Sigmoid"},
      {"SOFTMAX", "Softmax"},
      {"SOFTMAX_LOSS", "SoftmaxWithLoss"},
      {"SPLIT", "Split"},
      {"TANH", "TanH"},
      {"WINDOW_DATA", "WindowData"},
      {"ELTWISE", "Eltwise"},
      {"POWER", "Power"},
      {"SIGMOID_CROSS_ENTROPY_LOSS", "SigmoidCrossEntropyLoss"},
      {"HINGE_LOSS", "HingeLoss"},
      {"MEMORY_DATA", "MemoryData"},
      {"ARGMAX", "ArgMax"},
      {"THRESHOLD", "Threshold"},
      {"UNPOOLING", "Unpooling"},
      {"BN", "BN"},
      {"IMAGE_SEG_DATA", "ImageSegData"},
      {"DUMMY_DATA", "DummyData"},
      {"SLICE", "Slice"},
      {"MVN", "MVN"},
      {"ABSVAL", "AbsVal"},
      {"SILENCE", "Silence"},
      {"CONTRASTIVE_LOSS", "ContrastiveLoss"},
      {"EXP", "Exp"},
      {"DECONVOLUTION", "Deconvolution"}};
  EXPECT_EQ(
      std::size(types),
      static_cast<std::size_t>(V1LayerParameter::LayerType_descriptor()->value_count()));
  for (const auto& [old_name, new_name] : types) {
    EXPECT_EQ(Upgraded(Str("layers { type: ", old_name, " }")).layer(0).type(), new_name);
  }
}

// Each *_param of V1 exists in LayerParameter with the same content.
TEST(UpgradeV1Test, EveryParameterMessage) {
  const auto* v1 = V1LayerParameter::descriptor();
  int messages = 0;
  for (int i = 0; i < v1->field_count(); ++i) {
    const auto* field = v1->field(i);
    if (field->is_repeated() || field->message_type() == nullptr ||
        field->name() == "layer") {
      continue;
    }
    V1LayerParameter from;
    from.GetReflection()->MutableMessage(&from, field);
    LayerParameter to;
    EXPECT_TRUE(UpgradeV1LayerParameter(from, &to));
    const auto* same = LayerParameter::descriptor()->FindFieldByName(field->name());
    ASSERT_NE(same, nullptr) << field->name();
    EXPECT_TRUE(to.GetReflection()->HasField(to, same)) << field->name();
    ++messages;
  }
  EXPECT_EQ(messages, 32);
}

TEST(UpgradeV1Test, MixedGenerationsAreRefused) {
  EXPECT_THAT(
      MessageOf<ValueError>([] {
        Upgraded("name: 'n' layers { name: 'a' type: RELU } layer { name: 'b' }");
      }),
      HasSubstr("net 'n': has 1 'layers' (the old format) and 1 'layer' (the new one)"));
}

TEST(DataFieldsTest, AreIgnoredLoudlyInNewLayers) {
  TemporaryFolder folder;
  WriteBytes(folder / "f",
             "layer { name: 'd' type: 'Data' data_param { crop_size: 3 } }");
  const Log log;
  NetParameter net;
  ReadNetParamsFromTextFileOrDie(folder / "f", &net);
  EXPECT_FALSE(net.layer(0).has_transform_param());
  EXPECT_THAT(log.text(),
              HasSubstr("layer 'd' (Data): scale, mean_file, crop_size and mirror "
                        "are ignored here; move them to transform_param"));
}

TEST(UpgradeInputTest, Shapes) {
  const NetParameter net = Upgraded(
      "input: 'a' input: 'b' input_shape { dim: 1 dim: 3 } input_shape { dim: 5 }"
      "layer { name: 'r' type: 'ReLU' }");
  ExpectSame(
      net, FromText("layer { name: 'input' type: 'Input' top: 'a' top: 'b' input_param {"
                    "  shape { dim: 1 dim: 3 } shape { dim: 5 } } }"
                    "layer { name: 'r' type: 'ReLU' }"));
}

TEST(UpgradeInputTest, WithoutShapesNothingIsAdded) {
  EXPECT_EQ(Upgraded("input: 'a'").ByteSizeLong(), 0u);
}

TEST(UpgradeInputTest, WrongCounts) {
  EXPECT_THAT(
      MessageOf<ValueError>([] { Upgraded("input: 'a' input_dim: 1 input_dim: 2"); }),
      HasSubstr("2 input_dim for 1 input, expected four for each: N, C, H, W"));
  EXPECT_THAT(MessageOf<ValueError>(
                  [] { Upgraded("input: 'a' input: 'b' input_shape { dim: 1 }"); }),
              HasSubstr("1 input_shape for 2 input, expected one for each"));
  EXPECT_THAT(MessageOf<ValueError>(
                  [] { Upgraded("input: 'a' input_shape { dim: 1 } input_dim: 1"); }),
              HasSubstr("both input_shape and input_dim"));
}

TEST(UpgradeBatchNormTest, ThreeParamsAreStatistics) {
  const string text =
      "layer { name: 'b' type: 'BatchNorm' param { name: 'm' } param { lr_mult: 2 } "
      "param {} }"
      "layer { name: 's' type: 'Scale' param { lr_mult: 2 } }";
  EXPECT_TRUE(NetNeedsUpgrade(FromText(text)));
  const NetParameter net = Upgraded(text);
  ASSERT_EQ(net.layer(0).param_size(), 3);
  for (const ParamSpec& param : net.layer(0).param()) {
    EXPECT_EQ(param.lr_mult(), 0);
    EXPECT_EQ(param.decay_mult(), 0);
  }
  EXPECT_EQ(net.layer(0).param(0).name(), "m");
  EXPECT_EQ(net.layer(1).param(0).lr_mult(), 2);
  EXPECT_FALSE(NetNeedsUpgrade(net));
}

// CuDNNBatchNorm's parameters, as any spelling and number should give them.
void ExpectSknetParameters(const LayerParameter& layer) {
  ASSERT_TRUE(layer.has_cudnn_batch_norm_param());
  EXPECT_FALSE(layer.has_batch_norm_param());
  const CuDNNBatchNormParameter& param = layer.cudnn_batch_norm_param();
  EXPECT_TRUE(param.has_frozen());
  EXPECT_TRUE(param.frozen());
  EXPECT_EQ(param.momentum(), 0.95f);
  EXPECT_EQ(param.eps(), 0.001f);
  EXPECT_EQ(param.scale_filler().value(), 1.5f);
  EXPECT_EQ(param.bias_filler().value(), 0.5f);
}

constexpr char kFields[] =
    " { frozen: true momentum: 0.95 eps: 0.001 scale_filler { type: 'constant' value: "
    "1.5 }"
    " bias_filler { value: 0.5 } }";

TEST(CuDNNBatchNormTest, BothTextSpellings) {
  for (const char* name : {"batch_norm_param", "cudnn_batch_norm_param"}) {
    SCOPED_TRACE(name);
    const Log log;
    const NetParameter net =
        Upgraded(Str("layer { name: 'b' type: 'CuDNNBatchNorm' ", name, kFields, " }"));
    ExpectSknetParameters(net.layer(0));
    EXPECT_FALSE(NetNeedsUpgrade(net));
    EXPECT_EQ(log.text(), "");
  }
}

TEST(CuDNNBatchNormTest, BvlcNamesInText) {
  const NetParameter net = Upgraded(
      "layer { type: 'CuDNNBatchNorm' batch_norm_param { use_global_stats: true"
      " moving_average_fraction: 0.9 } }");
  const CuDNNBatchNormParameter& param = net.layer(0).cudnn_batch_norm_param();
  EXPECT_TRUE(param.frozen());
  EXPECT_EQ(param.momentum(), 0.9f);
  EXPECT_EQ(param.eps(), 1e-5f);
}

TEST(CuDNNBatchNormTest, Defaults) {
  for (const char* name : {"batch_norm_param {}", "cudnn_batch_norm_param {}", ""}) {
    const NetParameter net = Upgraded(Str("layer { type: 'CuDNNBatchNorm' ", name, " }"));
    const CuDNNBatchNormParameter& param = net.layer(0).cudnn_batch_norm_param();
    EXPECT_FALSE(param.frozen());
    EXPECT_EQ(param.momentum(), 0.999f);
    EXPECT_EQ(param.eps(), 1e-5f);
  }
}

TEST(CuDNNBatchNormTest, Field200WinsOver139) {
  const NetParameter net = Upgraded(
      "layer { type: 'CuDNNBatchNorm' batch_norm_param { momentum: 0.5 eps: 0.25 }"
      " cudnn_batch_norm_param { momentum: 0.75 } }");
  const CuDNNBatchNormParameter& param = net.layer(0).cudnn_batch_norm_param();
  EXPECT_EQ(param.momentum(), 0.75f);
  EXPECT_EQ(param.eps(), 0.25f);
}

// The bytes SKNet's release writes.
string SknetBytes() {
  return wire::Number(1, 1) + wire::Float(2, 0.95f) + wire::Float(3, 0.001f) +
         wire::Bytes(4, wire::Bytes(1, "constant") + wire::Float(2, 1.5f)) +
         wire::Bytes(5, wire::Float(2, 0.5f));
}

NetParameter FromWire(const string& bytes) {
  TemporaryFolder folder;
  WriteBytes(folder / "f.caffemodel", bytes);
  NetParameter net;
  ReadNetParamsFromBinaryFileOrDie(folder / "f.caffemodel", &net);
  return net;
}

TEST(CuDNNBatchNormTest, BothBinaryNumbers) {
  for (const int field : {139, 200}) {
    SCOPED_TRACE(field);
    const Log log;
    ExpectSknetParameters(
        FromWire(wire::Layer("b", "CuDNNBatchNorm", wire::Bytes(field, SknetBytes())))
            .layer(0));
    EXPECT_EQ(log.text(), "");
  }
}

TEST(CuDNNBatchNormTest, IsWrittenAsSknetReadsIt) {
  const NetParameter net = Upgraded(
      Str("layer { name: 'b' type: 'CuDNNBatchNorm' batch_norm_param", kFields, " }"));
  EXPECT_EQ(net.SerializeAsString(),
            wire::Layer("b", "CuDNNBatchNorm", wire::Bytes(200, SknetBytes())));
}

TEST(CuDNNBatchNormTest, BvlcBatchNormIsLeftAlone) {
  const string bytes =
      wire::Layer("b", "BatchNorm",
                  wire::Bytes(139, wire::Number(1, 1) + wire::Float(2, 0.9f) +
                                       wire::Float(3, 0.01f)));
  const NetParameter net = FromWire(bytes);
  EXPECT_TRUE(net.layer(0).batch_norm_param().use_global_stats());
  EXPECT_EQ(net.layer(0).batch_norm_param().moving_average_fraction(), 0.9f);
  EXPECT_EQ(net.layer(0).batch_norm_param().eps(), 0.01f);
  EXPECT_EQ(net.SerializeAsString(), bytes);
}

TEST(CuDNNBatchNormTest, ForeignFieldsOf139Survive) {
  // intel keeps numbers in 4 and 5, NVIDIA fillers in 5 and 6 and a bool in 7.
  const string intel = wire::Layer(
      "i", "BatchNorm", wire::Bytes(139, wire::Number(4, 1) + wire::Number(5, 32)));
  const string nvidia =
      wire::Layer("n", "BatchNorm",
                  wire::Bytes(139, wire::Bytes(5, wire::Float(2, 1)) +
                                       wire::Bytes(6, "") + wire::Number(7, 1)));
  EXPECT_EQ(FromWire(intel + nvidia).SerializeAsString(), intel + nvidia);
}

TEST(CuDNNBatchNormTest, AForeign200IsNotMisread) {
  // A bool, a float: as ours, of a layer that has none.
  const string other = wire::Bytes(200, wire::Number(1, 1) + wire::Float(2, 0.5f));
  const Log log;
  const NetParameter net =
      FromWire(wire::Layer("d", "Other", other) + wire::Layer("e", "Other", other) +
               wire::Layer("b", "CuDNNBatchNorm", wire::Bytes(200, SknetBytes())));
  EXPECT_FALSE(net.layer(0).has_cudnn_batch_norm_param());
  EXPECT_FALSE(net.layer(1).has_cudnn_batch_norm_param());
  ExpectSknetParameters(net.layer(2));
  EXPECT_EQ(log.count(), 1) << log.text();
  EXPECT_THAT(log.text(), HasSubstr("layer 'd' (Other) and 1 more: "
                                    "cudnn_batch_norm_param (field 200) ignored"));
}

// Numbers that this schema gives to other fields, or to none.

TEST(ForeignNumbersTest, TheTypeTells) {
  // SSD: 1 a message, 2 a string, 3 an enum.
  const string annotated = wire::Bytes(1, wire::Number(4, 7)) +
                           wire::Bytes(2, "labelmap.prototxt") + wire::Number(3, 0);
  const string blob = wire::Bytes(7, wire::Bytes(5, string(8, '\0')));
  const Log log;
  const NetParameter net =
      FromWire(wire::Layer("d", "AnnotatedData", blob + wire::Bytes(200, annotated)) +
               wire::Layer("b", "CuDNNBatchNorm", wire::Bytes(200, SknetBytes())) +
               wire::Layer("u", "Upsample",
                           wire::Bytes(137, wire::Number(2, 3) + wire::Number(3, 5))) +
               wire::Layer("e", "Embed", wire::Bytes(137, wire::Number(1, 9))) +
               wire::Layer("r", "ROIPooling", wire::Bytes(150, wire::Number(1, 6))) +
               wire::Layer("i", "Interp", wire::Bytes(163, wire::Number(3, 2))) +
               wire::Layer("c", "CenterLoss", wire::Bytes(147, wire::Number(1, 10))) +
               wire::Layer("w", "Swish", wire::Bytes(147, wire::Float(1, 0.5f))));
  ASSERT_EQ(net.layer_size(), 8);
  const LayerParameter& data = net.layer(0);
  EXPECT_FALSE(data.has_cudnn_batch_norm_param());
  EXPECT_EQ(data.annotated_data_param().label_map_file(), "labelmap.prototxt");
  EXPECT_EQ(data.annotated_data_param().batch_sampler(0).max_sample(), 7u);
  EXPECT_TRUE(data.annotated_data_param().has_anno_type());
  EXPECT_EQ(data.blobs(0).data_size(), 2);
  ExpectSknetParameters(net.layer(1));
  EXPECT_EQ(net.layer(2).upsample_param().scale_h(), 3u);
  EXPECT_EQ(net.layer(2).upsample_param().scale_w(), 5u);
  EXPECT_FALSE(net.layer(2).has_embed_param());
  EXPECT_EQ(net.layer(3).embed_param().num_output(), 9u);
  EXPECT_EQ(net.layer(4).roi_pooling_param().pooled_h(), 6u);
  EXPECT_EQ(net.layer(5).interp_param().zoom_factor(), 2);
  EXPECT_EQ(net.layer(6).center_loss_param().num_output(), 10u);
  EXPECT_FALSE(net.layer(6).has_swish_param());
  EXPECT_EQ(net.layer(7).swish_param().beta(), 0.5f);
  EXPECT_EQ(log.count(), 0) << log.text();
}

TEST(ForeignNumbersTest, WhatDoesNotParseAsOurs) {
  // Clip, which has 148 here, needs both of its fields.
  const NetParameter net =
      FromWire(wire::Layer("l", "SmoothL1Loss", wire::Bytes(148, wire::Float(1, 3))));
  EXPECT_EQ(net.layer(0).smooth_l1_loss_param().sigma(), 3);
  EXPECT_FALSE(net.layer(0).has_clip_param());
}

TEST(ForeignNumbersTest, FieldsOfBN) {
  const string one = wire::Bytes(1, wire::Float(2, 1)), half = wire::Float(2, 0.5f);
  const NetParameter net = FromWire(
      wire::Layer("segnet", "BN", wire::Bytes(45, one + wire::Number(3, 1))) +
      wire::Layer("pspnet", "BN",
                  wire::Bytes(137, one + wire::Float(3, 1e-6f) + wire::Number(4, 1) +
                                       wire::Float(5, 0.25f))) +
      wire::Layer("yjxiong", "BN",
                  wire::Bytes(137, one + wire::Bytes(2, half) + wire::Float(3, 0.75f) +
                                       wire::Float(4, 1e-4f) + wire::Number(5, 1) +
                                       wire::Number(6, 2))));
  const BNParameter& segnet = net.layer(0).bn_param();
  EXPECT_EQ(segnet.bn_mode(), BNParameter::INFERENCE);
  EXPECT_EQ(segnet.scale_filler().value(), 1);
  const BNParameter& pspnet = net.layer(1).bn_param();
  EXPECT_EQ(pspnet.scale_filler().value(), 1);
  EXPECT_EQ(pspnet.var_eps(), 1e-6f);
  EXPECT_TRUE(pspnet.moving_average());
  EXPECT_EQ(pspnet.decay(), 0.25f);
  EXPECT_FALSE(pspnet.has_bn_mode() || pspnet.has_slope_filler());
  const BNParameter& yjxiong = net.layer(2).bn_param();
  EXPECT_EQ(yjxiong.slope_filler().value(), 1);
  EXPECT_EQ(yjxiong.bias_filler().value(), 0.5f);
  EXPECT_EQ(yjxiong.momentum(), 0.75f);
  EXPECT_EQ(yjxiong.eps(), 1e-4f);
  EXPECT_TRUE(yjxiong.frozen());
  EXPECT_FALSE(yjxiong.has_scale_filler() || yjxiong.has_axis());
}

TEST(ForeignNumbersTest, EveryPrefixIsHandled) {
  const string bytes =
      wire::Layer("l", "SmoothL1Loss", wire::Bytes(148, wire::Float(1, 3))) +
      wire::Layer("u", "Upsample", wire::Bytes(137, wire::Number(2, 3)));
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    MessageOf<FileError>([&] { FromWire(bytes.substr(0, size)); });
  }
}

TEST(CuDNNBatchNormTest, AForeign200ThatIsNoMessageOfOursLoads) {
  // Field 4 is text here, which does not parse as a filler.
  const string foreign = wire::Bytes(4, "\xff\xff\xff text");
  const string blob = wire::Bytes(7, wire::Bytes(5, string(8, '\0')));
  const string ours = wire::Layer("b", "CuDNNBatchNorm", wire::Bytes(200, SknetBytes()));
  const NetParameter net =
      FromWire(wire::Bytes(1, "net") +
               wire::Layer("x", "Other", blob + wire::Bytes(200, foreign)) + ours);
  EXPECT_EQ(net.SerializeAsString(),
            wire::Bytes(1, "net") + wire::Layer("x", "Other", blob) + ours);
}

TEST(CuDNNBatchNormTest, ABrokenOwn200IsDamage) {
  const string bytes =
      wire::Layer("b", "CuDNNBatchNorm", wire::Bytes(200, wire::Bytes(4, "\xff")));
  EXPECT_THAT(MessageOf<FileError>([&] { FromWire(bytes); }), HasSubstr("is damaged"));
}

TEST(CuDNNBatchNormTest, EveryPrefixOfAForeignFileIsHandled) {
  const string bytes =
      wire::Layer("x", "Other", wire::Bytes(200, wire::Bytes(4, "\xff\xff"))) +
      wire::Layer("y", "Other", wire::Bytes(200, wire::Bytes(4, "\xff\xff")));
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    MessageOf<FileError>([&] { FromWire(bytes.substr(0, size)); });
  }
}

TEST(CuDNNBatchNormTest, ItsNamesOnABatchNormLayerAreRefused) {
  EXPECT_EQ(
      MessageOf<ValueError>([] {
        Upgraded(
            "layer { name: 'b' type: 'BatchNorm' batch_norm_param { momentum: 1 } }");
      }),
      "layer 'b' (BatchNorm): batch_norm_param has 'momentum', which only type "
      "CuDNNBatchNorm knows; use that type, or use_global_stats and "
      "moving_average_fraction");
}

TEST(UpgradeSolverTest, Types) {
  const std::pair<const char*, const char*> types[] = {
      {"SGD", "SGD"},         {"NESTEROV", "Nesterov"}, {"ADAGRAD", "AdaGrad"},
      {"RMSPROP", "RMSProp"}, {"ADADELTA", "AdaDelta"}, {"ADAM", "Adam"}};
  for (const auto& [old_name, new_name] : types) {
    auto solver = FromText<SolverParameter>(Str("solver_type: ", old_name));
    EXPECT_TRUE(SolverNeedsTypeUpgrade(solver));
    EXPECT_TRUE(UpgradeSolverAsNeeded("f", &solver));
    EXPECT_EQ(solver.type(), new_name);
    EXPECT_FALSE(SolverNeedsTypeUpgrade(solver));
  }
  auto both = FromText<SolverParameter>("solver_type: SGD type: 'Adam'");
  EXPECT_THAT(MessageOf<ValueError>([&] { UpgradeSolverAsNeeded("f", &both); }),
              HasSubstr("both solver_type (the old enum) and type"));
}

TEST(UpgradeSolverTest, InlineNets) {
  const char* old = "{ layers { name: 'a' type: RELU } }";
  TemporaryFolder folder;
  WriteBytes(folder / "s.prototxt",
             Str("net_param ", old, " train_net_param ", old, " test_net_param ", old));
  SolverParameter solver;
  ReadSolverParamsFromTextFileOrDie(folder / "s.prototxt", &solver);
  EXPECT_EQ(solver.net_param().layer(0).type(), "ReLU");
  EXPECT_EQ(solver.train_net_param().layer(0).type(), "ReLU");
  EXPECT_EQ(solver.test_net_param(0).layer(0).type(), "ReLU");
}

TEST(UpgradeSolverTest, SnapshotPrefix) {
  TemporaryFolder folder;
  const string file = folder / "my_solver.prototxt";
  const auto prefix = [&](const string& text) {
    WriteBytes(file, text);
    SolverParameter solver;
    ReadSolverParamsFromTextFileOrDie(file, &solver);
    return solver.snapshot_prefix();
  };
  EXPECT_EQ(prefix("base_lr: 1"), folder / "my_solver");
  EXPECT_EQ(prefix(Str("snapshot_prefix: '", folder.path(), "'")), folder / "my_solver");
  EXPECT_EQ(prefix("snapshot_prefix: 'models/x'"), "models/x");
  EXPECT_EQ(prefix("snapshot_prefix: 'to/be/made/'"), "to/be/made/my_solver");
}

TEST(ForkUpgradeTest, CeilModeBecomesRoundMode) {
  const NetParameter got = Upgraded(
      "layer { type: 'Pooling' pooling_param { ceil_mode: false kernel_size: 3 } }"
      "layer { type: 'Pooling' pooling_param { ceil_mode: true round_mode: CEIL } }"
      "layer { type: 'Pooling' pooling_param { stride: 2 } }");
  ExpectSame(got, FromText("layer { type: 'Pooling' "
                           "  pooling_param { round_mode: FLOOR kernel_size: 3 } }"
                           "layer { type: 'Pooling' pooling_param { round_mode: CEIL } }"
                           "layer { type: 'Pooling' pooling_param { stride: 2 } }"));
  EXPECT_FALSE(NetNeedsUpgrade(got));
  // In the format of 2014 as well.
  EXPECT_EQ(Upgraded("layers { type: POOLING pooling_param { ceil_mode: false } }")
                .layer(0)
                .pooling_param()
                .round_mode(),
            PoolingParameter_RoundMode_FLOOR);
  EXPECT_THAT(MessageOf<ValueError>([] {
                Upgraded(
                    "layer { name: 'p' pooling_param { ceil_mode: false "
                    "round_mode: CEIL } }");
              }),
              HasSubstr("layer 'p': ceil_mode and round_mode say the opposite"));
}

TEST(ForkUpgradeTest, RawBlobsOfNvidiaBecomeData) {
  NetParameter net = FromText(
      "layer { name: 'a' blobs { shape { dim: 2 } raw_data_type: FLOAT "
      "  raw_data: '\\000\\000\\200\\077\\000\\000\\000\\300' } "
      "blobs { raw_data_type: DOUBLE raw_data: "
      "'\\000\\000\\000\\000\\000\\000\\004\\100' "
      "  raw_diff_type: FLOAT raw_diff: '\\000\\000\\200\\277' } "
      // 1, -2, 65504, 2^-24, infinity, in 16 bits.
      "blobs { raw_data_type: FLOAT16 raw_data: "
      "  '\\000\\074\\000\\300\\377\\173\\001\\000\\000\\174' } }");
  EXPECT_TRUE(NetNeedsUpgrade(net));
  UpgradeNetAsNeeded("f", &net);
  ExpectSame(net,
             FromText("layer { name: 'a' blobs { shape { dim: 2 } data: 1 data: -2 } "
                      "blobs { double_data: 2.5 diff: -1 } "
                      "blobs { data: 1 data: -2 data: 65504 data: 5.9604645e-8 "
                      "data: inf } }"));
  NetParameter damaged =
      FromText("layer { name: 'a' blobs { raw_data_type: FLOAT raw_data: '12345' } }");
  EXPECT_THAT(MessageOf<ValueError>([&] { UpgradeNetAsNeeded("f", &damaged); }),
              HasSubstr("layer 'a': 5 raw bytes, expected a multiple of 4"));
}

NetParameter Split(const string& text) {
  NetParameter net = FromText(text);
  SplitScaledBatchNorms(&net);
  return net;
}

TEST(ForkUpgradeTest, ABatchNormWithScaleIsSplit) {
  ExpectSame(
      Split("layer { name: 'n' type: 'BatchNorm' bottom: 'x' top: 'y' phase: TRAIN "
            "  include { phase: TRAIN } loss_weight: 2 propagate_down: true "
            "  param { lr_mult: 5 } param { } param { } "
            "  param { lr_mult: 3 } param { decay_mult: 0 name: 'b' } "
            "  batch_norm_param { scale_bias: true eps: 1e-7 use_global_stats: false "
            "    moving_average_fraction: 0.5 scale_filler { value: 2 } } } "
            "layer { name: 'r' type: 'ReLU' bottom: 'y' top: 'y' }"),
      FromText("layer { name: 'n' type: 'BatchNorm' bottom: 'x' top: 'y' phase: TRAIN "
               "  include { phase: TRAIN } propagate_down: true "
               "  param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 } "
               "  param { lr_mult: 0 decay_mult: 0 } "
               "  batch_norm_param { eps: 1e-5 moving_average_fraction: 0.5 } } "
               "layer { name: 'n/scale' type: 'Scale' bottom: 'y' top: 'y' phase: TRAIN "
               "  include { phase: TRAIN } loss_weight: 2 "
               "  param { lr_mult: 3 } param { decay_mult: 0 name: 'b' } "
               "  scale_param { bias_term: true filler { value: 2 } } } "
               "layer { name: 'r' type: 'ReLU' bottom: 'y' top: 'y' }"));
  // intel's words, its eps as it is.
  ExpectSame(Split("layer { name: 'n' type: 'BatchNorm' bottom: 'x' top: 'x' "
                   "  batch_norm_param { use_weight_bias: true bias_term: false "
                   "    eps: 1e-7 use_global_stats: false filler { value: 2 } } }"),
             FromText("layer { name: 'n' type: 'BatchNorm' bottom: 'x' top: 'x' "
                      "  batch_norm_param { eps: 1e-7 use_global_stats: false } } "
                      "layer { name: 'n/scale' type: 'Scale' bottom: 'x' top: 'x' "
                      "  scale_param { bias_term: false filler { value: 2 } } }"));
  const string plain =
      "layer { name: 'n' type: 'BatchNorm' bottom: 'x' top: 'x' batch_norm_param { "
      "eps: 1 scale_bias: false } }";
  ExpectSame(Split(plain), FromText(plain));
  EXPECT_THAT(MessageOf<ValueError>([] {
                Split(
                    "layer { name: 'n' type: 'BatchNorm' bottom: 'x' top: 'x' "
                    "batch_norm_param { scale_bias: true } } layer { name: 'n/scale' }");
              }),
              HasSubstr("would become layer 'n/scale', which the net has already"));
}

// The four layouts of the same numbers that circulate.
TEST(ForkUpgradeTest, StoredBatchNormsAreSplitByTheirLayout) {
  const string mean = "blobs { data: 1 data: 2 }", variance = "blobs { data: 3 data: 4 }",
               scale = "blobs { data: 5 data: 6 }", bias = "blobs { data: 7 data: 8 }",
               one = "blobs { data: 1 }", half = "blobs { data: 0.5 }";
  const auto factor = [](const string& value) {
    return "blobs { shape { dim: 1 } data: " + value + " }";
  };
  struct Row {
    string stored, norm, affine;
  };
  const Row rows[] = {
      {mean + variance + one + scale + bias, mean + variance + one, scale + bias},
      {mean + variance + half + scale + bias, mean + variance + half, scale + bias},
      {mean + variance + "blobs { data: 0 }" + scale + bias,
       mean + variance + factor("1"), scale + bias},
      {mean + variance + one + scale, mean + variance + one, scale},
      {scale + bias + mean + variance + half, mean + variance + half, scale + bias},
      {scale + bias + mean + variance, mean + variance + factor("1"), scale + bias},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.stored);
    const auto named = [](const string& name, const string& type, const string& blobs) {
      return "layer { name: '" + name + "' type: '" + type + "' " + blobs + " }";
    };
    NetParameter weights = FromText(named("n", "BatchNorm", row.stored));
    SplitStoredBatchNorms(
        "w",
        [](const string& name) -> std::pair<string, int> {
          if (name == "n") return {"BatchNorm", 3};
          if (name == "n/scale") return {"Scale", 2};
          return {};
        },
        &weights);
    ExpectSame(weights, FromText(named("n", "BatchNorm", row.norm) +
                                 named("n/scale", "Scale", row.affine)));
  }
}

}  // namespace
}  // namespace caffe
