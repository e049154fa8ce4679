#include "caffe/util/io.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "caffe/util/input_file.hpp"
#include "util/temporary_folder.hpp"
#include "util/wire.hpp"

namespace caffe {
namespace {

using test::MessageOf;
using test::ReadBytes;
using test::TemporaryFolder;
using test::WriteBytes;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
namespace wire = test::wire;

// The error of parsing `text` as `M` under the name "f".
template <typename M = NetParameter>
std::string TextError(const std::string& text) {
  M message;
  return MessageOf<ValueError>([&] { ParseProtoTextOrDie(text, "f", &message); });
}

TEST(TextProtoTest, ReadsWhatIsWritten) {
  TemporaryFolder folder;
  WriteBytes(folder / "net.prototxt",
             "# a comment\nname: 'n'\nlayer { name: \"a\" type: \"ReLU\" bottom: 'x'\n"
             "  relu_param < negative_slope: .5 > }");
  NetParameter net, again;
  ReadProtoFromTextFileOrDie(folder / "net.prototxt", &net);
  EXPECT_EQ(net.name(), "n");
  ASSERT_EQ(net.layer_size(), 1);
  EXPECT_EQ(net.layer(0).relu_param().negative_slope(), 0.5f);
  WriteProtoToTextFile(net, folder / "again.prototxt");
  EXPECT_TRUE(ReadProtoFromTextFile(folder / "again.prototxt", &again));
  EXPECT_EQ(again.SerializeAsString(), net.SerializeAsString());
}

TEST(TextProtoTest, TakesAByteOrderMarkAndWindowsLines) {
  TemporaryFolder folder;
  WriteBytes(folder / "f", "\xef\xbb\xbfname: 'n'\r\nforce_backward: true\r\n");
  NetParameter net;
  ReadProtoFromTextFileOrDie(folder / "f", &net);
  EXPECT_EQ(net.name(), "n");
  EXPECT_TRUE(net.force_backward());
}

TEST(TextProtoTest, AByteOrderMarkDoesNotMatterInMemoryEither) {
  NetParameter net;
  ParseProtoTextOrDie("\xef\xbb\xbfname: 'n'", "f", &net);
  EXPECT_EQ(net.name(), "n");
}

TEST(TextProtoTest, AByteZeroIsNamedWithItsPlace) {
  using namespace std::string_literals;
  EXPECT_EQ(TextError("name: 'n'\nlayer {\n  name: 'a\0b' }"s).substr(0, 45),
            "f:3:11: a byte 0 (NUL), which text does not h"s);
  EXPECT_THAT(TextError("\n\0name: 'n'"s), StartsWith("f:2:1: a byte 0"));
  EXPECT_THAT(TextError("#" + std::string(2000, 'x') + "\n\0"s),
              StartsWith("f:2:1: a byte 0"));
  EXPECT_THAT(TextError("\xff\xfen\0a\0m\0e\0"s), HasSubstr("UTF-16, expected UTF-8"));
  EXPECT_THAT(TextError("\xfe\xff\0n\0a\0m\0e"s), HasSubstr("UTF-16, expected UTF-8"));
  EXPECT_THAT(TextError(std::string(100, '\0')), HasSubstr("'f' is a binary file"));
  EXPECT_THAT(TextError("\x89HDF\r\n\x1a\n\0\0"s), HasSubstr("'f' is an HDF5 file"));
}

TEST(TextProtoTest, NamesAreUtf8AndPathsAreNot) {
  EXPECT_THAT(TextError("layer { name: 'a' }\nlayer { name: 'caf\xe9' }"),
              StartsWith("'f': layer[1].name 'caf\\xe9' is not UTF-8"));
  EXPECT_THAT(TextError("layer { bottom: 'a' bottom: '\\377' }"),
              HasSubstr("layer[0].bottom[1] '\\xff'"));
  EXPECT_THAT(TextError("layer { param { name: '\xe4\xbd' } }"),
              HasSubstr("layer[0].param[0].name"));
  EXPECT_THAT(TextError("layers { top: '\xed\xa0\x80' }"), HasSubstr("layers[0].top[0]"));
  EXPECT_THAT(TextError<SolverParameter>("net_param { name: '\xc0\x80' }"),
              HasSubstr("net_param.name"));
  NetParameter net;
  ParseProtoTextOrDie(
      "# caf\xe9\nlayer { name: 'caf\xc3\xa9 \xe4\xbd\xa0 \xf0\x9f\x98\x80' data_param { "
      "source: 'caf\xe9' } }",
      "f", &net);
  EXPECT_EQ(net.layer(0).data_param().source(), "caf\xe9");
}

TEST(TextProtoTest, SettingsOfForksThatChangeNoResultAreIgnored) {
  NetParameter net;
  ParseProtoTextOrDie(
      "default_forward_type: FLOAT16 eltwise_mem_sharing: true engine: 'MKLDNN'\n"
      "layer { name: 'a' type: 'BatchNorm' forward_type: FLOAT backward_math: FLOAT16\n"
      "  batch_norm_param { engine: CUDNN eps: 0.5 stats_batch_size: 0 relu: false } }\n"
      "layer { name: 'b' type: 'Convolution' convolution_param { engine: MKLDNN\n"
      "  conv_algos_override: '1,1,1' hole: 1 num_output: 2 } }",
      "f", &net);
  EXPECT_EQ(net.layer(0).batch_norm_param().eps(), 0.5f);
  EXPECT_EQ(net.layer(1).convolution_param().num_output(), 2u);
  SolverParameter solver;
  ParseProtoTextOrDie(
      "larc: false larc_eta: 0.1 momentum_policy: \"fixed\" min_lr: 0. rampup_interval: "
      "0\n"
      "solver_data_type: FLOAT16 base_lr: 2",
      "f", &solver);
  EXPECT_EQ(solver.base_lr(), 2);
}

TEST(TextProtoTest, ManyIgnoredSettingsTakeNoLonger) {
  std::string text;
  for (int i = 0; i < 200000; ++i) text += "larc: false\nlarc_eta: 1\n";
  SolverParameter solver;
  ParseProtoTextOrDie(text + "base_lr: 2", "f", &solver);  // minutes if quadratic
  EXPECT_EQ(solver.base_lr(), 2);
}

TEST(TextProtoTest, SettingsOfForksThatWouldChangeResultsAreRefused) {
  EXPECT_EQ(TextError<SolverParameter>("base_lr: 1\nlarc: true"),
            "f:2:1: 'larc: true' is a setting of NVIDIA's Caffe, which this version does "
            "not have; leave it out");
  EXPECT_THAT(TextError<SolverParameter>("momentum_policy: 'poly'"),
              HasSubstr("'momentum_policy: poly' is a setting of NVIDIA's"));
  EXPECT_THAT(TextError("layer { name: 'c' convolution_param { hole: 2 } }"),
              HasSubstr("f:1:39: layer 'c': 'hole: 2' is a setting of DeepLab's Caffe, "
                        "which this version does not have; write it as dilation"));
  EXPECT_THAT(TextError("layer { batch_norm_param { relu: true } }"),
              HasSubstr("write a ReLU layer behind this one"));
  EXPECT_THAT(
      TextError("layer { name: 'p' type: 'VideoData' video_data_param { } }"),
      AllOf(HasSubstr("layer 'p': 'video_data_param' is of a layer of SSD's Caffe"),
            HasSubstr("caffe build-plugin")));
  // Of two errors the first is named.
  EXPECT_THAT(TextError("larcc: 1\nlayer { name: 7 }"), StartsWith("f:1:1: "));
  EXPECT_THAT(TextError("engine: 'x'\nlayer { name: 7 }"), StartsWith("f:2:15: "));
}

TEST(TextProtoTest, UnknownFieldNamesTheClosest) {
  EXPECT_EQ(
      TextError("layer {\n  name: 'conv1'\n  convolution_param {\n    num_outputs: 3\n"
                "  }\n}"),
      "f:4:5: layer 'conv1': ConvolutionParameter has no field 'num_outputs'; the "
      "closest is 'num_output'");
  EXPECT_EQ(TextError("nmae: 'x'"),
            "f:1:1: NetParameter has no field 'nmae'; the closest is 'name'");
}

TEST(TextProtoTest, FindsTheLayerWhenItsNameStandsBehindTheError) {
  EXPECT_EQ(
      TextError("layer { name: 'a' }\nlayer { typo: 'X' param { name: 'w' } name: 'b' }"),
      "f:2:9: layer 'b': LayerParameter has no field 'typo'; the closest is 'type'");
}

TEST(TextProtoTest, UnknownEnumValueNamesTheClosest) {
  EXPECT_EQ(TextError("layer { name: 'p' pooling_param {\n  pool: MEAN } }"),
            "f:2:9: layer 'p': pool cannot be 'MEAN'; it is one of MAX, AVE, STOCHASTIC");
  EXPECT_EQ(
      TextError("layer { name: 'p' pooling_param {\n  pool: MAXX } }"),
      "f:2:9: layer 'p': pool cannot be 'MAXX'; the closest is MAX, out of MAX, AVE, "
      "STOCHASTIC");
  // The error is where the value stands, not where the next word does.
  EXPECT_THAT(TextError("layer { pooling_param {\n  pool: MEAN\n\n } }"),
              StartsWith("f:2:9: "));
  // Two messages have an `operation`; the right one's values are listed.
  EXPECT_THAT(TextError("layer { eltwise_param { operation: PRDO } }"),
              HasSubstr("the closest is PROD, out of PROD, SUM, MAX"));
  EXPECT_THAT(TextError("layer { reduction_param { operation: MAEN } }"),
              HasSubstr("the closest is MEAN, out of SUM, ASUM, SUMSQ, MEAN"));
  EXPECT_THAT(TextError<SolverParameter>("solver_mode: CUP"),
              HasSubstr("the closest is CPU"));
}

TEST(TextProtoTest, MissingBraceNamesTheBlock) {
  EXPECT_EQ(
      TextError("name: 'n'\n\nlayer {\n  name: 'a'\n# the end\n"),
      "f:6:1: layer 'a': the file ends inside 'layer', which was opened in line 3; a "
      "closing brace is missing");
}

TEST(TextProtoTest, OtherErrorsSayWhere) {
  EXPECT_THAT(TextError("layer {\n\tname: 7 }"), StartsWith("f:2:15: "));
  EXPECT_EQ(TextError("name: 'a'\nname: 'b'"),
            "f:2:1: 'name' is given twice; it may stand once in NetParameter");
  EXPECT_THAT(TextError("layer { convolution_param { num_output: -1 } }"),
              StartsWith("f:1:41: "));
  EXPECT_THAT(TextError("name: 'unfinished\n"), StartsWith("f:1:"));
  EXPECT_THAT(TextError("}"), StartsWith("f:1:1: "));
  EXPECT_THAT(TextError("layer { name: 'c' clip_param { min: 0 } }"), HasSubstr("max"));
}

TEST(TextProtoTest, TellsOldLayersFromNewOnes) {
  EXPECT_THAT(
      TextError("layer { name: 'c' type: CONVOLUTION }"),
      HasSubstr("layer 'c': Expected string, got: CONVOLUTION; the type of a 'layer' is "
                "a quoted string"));
  EXPECT_THAT(TextError("layers { name: 'c' type: \"Convolution\" }"),
              HasSubstr("write 'layer' for 'layers'"));
}

TEST(TextProtoTest, BinaryFilesAreNamed) {
  EXPECT_THAT(TextError(wire::Bytes(1, "net") + wire::Layer("a", "ReLU", "") + '\0'),
              HasSubstr("'f' is a caffemodel (weights), expected text"));
  EXPECT_THAT(TextError(std::string("\x89HDF\r\n\x1a\n\0", 9)),
              HasSubstr("'f' is an HDF5 file"));
}

TEST(TextProtoTest, FormsWithAndWithoutExceptions) {
  TemporaryFolder folder;
  NetParameter net;
  WriteBytes(folder / "bad", "layer: 3");
  EXPECT_FALSE(ReadProtoFromTextFile(folder / "bad", &net));
  EXPECT_THAT(
      MessageOf<ValueError>([&] { ReadProtoFromTextFileOrDie(folder / "bad", &net); }),
      StartsWith((folder / "bad") + ":1:"));
  EXPECT_THAT(
      MessageOf<FileError>([&] { ReadProtoFromTextFile("no/such.prototxt", &net); }),
      HasSubstr("cannot read 'no/such.prototxt': No such file or directory in '"));
  EXPECT_THAT(MessageOf<FileError>([&] { ReadProtoFromTextFile(folder.path(), &net); }),
              HasSubstr("Is a directory"));
}

// Whatever stands in the file, reading ends with a message or a result.
TEST(TextProtoTest, EveryPrefixAndEveryByteIsHandled) {
  const std::string text =
      "name: \"n\" # c\nlayer { name: 'a' type: 'Pooling' pooling_param { pool: AVE } "
      "include { phase: TEST stage: ['x', 'y'] } loss_weight: [1, 2.5e0] }\n"
      "layers < name: 'b' type: RELU blobs_lr: 1 >";
  NetParameter net;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    TextError(text.substr(0, i));
    for (const char c : {'\0', '{', '}', '<', '[', ':', '"', '\n', '\xff'}) {
      std::string changed = text;
      if (i < text.size()) changed[i] = c;
      TextError(changed);
    }
  }
  TextError(std::string(1 << 20, '{'));
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "layer{";
  TextError(deep);
}

NetParameter SmallNet() {
  NetParameter net;
  net.set_name("net");
  for (int i = 0; i < 3; ++i) {
    LayerParameter* layer = net.add_layer();
    layer->set_name(Str("layer", i));
    layer->set_type("InnerProduct");
    for (int k = 0; k < 20; ++k) layer->add_blobs()->add_data(0.1f * k);
  }
  return net;
}

TEST(BinaryProtoTest, ReadsWhatIsWritten) {
  TemporaryFolder folder;
  const NetParameter net = SmallNet();
  WriteProtoToBinaryFile(net, folder / "f.caffemodel");
  EXPECT_EQ(ReadBytes(folder / "f.caffemodel"), net.SerializeAsString());
  NetParameter again;
  again.set_force_backward(true);  // what was there before is gone
  EXPECT_TRUE(ReadProtoFromBinaryFile(folder / "f.caffemodel", &again));
  EXPECT_EQ(again.SerializeAsString(), net.SerializeAsString());
  EXPECT_EQ(folder.NumFiles(), 1);
}

TEST(BinaryProtoTest, EveryPrefixParsesOrIsRefused) {
  TemporaryFolder folder;
  const std::string bytes = SmallNet().SerializeAsString();
  int parsed = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    WriteBytes(folder / "f", bytes.substr(0, size));
    NetParameter net;
    const std::string message =
        MessageOf<FileError>([&] { ReadProtoFromBinaryFileOrDie(folder / "f", &net); });
    if (message.empty()) {
      ++parsed;  // the cut fell between two layers
    } else if (size > 0) {
      EXPECT_THAT(message, HasSubstr(Str("(", size, " bytes) is truncated"))) << size;
    }
  }
  EXPECT_EQ(parsed, 3);  // behind the name, the first layer and the second
}

TEST(BinaryProtoTest, TruncationNamesTheMissingBytes) {
  TemporaryFolder folder;
  const std::string layer =
      wire::Layer("a", "ReLU", wire::Bytes(7, std::string(50, 'x')));
  WriteBytes(folder / "f", wire::Bytes(1, "net") + layer.substr(0, 20));
  NetParameter net;
  EXPECT_EQ(
      MessageOf<FileError>([&] { ReadProtoFromBinaryFileOrDie(folder / "f", &net); }),
      Str("'", folder / "f", "' (25 bytes) is truncated: the record at byte 5 needs ",
          layer.size() - 3, " bytes, the file has 17 more; copy or download it again"));
  EXPECT_FALSE(ReadProtoFromBinaryFile(folder / "f", &net));
}

TEST(BinaryProtoTest, EveryByteFlipIsHandled) {
  TemporaryFolder folder;
  const std::string bytes = SmallNet().SerializeAsString();
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    for (const int bit : {0x01, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ bit);
      WriteBytes(folder / "f", damaged);
      NetParameter net;
      MessageOf<FileError>([&] { ReadProtoFromBinaryFileOrDie(folder / "f", &net); });
    }
  }
}

TEST(BinaryProtoTest, DeepNestingIsRefused) {
  TemporaryFolder folder;
  // Start-group tags of field 60000, which no message has.
  std::string deep;
  for (int i = 0; i < 200000; ++i) deep += wire::Varint(60000u << 3 | 3);
  WriteBytes(folder / "f", deep);
  NetParameter net;
  EXPECT_FALSE(ReadProtoFromBinaryFile(folder / "f", &net));
}

TEST(BinaryProtoTest, HugeLengthsAllocateNothing) {
  TemporaryFolder folder;
  // A blob whose packed data claims 2 GB - 1, inside layers that claim as much.
  const std::string claim = wire::Varint(0x7fffffff);
  WriteBytes(folder / "f", wire::Varint(100 << 3 | 2) + claim + wire::Varint(7 << 3 | 2) +
                               claim + wire::Varint(5 << 3 | 2) + claim + "1234");
  NetParameter net;
  EXPECT_THAT(
      MessageOf<FileError>([&] { ReadProtoFromBinaryFileOrDie(folder / "f", &net); }),
      HasSubstr("needs 2147483647 bytes"));
}

TEST(BinaryProtoTest, OtherKindsAreNamed) {
  TemporaryFolder folder;
  const std::string path = folder / "f";
  const auto error = [&](const std::string& bytes, Message* message) {
    WriteBytes(path, bytes);
    return MessageOf<FileError>([&] { ReadProtoFromBinaryFileOrDie(path, message); });
  };
  NetParameter net;
  SolverState state;
  BlobProto blob;
  const std::string weights = wire::Bytes(1, "net") + wire::Layer("a", "ReLU", "");
  const std::string solverstate =
      wire::Number(1, 300) + wire::Bytes(2, "x_iter_300.caffemodel");
  const std::string old_mean = wire::Number(1, 1) + wire::Number(2, 3);
  const std::string new_mean = wire::Bytes(5, std::string(8, '\0'));
  EXPECT_THAT(error(weights, &state),
              HasSubstr("is a caffemodel (weights), expected a solverstate"));
  EXPECT_THAT(error(wire::Layer("a", "ReLU", ""), &state), HasSubstr("is a caffemodel"));
  EXPECT_THAT(error(solverstate, &net),
              HasSubstr("is a solverstate, expected a caffemodel (weights)"));
  EXPECT_THAT(error(old_mean, &net), HasSubstr("is a binaryproto array"));
  EXPECT_THAT(error(new_mean, &state), HasSubstr("is a binaryproto array"));
  EXPECT_THAT(error(weights, &blob), HasSubstr("expected a binaryproto array"));
  EXPECT_THAT(error("layer { name: 'a' }\n", &net),
              HasSubstr("is a prototxt or other text, expected a caffemodel"));
  EXPECT_THAT(error("\x89HDF\r\n\x1a\n....", &net), HasSubstr("is an HDF5 file"));
  EXPECT_THAT(error("\xff\xd8\xff\xe0", &blob), HasSubstr("is an image"));
  EXPECT_THAT(error("", &net), HasSubstr("is empty"));
  EXPECT_EQ(error(solverstate, &state), "");
  EXPECT_EQ(error(weights, &net), "");
  EXPECT_EQ(error(old_mean, &blob), "");
  EXPECT_EQ(error(new_mean, &blob), "");
}

TEST(BinaryProtoTest, MissingFiles) {
  NetParameter net;
  EXPECT_THAT(MessageOf<FileError>([&] { ReadProtoFromBinaryFile("/no/such", &net); }),
              HasSubstr("cannot read '/no/such': No such file or directory"));
}

TEST(BinaryProtoTest, AFailedWriteKeepsTheOldFile) {
  TemporaryFolder folder;
  EXPECT_THAT(
      MessageOf<FileError>([&] { WriteProtoToBinaryFile(SmallNet(), "/dev/full"); }),
      HasSubstr("cannot write '/dev/full': No space left on device"));
  WriteProtoToBinaryFile(SmallNet(), folder / "f");
  const std::string before = ReadBytes(folder / "f");
  NetParameter incomplete;
  incomplete.add_layer()->mutable_clip_param()->set_min(0);
  EXPECT_THAT(
      MessageOf<ValueError>([&] { WriteProtoToBinaryFile(incomplete, folder / "f"); }),
      HasSubstr("layer[0].clip_param.max"));
  EXPECT_EQ(ReadBytes(folder / "f"), before);
  EXPECT_EQ(folder.NumFiles(), 1);
}

TEST(TemporaryFileTest, NamesAreNewAndUsable) {
  std::string a, b;
  MakeTempFilename(&a);
  MakeTempFilename(&b);
  EXPECT_NE(a, b);
  WriteBytes(a, "x");
  EXPECT_EQ(ReadBytes(a), "x");
  std::remove(a.c_str());
}

}  // namespace
}  // namespace caffe
