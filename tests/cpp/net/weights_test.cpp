#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/util/hdf5.hpp"
#include "caffe/util/io.hpp"
#include "captured_log.hpp"
#include "fill.hpp"
#include "net/net_fixture.hpp"
#include "util/temporary_folder.hpp"

// Weights of a Net: to and from messages and files, and shared between nets.

namespace caffe {
namespace {

using test::Half;
using test::InputLayer;
using test::IpLayer;
using test::LossLayer;
using test::MakeNet;
using test::MessageOf;
using test::TemporaryFolder;
using test::Values;
using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

// Layer names as in SKNet: one is the beginning of another, with a slash.
const std::string kNames = InputLayer("x", {3, 4}) + IpLayer("conv2_1", "x", 5) +
                           IpLayer("conv2_1/3x3", "conv2_1", 6) +
                           IpLayer("conv2_1/3x3/bn", "conv2_1/3x3", 2);

template <typename T>
std::vector<std::vector<double>> Weights(const Net<T>& net, Half half = Half::kData) {
  std::vector<std::vector<double>> all;
  for (const auto& blob : net.params()) all.push_back(Values(*blob, half));
  return all;
}

template <typename T>
class NetWeightsTest : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(NetWeightsTest, Types);

/// Two ways to carry weights through a file.
enum class Format { kBinary, kHdf5 };
constexpr Format kFormats[] = {Format::kBinary, Format::kHdf5};

template <typename T>
std::string Save(const Net<T>& net, Format format, const TemporaryFolder& folder,
                 bool write_diff = false) {
  if (format == Format::kHdf5) {
    const std::string path = folder / "net.caffemodel.h5";
    net.ToHDF5(path, write_diff);
    return path;
  }
  const std::string path = folder / "net.caffemodel";
  NetParameter param;
  net.ToProto(&param, write_diff);
  WriteProtoToBinaryFile(param, path);
  return path;
}

TYPED_TEST(NetWeightsTest, RoundTripIsExact) {
  for (const Format format : kFormats) {
    TemporaryFolder folder;
    const auto from = MakeNet<TypeParam>(kNames, TRAIN, 1),
               to = MakeNet<TypeParam>(kNames, TEST, 2);
    ASSERT_NE(Weights(*from), Weights(*to));
    to->CopyTrainedLayersFrom(Save(*from, format, folder));
    EXPECT_EQ(Weights(*from), Weights(*to));
    EXPECT_EQ(to->params()[0]->diff()->head(), SyncedMemory::UNINITIALIZED);
  }
}

TYPED_TEST(NetWeightsTest, DiffsGoAlongWhenAskedFor) {
  const auto from = MakeNet<TypeParam>(kNames), to = MakeNet<TypeParam>(kNames);
  for (const auto& blob : from->params()) test::FillDiff(blob.get(), 3);
  NetParameter param;
  from->ToProto(&param, true);
  to->CopyTrainedLayersFrom(param);
  EXPECT_EQ(Weights(*to, Half::kDiff), Weights(*from, Half::kDiff));

  TemporaryFolder folder;
  const Hdf5File file = Hdf5File::Open(Save(*from, Format::kHdf5, folder, true));
  Blob<TypeParam> diff;
  hdf5_load_nd_dataset(file.id(), "diff/conv2_1/3x3/1", 0, kMaxBlobAxes, &diff, true);
  EXPECT_EQ(Values(diff),
            Values(*from->layer_by_name("conv2_1/3x3")->blobs()[1], Half::kDiff));
}

TYPED_TEST(NetWeightsTest, ToProtoKeepsTheDescription) {
  const auto net = MakeNet<TypeParam>("name: 'small' " + kNames);
  NetParameter param;
  param.set_name("cleared");
  net->ToProto(&param);
  EXPECT_EQ(param.name(), "small");
  ASSERT_EQ(param.layer_size(), 4);
  EXPECT_EQ(param.layer(2).type(), "InnerProduct");
  EXPECT_EQ(param.layer(2).inner_product_param().num_output(), 6u);
  EXPECT_EQ(param.layer(2).blobs_size(), 2);
  EXPECT_EQ(
      param.layer(2).blobs(0).diff_size() + param.layer(2).blobs(0).double_diff_size(),
      0);
  // With its weights inside, it describes a net that has them.
  EXPECT_EQ(Weights(Net<TypeParam>(param)), Weights(*net));
}

// Training from another net's layers: what has its name is taken, the rest kept.
TEST(NetCopyTest, NamesDecide) {
  const auto from = MakeNet<double>(kNames, TRAIN, 1);
  const std::string text =
      InputLayer("x", {3, 4}) + IpLayer("conv2_1", "x", 5) + IpLayer("new", "conv2_1", 7);
  for (const Format format : kFormats) {
    TemporaryFolder folder;
    const std::string path = Save(*from, format, folder);
    const auto to = MakeNet<double>(text, TRAIN, 2);
    const auto before = Weights(*to);
    test::CapturedLog log;
    to->CopyTrainedLayersFrom(path);
    const auto after = Weights(*to);
    EXPECT_EQ(after[0], Weights(*from)[0]);
    EXPECT_EQ(after[1], Weights(*from)[1]);
    EXPECT_EQ(after[2], before[2]);
    EXPECT_EQ(after[3], before[3]);
    if (format == Format::kBinary) {
      EXPECT_THAT(log.Texts("Ignoring source layer conv2_1/3x3/bn").size(), 1u);
      EXPECT_THAT(log.Texts("keep their own"), Each(HasSubstr("'new'")));
    }
  }
}

// The last layer does not fit, the first does; neither may change.
void ExpectRefused(const std::string& text, const std::vector<std::string>& parts) {
  const auto from = MakeNet<double>(kNames, TRAIN, 1);
  for (const Format format : kFormats) {
    SCOPED_TRACE(format == Format::kHdf5 ? "HDF5" : "binary");
    TemporaryFolder folder;
    const std::string path = Save(*from, format, folder);
    const auto to = MakeNet<double>(
        InputLayer("x", {3, 4}) + IpLayer("conv2_1", "x", 5) + text, TRAIN, 2);
    const auto before = Weights(*to);
    const std::string message =
        MessageOf<Error>([&] { to->CopyTrainedLayersFrom(path); });
    EXPECT_THAT(message, HasSubstr(path));
    for (const std::string& part : parts) EXPECT_THAT(message, HasSubstr(part));
    EXPECT_EQ(Weights(*to), before);
  }
}

TEST(NetCopyTest, AWrongShapeIsRefused) {
  ExpectRefused(IpLayer("conv2_1/3x3", "conv2_1", 7),
                {"conv2_1/3x3", "(6, 5)", "(7, 5)"});
}

TEST(NetCopyTest, AWrongBlobCountIsRefused) {
  const std::string one_blob =
      "layer { name: 'conv2_1/3x3' type: 'InnerProduct' bottom: 'conv2_1' top: 'y'"
      " inner_product_param { num_output: 6 bias_term: false } }";
  ExpectRefused(one_blob, {"conv2_1/3x3", "1"});
  const std::string four_blobs =
      "layer { name: 'r' type: 'Reshape' bottom: 'conv2_1' top: 'r' reshape_param {"
      " shape { dim: 3 dim: 5 dim: 1 dim: 1 } } }"
      "layer { name: 'conv2_1/3x3' type: 'CuDNNBatchNorm' bottom: 'r' top: 'y' }";
  ExpectRefused(four_blobs, {"conv2_1/3x3"});
}

TEST(NetCopyTest, ErrorsSayWhatToDo) {
  const auto from = MakeNet<double>(InputLayer("x", {3, 4}) + IpLayer("fc", "x", 1000));
  const auto to = MakeNet<double>(InputLayer("x", {3, 4}) + IpLayer("fc", "x", 10));
  NetParameter param;
  from->ToProto(&param);
  EXPECT_THAT(MessageOf<ValueError>([&] { to->CopyTrainedLayersFrom(param); }),
              AllOf(HasSubstr("layer 'fc' (InnerProduct): weight blob 0"),
                    HasSubstr("(1000, 4)"), HasSubstr("(10, 4)"), HasSubstr("rename")));
  param.mutable_layer(1)->mutable_blobs()->RemoveLast();
  EXPECT_THAT(MessageOf<ValueError>([&] { to->CopyTrainedLayersFrom(param); }),
              AllOf(HasSubstr("layer 'fc' (InnerProduct)"), HasSubstr("1 weight blob"),
                    HasSubstr("expected 2"), HasSubstr("rename")));
}

// The shape fits but values are missing: the file is damaged.
TEST(NetCopyTest, MissingValuesAreRefused) {
  const auto from = MakeNet<double>(kNames, TRAIN, 1),
             to = MakeNet<double>(kNames, TRAIN, 2);
  const auto before = Weights(*to);
  NetParameter param;
  from->ToProto(&param, true);
  BlobProto* last = param.mutable_layer(3)->mutable_blobs(1);
  last->mutable_double_diff()->RemoveLast();
  EXPECT_THAT(MessageOf<ValueError>([&] { to->CopyTrainedLayersFrom(param); }),
              AllOf(HasSubstr("'conv2_1/3x3/bn'"), HasSubstr("weight blob 1"),
                    HasSubstr("1 diff values, expected 2"), HasSubstr("damaged")));
  last->clear_double_diff();
  last->mutable_double_data()->RemoveLast();
  EXPECT_THAT(MessageOf<ValueError>([&] { to->CopyTrainedLayersFrom(param); }),
              HasSubstr("1 data values, expected 2"));
  EXPECT_EQ(Weights(*to), before);
}

TEST(NetCopyTest, LegacyShapesFit) {
  const auto to = MakeNet<double>(InputLayer("x", {1, 2}) + IpLayer("fc", "x", 1));
  NetParameter param;
  LayerParameter* layer = param.add_layer();
  layer->set_name("fc");
  for (const int count : {2, 1}) {
    BlobProto* blob = layer->add_blobs();
    blob->set_num(1);
    blob->set_channels(1);
    blob->set_height(1);
    blob->set_width(count);
    for (int i = 0; i < count; ++i) blob->add_data(i + 0.5f);
  }
  to->CopyTrainedLayersFrom(param);
  EXPECT_EQ(Values(*to->params()[0]), (std::vector<double>{0.5, 1.5}));
  EXPECT_EQ(to->params()[0]->shape(), (std::vector<int>{1, 2}));
}

TEST(NetCopyTest, MissingAndDamagedFilesAreNamed) {
  TemporaryFolder folder;
  const auto from = MakeNet<double>(kNames, TRAIN, 1),
             to = MakeNet<double>(kNames, TRAIN, 2);
  const auto before = Weights(*to);
  testing::internal::CaptureStderr();
  const std::string missing = folder / "none.caffemodel";
  EXPECT_THAT(MessageOf<FileError>([&] { to->CopyTrainedLayersFrom(missing); }),
              HasSubstr("none.caffemodel"));
  for (const Format format : kFormats) {
    const std::string path = Save(*from, format, folder);
    const std::string bytes = test::ReadBytes(path);
    for (const size_t kept : {bytes.size() - 1, bytes.size() / 2, size_t{20}}) {
      test::WriteBytes(path, bytes.substr(0, kept));
      EXPECT_THAT(MessageOf<Error>([&] { to->CopyTrainedLayersFrom(path); }),
                  HasSubstr(path))
          << kept << " bytes of " << bytes.size();
    }
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::Not(HasSubstr("HDF5-DIAG")))
      << "one sentence, no library's stack";
  EXPECT_EQ(Weights(*to), before);
}

TEST(NetCopyTest, SharedParametersStaySharedAndAreStoredOnce) {
  const std::string shared = "param { name: 'w' } param { name: 'b' }";
  const std::string text = InputLayer("x", {3, 4}) + IpLayer("first", "x", 4, shared) +
                           IpLayer("second", "first", 4, shared);
  const auto from = MakeNet<double>(text, TRAIN, 1);
  for (const Format format : kFormats) {
    TemporaryFolder folder;
    const auto to = MakeNet<double>(text, TRAIN, 2);
    const std::string path = Save(*from, format, folder);
    to->CopyTrainedLayersFrom(path);
    EXPECT_EQ(Weights(*from), Weights(*to));
    EXPECT_EQ(to->params()[0]->data(), to->params()[2]->data());
    if (format == Format::kHdf5) {
      const Hdf5File file = Hdf5File::Open(path);
      EXPECT_TRUE(hdf5_has_link(file.id(), "data/first/0"));
      EXPECT_FALSE(hdf5_has_link(file.id(), "data/second/0"));
    }
  }
}

TEST(NetShareTest, SharingUsesTheOtherNetsMemory) {
  const auto train = MakeNet<double>(kNames, TRAIN, 1),
             test = MakeNet<double>(kNames, TEST, 2);
  test->ShareTrainedLayersWith(train.get());
  for (size_t i = 0; i < train->params().size(); ++i) {
    EXPECT_EQ(test->params()[i]->data(), train->params()[i]->data());
  }
  test::Fill(train->params()[0].get(), 9);
  EXPECT_EQ(Weights(*test), Weights(*train));
}

TEST(NetShareTest, OtherShapesAreRefused) {
  const auto one = MakeNet<double>(InputLayer("x", {3, 4}) + IpLayer("fc", "x", 5));
  const auto other = MakeNet<double>(InputLayer("x", {3, 4}) + IpLayer("fc", "x", 6));
  EXPECT_THAT(MessageOf<ValueError>([&] { one->ShareTrainedLayersWith(other.get()); }),
              AllOf(HasSubstr("'fc'"), HasSubstr("(6, 4)"), HasSubstr("(5, 4)")));
}

}  // namespace
}  // namespace caffe
