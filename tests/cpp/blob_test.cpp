#include "caffe/blob.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>
#include <string>
#include <vector>

#include "fill.hpp"
#include "tolerance.hpp"
#include "util/temporary_folder.hpp"

namespace caffe {
namespace {

using test::ExpectClose;
using test::Half;
using test::MessageOf;
using test::OpKind;
using test::ToleranceOf;
using test::Values;
using testing::AllOf;
using testing::HasSubstr;

template <typename T>
class BlobTest : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(BlobTest, Types);

TYPED_TEST(BlobTest, StartsWithoutShape) {
  Blob<TypeParam> blob;
  EXPECT_EQ(blob.num_axes(), 0);
  EXPECT_EQ(blob.count(), 0);
  EXPECT_EQ(blob.asum_data(), TypeParam(0));
  EXPECT_EQ(blob.sumsq_diff(), TypeParam(0));
  EXPECT_THROW(blob.cpu_data(), ValueError);
  EXPECT_THROW(blob.mutable_cpu_diff(), ValueError);
}

TYPED_TEST(BlobTest, ShapeAndLegacyAccessors) {
  Blob<TypeParam> blob(2, 3, 4, 5);
  EXPECT_EQ(blob.shape(), (std::vector<int>{2, 3, 4, 5}));
  EXPECT_EQ(blob.shape_string(), "2 3 4 5 (120)");
  EXPECT_EQ(ShapeText(blob.shape()), "(2, 3, 4, 5)");
  EXPECT_EQ(ShapeText({7}), "(7,)");
  EXPECT_EQ(ShapeText({}), "()");
  EXPECT_EQ(blob.num(), 2);
  EXPECT_EQ(blob.channels(), 3);
  EXPECT_EQ(blob.height(), 4);
  EXPECT_EQ(blob.width(), 5);
  EXPECT_EQ(blob.shape(-1), 5);
  EXPECT_EQ(blob.shape(-4), 2);
  EXPECT_EQ(blob.CanonicalAxisIndex(-2), 2);
  EXPECT_EQ(blob.count(1), 60);
  EXPECT_EQ(blob.count(1, 3), 12);
  EXPECT_EQ(blob.count(4), 1);
  EXPECT_EQ(blob.count(2, 2), 1);
  EXPECT_EQ(MessageOf<ValueError>([&] { blob.shape(4); }),
            "axis 4 of shape (2, 3, 4, 5), expected -4 to 3");
  EXPECT_EQ(MessageOf<ValueError>([&] { blob.shape(-5); }),
            "axis -5 of shape (2, 3, 4, 5), expected -4 to 3");
  EXPECT_EQ(MessageOf<ValueError>([] { Blob<TypeParam>(std::vector<int>{}).shape(0); }),
            "axis 0 of shape (), expected none: it has no axes");
  EXPECT_THROW(blob.count(3, 2), ValueError);
  EXPECT_THROW(blob.count(0, 5), ValueError);

  blob.Reshape({6, 7});
  EXPECT_EQ(blob.num(), 6);
  EXPECT_EQ(blob.height(), 1);
  EXPECT_EQ(blob.LegacyShape(-1), 7);
  EXPECT_EQ(blob.LegacyShape(-4), 1);
  blob.Reshape({1, 2, 3, 4, 5});
  EXPECT_THROW(blob.num(), ValueError);
}

TYPED_TEST(BlobTest, AScalarHasOneElement) {
  Blob<TypeParam> blob{std::vector<int>()};
  EXPECT_EQ(blob.count(), 1);
  EXPECT_EQ(blob.shape_string(), "(1)");
  blob.mutable_cpu_data()[0] = 3;
  EXPECT_EQ(blob.asum_data(), TypeParam(3));
}

TYPED_TEST(BlobTest, OffsetsAreRowMajor) {
  Blob<TypeParam> blob(2, 3, 4, 5);
  EXPECT_EQ(blob.offset(1, 2, 3, 4), ((1 * 3 + 2) * 4 + 3) * 5 + 4);
  EXPECT_EQ(blob.offset(1), 60);
  EXPECT_EQ(blob.offset({1, 2}), 100);
  EXPECT_EQ(blob.offset({0, 2, 1, 3}), 48);
  EXPECT_THROW(blob.offset(3), ValueError);
  EXPECT_THROW(blob.offset({0, 3}), ValueError);
  EXPECT_THROW(blob.offset({0, -1}), ValueError);
  EXPECT_THROW(blob.offset({0, 0, 0, 0, 0}), ValueError);
  test::Fill(&blob, 1);
  test::FillDiff(&blob, 2);
  EXPECT_EQ(blob.data_at(1, 0, 2, 3), blob.cpu_data()[73]);
  EXPECT_EQ(blob.diff_at({1, 0, 2, 3}), blob.cpu_diff()[73]);
}

TYPED_TEST(BlobTest, ReshapeKeepsMemoryThatSuffices) {
  Blob<TypeParam> blob(2, 3, 4, 5);
  test::Fill(&blob, 1);
  const auto data = blob.data();
  const auto before = Values(blob);
  blob.Reshape({5, 4, 3});
  EXPECT_EQ(blob.data(), data);
  EXPECT_EQ(Values(blob), std::vector<double>(before.begin(), before.begin() + 60));
  blob.Reshape({120});
  EXPECT_EQ(blob.data(), data);
  EXPECT_EQ(Values(blob), before);
  blob.Reshape({121});
  EXPECT_NE(blob.data(), data);
  EXPECT_EQ(blob.cpu_data()[120], TypeParam(0));

  Blob<TypeParam> other;
  other.ReshapeLike(blob);
  EXPECT_EQ(other.shape(), blob.shape());
}

TYPED_TEST(BlobTest, NoElementsAreAllowed) {
  Blob<TypeParam> blob({4, 0, 3});
  EXPECT_EQ(blob.count(), 0);
  EXPECT_NE(blob.cpu_data(), nullptr);
  EXPECT_EQ(blob.asum_data(), TypeParam(0));
  blob.Reshape({4, 2, 3});
  EXPECT_EQ(blob.count(), 24);
  blob.mutable_cpu_data()[23] = 1;
}

TYPED_TEST(BlobTest, ImpossibleShapesAreRefusedAndChangeNothing) {
  Blob<TypeParam> blob({2, 3});
  test::Fill(&blob, 1);
  const auto before = Values(blob);
  EXPECT_THAT(MessageOf<ValueError>([&] { blob.Reshape({2, -1}); }),
              AllOf(HasSubstr("(2, -1)"), HasSubstr("negative")));
  EXPECT_THAT(MessageOf<ValueError>([&] { blob.Reshape({65536, 32768}); }),
              AllOf(HasSubstr("(65536, 32768)"), HasSubstr("2147483647")));
  EXPECT_THROW(blob.Reshape({INT_MAX, INT_MAX, INT_MAX, INT_MAX}), ValueError);
  EXPECT_THROW(blob.Reshape(std::vector<int>(kMaxBlobAxes + 1, 1)), ValueError);
  BlobShape shape;
  shape.add_dim(2);
  shape.add_dim(int64_t{1} << 40);
  EXPECT_THAT(MessageOf<ValueError>([&] { blob.Reshape(shape); }),
              AllOf(HasSubstr("axis 1"), HasSubstr("1099511627776")));
  EXPECT_EQ(blob.shape(), (std::vector<int>{2, 3}));
  EXPECT_EQ(Values(blob), before);
  blob.Reshape(std::vector<int>(kMaxBlobAxes, 1));
  EXPECT_EQ(blob.count(), 1);
}

TYPED_TEST(BlobTest, SumsScalingAndUpdate) {
  Blob<TypeParam> blob({7, 11});
  test::Fill(&blob, 1);
  test::FillDiff(&blob, 2);
  const auto data = Values(blob), diff = Values(blob, Half::kDiff);
  double asum = 0, sumsq = 0, asum_diff = 0, sumsq_diff = 0;
  for (size_t i = 0; i < data.size(); ++i) {
    asum += std::fabs(data[i]);
    sumsq += data[i] * data[i];
    asum_diff += std::fabs(diff[i]);
    sumsq_diff += diff[i] * diff[i];
  }
  ExpectClose({blob.asum_data(), blob.sumsq_data(), blob.asum_diff(), blob.sumsq_diff()},
              {asum, sumsq, asum_diff, sumsq_diff},
              ToleranceOf<TypeParam>(OpKind::kReduction, blob.count()), "sums");

  blob.Update();
  auto want = data;
  for (size_t i = 0; i < want.size(); ++i) want[i] -= diff[i];
  const auto elementwise = ToleranceOf<TypeParam>(OpKind::kElementwise);
  ExpectClose(Values(blob), want, elementwise, "data - diff");
  EXPECT_EQ(Values(blob, Half::kDiff), diff);

  blob.scale_data(TypeParam(-2));
  blob.scale_diff(TypeParam(0.5));
  auto want_diff = diff;
  for (size_t i = 0; i < want.size(); ++i) {
    want[i] *= -2;
    want_diff[i] *= 0.5;
  }
  ExpectClose(Values(blob), want, elementwise, "-2 data");
  ExpectClose(Values(blob, Half::kDiff), want_diff, elementwise, "diff / 2");
}

// Logs and clipping ask every blob; asking must not allocate.
TYPED_TEST(BlobTest, SumsAndScalingOfUnwrittenHalvesAllocateNothing) {
  Blob<TypeParam> blob({7, 11});
  EXPECT_EQ(blob.asum_data(), TypeParam(0));
  EXPECT_EQ(blob.sumsq_diff(), TypeParam(0));
  blob.scale_diff(3);
  EXPECT_EQ(blob.data()->allocated_bytes() + blob.diff()->allocated_bytes(), 0u);
}

TYPED_TEST(BlobTest, SharingMakesOneMemoryOfTwo) {
  Blob<TypeParam> owner({2, 6}), guest({3, 4}), other({13});
  test::Fill(&owner, 1);
  guest.ShareData(owner);
  EXPECT_EQ(guest.cpu_data(), owner.cpu_data());
  guest.mutable_cpu_data()[5] = 42;
  EXPECT_EQ(owner.cpu_data()[5], TypeParam(42));
  EXPECT_NE(guest.cpu_diff(), owner.cpu_diff());
  guest.ShareDiff(owner);
  EXPECT_EQ(guest.cpu_diff(), owner.cpu_diff());
  EXPECT_THROW(other.ShareData(owner), ValueError);
  EXPECT_THROW(other.ShareDiff(owner), ValueError);
}

TYPED_TEST(BlobTest, CopyFrom) {
  Blob<TypeParam> source({2, 6}), target({2, 6}), other({3, 4});
  test::Fill(&source, 1);
  test::FillDiff(&source, 2);
  test::FillDiff(&target, 3);
  const auto kept = Values(target, Half::kDiff);
  target.CopyFrom(source);
  EXPECT_EQ(Values(target), Values(source));
  EXPECT_EQ(Values(target, Half::kDiff), kept);
  target.CopyFrom(source, true);
  EXPECT_EQ(Values(target, Half::kDiff), Values(source, Half::kDiff));
  EXPECT_THAT(MessageOf<ValueError>([&] { other.CopyFrom(source); }),
              AllOf(HasSubstr("(2, 6)"), HasSubstr("(3, 4)")));
  other.CopyFrom(source, false, true);
  EXPECT_EQ(other.shape(), source.shape());
  EXPECT_EQ(Values(other), Values(source));
}

TYPED_TEST(BlobTest, SetCpuDataUsesTheCallersBuffer) {
  Blob<TypeParam> blob({2, 3});
  std::vector<TypeParam> buffer = {1, 2, 3, 4, 5, 6};
  blob.set_cpu_data(buffer.data());
  EXPECT_EQ(blob.cpu_data(), buffer.data());
  EXPECT_EQ(blob.asum_data(), TypeParam(21));
  blob.scale_data(2);
  EXPECT_EQ(buffer[5], TypeParam(12));
  EXPECT_THROW(blob.set_cpu_data(nullptr), ValueError);

  // The buffer ends at count(); a smaller shape does not let a later one pass it.
  Blob<TypeParam> large({100});
  large.Reshape({6});
  large.set_cpu_data(buffer.data());
  EXPECT_EQ(large.data()->size(), buffer.size() * sizeof(TypeParam));
  large.Reshape({7});
  EXPECT_NE(large.cpu_data(), buffer.data());
}

TYPED_TEST(BlobTest, ProtoRoundTripIsExact) {
  Blob<TypeParam> blob({2, 3, 4});
  test::Fill(&blob, 1);
  test::FillDiff(&blob, 2);
  for (bool write_diff : {false, true}) {
    BlobProto proto;
    proto.set_num(9);  // cleared
    blob.ToProto(&proto, write_diff);
    EXPECT_FALSE(proto.has_num());
    BlobProto parsed;
    ASSERT_TRUE(parsed.ParseFromString(proto.SerializeAsString()));
    Blob<TypeParam> read;
    read.FromProto(parsed);
    EXPECT_EQ(read.shape(), blob.shape());
    EXPECT_EQ(Values(read), Values(blob));
    if (write_diff) {
      EXPECT_EQ(Values(read, Half::kDiff), Values(blob, Half::kDiff));
    } else {
      EXPECT_EQ(read.diff()->head(), SyncedMemory::UNINITIALIZED);
    }
  }
}

TYPED_TEST(BlobTest, ReadsTheOtherElementType) {
  BlobProto floats, doubles;
  floats.mutable_shape()->add_dim(3);
  doubles.mutable_shape()->add_dim(3);
  for (double value : {0.5, -2.0, 3.25}) {
    floats.add_data(static_cast<float>(value));
    doubles.add_double_data(value);
  }
  for (const BlobProto& proto : {floats, doubles}) {
    Blob<TypeParam> blob;
    blob.FromProto(proto);
    EXPECT_EQ(Values(blob), (std::vector<double>{0.5, -2, 3.25}));
  }
}

BlobProto Legacy(int num, int channels, int height, int width) {
  BlobProto proto;
  proto.set_num(num);
  proto.set_channels(channels);
  proto.set_height(height);
  proto.set_width(width);
  for (int i = 0; i < num * channels * height * width; ++i) proto.add_data(i);
  return proto;
}

// Files of 2014 store every blob with 4 axes; biases as (1, 1, 1, N).
TYPED_TEST(BlobTest, ReadsLegacyShapes) {
  Blob<TypeParam> blob;
  blob.FromProto(Legacy(1, 1, 2, 3));
  EXPECT_EQ(blob.shape(), (std::vector<int>{1, 1, 2, 3}));

  Blob<TypeParam> matrix({2, 3}), bias({6}), transposed({3, 2}), five({1, 1, 1, 2, 3});
  EXPECT_TRUE(matrix.ShapeEquals(Legacy(1, 1, 2, 3)));
  EXPECT_FALSE(matrix.ShapeEquals(Legacy(2, 3, 1, 1)));
  EXPECT_FALSE(transposed.ShapeEquals(Legacy(1, 1, 2, 3)));
  EXPECT_TRUE(bias.ShapeEquals(Legacy(1, 1, 1, 6)));
  EXPECT_FALSE(five.ShapeEquals(Legacy(1, 1, 2, 3)));
  matrix.FromProto(Legacy(1, 1, 2, 3), false);
  EXPECT_EQ(matrix.shape(), (std::vector<int>{2, 3}));
  EXPECT_EQ(Values(matrix), (std::vector<double>{0, 1, 2, 3, 4, 5}));
  EXPECT_THAT(
      MessageOf<ValueError>([&] { transposed.FromProto(Legacy(1, 1, 2, 3), false); }),
      AllOf(HasSubstr("(1, 1, 2, 3)"), HasSubstr("(3, 2)")));
}

BlobProto Stored(const std::vector<int64_t>& dims, int values) {
  BlobProto proto;
  for (int64_t dim : dims) proto.mutable_shape()->add_dim(dim);
  for (int i = 0; i < values; ++i) proto.add_data(i);
  return proto;
}

// Sizes come from a file; nothing is allocated for them before they are checked.
TYPED_TEST(BlobTest, HostileProtosAreRefusedAndChangeNothing) {
  Blob<TypeParam> blob({2, 3});
  test::Fill(&blob, 1);
  const auto before = Values(blob);
  const struct {
    BlobProto proto;
    const char* part;
  } cases[] = {
      {Stored({2, 3}, 5), "holds 5 values"},
      {Stored({2, 3}, 7), "holds 7 values"},
      {Stored({2, 3}, 0), "holds 0 values"},
      {Stored({-2, 3}, 6), "-2"},
      {Stored({int64_t{1} << 33, 3}, 6), "8589934592"},
      {Stored({INT_MAX, INT_MAX, INT_MAX, INT_MAX, INT_MAX, INT_MAX}, 6),
       "holds 6 values"},
      {Stored(std::vector<int64_t>(kMaxBlobAxes + 1, 1), 1), "axes"},
      {Stored({}, 0), "holds 0 values"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.part);
    EXPECT_THAT(MessageOf<ValueError>([&] { blob.FromProto(c.proto); }),
                HasSubstr(c.part));
    EXPECT_EQ(blob.shape(), (std::vector<int>{2, 3}));
    EXPECT_EQ(Values(blob), before);
  }
  BlobProto negative = Legacy(1, 1, 2, 3);
  negative.set_height(-2);
  EXPECT_THAT(MessageOf<ValueError>([&] { blob.FromProto(negative); }), HasSubstr("-2"));

  BlobProto short_diff = Stored({2, 3}, 6);
  short_diff.add_diff(1);
  EXPECT_THAT(MessageOf<ValueError>([&] { blob.FromProto(short_diff); }),
              AllOf(HasSubstr("1 diff"), HasSubstr("6")));
  EXPECT_EQ(Values(blob), before);
}

TEST(IntegerBlobTest, StoresButDoesNotCompute) {
  Blob<int> blob({3});
  blob.mutable_cpu_data()[2] = 5;
  EXPECT_EQ(blob.cpu_data()[2], 5);
  BlobProto proto;
  EXPECT_THROW(blob.Update(), NotImplementedFailure);
  EXPECT_THROW(blob.asum_data(), NotImplementedFailure);
  EXPECT_THROW(blob.scale_data(2), NotImplementedFailure);
  EXPECT_THROW(blob.ToProto(&proto), NotImplementedFailure);
}

}  // namespace
}  // namespace caffe
