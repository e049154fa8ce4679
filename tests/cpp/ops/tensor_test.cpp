#include "caffe/ops/tensor.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

const Shapes kShapes = {{2, 32, 3, 5}, {1, 16, 7}, {3, 48, 2, 3, 4}};

Doubles Packed(const float* values, int count) { return Doubles(values, values + count); }

// What the layout's formula says lies at each place of a packed copy.
Doubles ByFormula(const Blob<float>& blob, int block) {
  const Doubles plain = Values(blob);
  const int channels = blob.shape(1), spatial = blob.count(2);
  Doubles packed(plain.size());
  for (int n = 0; n < blob.shape(0); ++n) {
    for (int c = 0; c < channels; ++c) {
      for (int s = 0; s < spatial; ++s) {
        const int at =
            ((n * (channels / block) + c / block) * spatial + s) * block + c % block;
        packed[at] = plain[(n * channels + c) * spatial + s];
      }
    }
  }
  return packed;
}

void ExpectSame(const Doubles& got, const Doubles& want, const std::string& what) {
  ExpectClose(got, want, ToleranceOf<float>(OpKind::kCopy), what);
}

TEST(TensorTest, ReadPacksByTheFormula) {
  for (const int block : {8, 16}) {
    for (const auto& shape : kShapes) {
      SCOPED_TRACE(Str("block ", block, ", shape ", ShapeText(shape)));
      Blob<float> blob(shape);
      Fill(&blob, 1);
      EXPECT_EQ(DataOf(&blob).block(), 1);
      const std::int64_t before = ReorderCount();
      const Doubles packed = Packed(DataOf(&blob).Read(block), blob.count());
      EXPECT_EQ(ReorderCount(), before + 1);
      ExpectSame(packed, ByFormula(blob, block), "packed");
    }
  }
}

TEST(TensorTest, PackedValuesComeBackPlain) {
  for (const int block : {8, 16}) {
    for (const auto& shape : kShapes) {
      SCOPED_TRACE(Str("block ", block, ", shape ", ShapeText(shape)));
      Blob<float> blob(shape), source(shape);
      Fill(&source, 2);
      FillNaN(&blob);
      FillPacked(&blob, Values(source), block);
      EXPECT_EQ(DataOf(&blob).block(), block);
      EXPECT_EQ(blob.data()->head(), SyncedMemory::HEAD_PACKED);
      ExpectSame(Values(blob), Values(source), "plain");
      EXPECT_EQ(blob.data()->head(), SyncedMemory::HEAD_AT_CPU);
    }
  }
}

TEST(TensorTest, ReadingTwiceConvertsOnce) {
  Blob<float> blob(kShapes[0]);
  Fill(&blob, 3);
  const float* first = DataOf(&blob).Read(16);
  const std::int64_t before = ReorderCount();
  EXPECT_EQ(DataOf(&blob).Read(16), first);
  EXPECT_EQ(DataOf(&blob).block(), 16)
      << "both copies are valid: the packed one spares a conversion";
  DataOf(&blob).Read(1);
  blob.cpu_data();
  EXPECT_EQ(ReorderCount(), before);
}

TEST(TensorTest, AnotherBlockIsConverted) {
  Blob<float> blob(kShapes[0]), source(kShapes[0]);
  Fill(&source, 4);
  FillPacked(&blob, Values(source), 8);
  ExpectSame(Packed(DataOf(&blob).Read(16), blob.count()), ByFormula(source, 16),
             "8 to 16");
  ExpectSame(Packed(DataOf(&blob).Read(8), blob.count()), ByFormula(source, 8),
             "16 to 8");
}

TEST(TensorTest, PlainWritesDropThePackedCopy) {
  Blob<float> blob(kShapes[0]);
  Fill(&blob, 5);
  DataOf(&blob).Read(16);
  blob.mutable_cpu_data()[7] = 42;
  EXPECT_EQ(DataOf(&blob).block(), 1);
  ExpectSame(Packed(DataOf(&blob).Read(16), blob.count()), ByFormula(blob, 16),
             "after the write");
}

TEST(TensorTest, WriteConvertsNothing) {
  Blob<float> blob(kShapes[0]);
  Fill(&blob, 6);
  std::int64_t before = ReorderCount();
  DataOf(&blob).Write(16);
  EXPECT_EQ(DataOf(&blob).block(), 16);
  float* plain = DataOf(&blob).Write(1);
  EXPECT_EQ(DataOf(&blob).block(), 1);
  EXPECT_EQ(ReorderCount(), before);
  for (int i = 0; i < blob.count(); ++i) plain[i] = static_cast<float>(i);
  EXPECT_EQ(blob.cpu_data()[9], 9);
}

TEST(TensorTest, ModifyKeepsValues) {
  for (const int start : {1, 8, 16}) {
    for (const int block : {1, 8, 16}) {
      SCOPED_TRACE(Str("from ", start, " to ", block));
      Blob<float> blob(kShapes[0]), source(kShapes[0]);
      Fill(&source, 7);
      if (start == 1) {
        Fill(&blob, 7);
      } else {
        FillPacked(&blob, Values(source), start);
      }
      const std::int64_t before = ReorderCount();
      float* values = DataOf(&blob).Modify(block);
      EXPECT_EQ(ReorderCount() == before, start == block);
      EXPECT_EQ(DataOf(&blob).block(), block);
      for (int i = 0; i < blob.count(); ++i) values[i] *= 2;
      source.scale_data(2);
      ExpectSame(Values(blob), Values(source), "doubled");
    }
  }
}

TEST(TensorTest, ModifyOfAReadCopyMakesThePlainOneStale) {
  Blob<float> blob(kShapes[0]), source(kShapes[0]);
  Fill(&blob, 8);
  Fill(&source, 8);
  DataOf(&blob).Read(16);
  DataOf(&blob).Modify(16)[0] = 5;
  EXPECT_EQ(blob.data()->head(), SyncedMemory::HEAD_PACKED);
  source.mutable_cpu_data()[0] = 5;
  ExpectSame(Values(blob), Values(source), "modified");
}

TEST(TensorTest, WriteFromWorksInPlaceAndApart) {
  for (const int block : {1, 8, 16}) {
    SCOPED_TRACE(Str("block ", block));
    Blob<float> source(kShapes[0]), other(kShapes[0]), shared;
    Fill(&source, 17);
    Doubles want = Values(source);
    shared.ReshapeLike(source);
    shared.ShareData(source);
    const float* values = DataOf(&source).Read(block);
    EXPECT_EQ(DataOf(&source).WriteFrom(DataOf(&source), block), values);
    EXPECT_EQ(DataOf(&shared).WriteFrom(DataOf(&source), block), values);
    ExpectSame(Values(source), want, "kept");
    values = DataOf(&source).Read(block);
    float* results = DataOf(&other).WriteFrom(DataOf(&source), block);
    EXPECT_NE(results, values);
    EXPECT_EQ(DataOf(&other).block(), block);
    for (int i = 0; i < other.count(); ++i) results[i] = 2 * values[i];
    for (double& value : want) value *= 2;
    ExpectSame(Values(other), want, "doubled");
  }
}

TEST(TensorTest, CommonBlockIsPackedIfOneIs) {
  Blob<float> plain(kShapes[0]), packed(kShapes[0]);
  Fill(&plain, 18);
  FillPacked(&packed, Values(plain), 8, Half::kDiff);
  const std::vector<Blob<float>*> blobs = {&plain, &packed};
  EXPECT_EQ(CommonBlock(DataOf(blobs)), 1);
  EXPECT_EQ(CommonBlock(DiffOf(blobs)), 8);
}

TEST(TensorTest, DiffsAreKeptApartFromData) {
  Blob<float> blob(kShapes[0]), source(kShapes[0]);
  Fill(&source, 9);
  Fill(&blob, 10);
  FillPacked(&blob, Values(source), 16, Half::kDiff);
  EXPECT_EQ(DiffOf(&blob).block(), 16);
  EXPECT_EQ(DataOf(&blob).block(), 1);
  ExpectSame(Packed(DiffOf(&blob).Read(16), blob.count()), ByFormula(source, 16),
             "packed diff");
  DiffOf(&blob).Modify(16)[0] = 3;
  EXPECT_EQ(blob.cpu_diff()[0], 3);
  DiffOf(&blob).Write(1);
  EXPECT_EQ(DiffOf(&blob).block(), 1);
  EXPECT_EQ(DiffOf(&blob).block(), 1);
  EXPECT_EQ(DataOf(&blob).block(), 1);
}

// A Reshape or Flatten layer shares its input's memory under another shape.
TEST(TensorTest, ASharedMemoryIsPlainUnderAnotherShape) {
  Blob<float> blob(kShapes[0]), source(kShapes[0]);
  Blob<float> flat(std::vector<int>{2, 480}), other(std::vector<int>{2, 16, 5, 6});
  Fill(&source, 11);
  blob.cpu_data();
  FillPacked(&blob, Values(source), 16);
  flat.ShareData(blob);
  other.ShareData(blob);
  EXPECT_EQ(DataOf(&blob).block(), 16);
  EXPECT_EQ(DataOf(&flat).block(), 1);
  EXPECT_EQ(DataOf(&other).block(), 1);
  ExpectSame(Values(flat), Values(source), "flat");
  ExpectSame(Packed(DataOf(&other).Read(16), other.count()), ByFormula(other, 16),
             "other shape");
  ExpectSame(Values(other), Values(source), "other shape, plain");
  ExpectSame(Packed(DataOf(&blob).Read(16), blob.count()), ByFormula(source, 16),
             "first shape again");
}

TEST(TensorTest, AReshapedBlobKeepsItsFirstValues) {
  Blob<float> blob(kShapes[0]), source(kShapes[0]);
  Fill(&source, 12);
  FillPacked(&blob, Values(source), 16);
  blob.Reshape({1, 16, 4, 4});
  EXPECT_EQ(DataOf(&blob).block(), 1);
  Doubles first = Values(source);
  first.resize(blob.count());
  ExpectSame(Values(blob), first, "smaller");
  FillPacked(&blob, first, 16);
  EXPECT_EQ(DataOf(&blob).block(), 16);
  blob.Reshape({4, 32, 5, 5});
  EXPECT_EQ(DataOf(&blob).block(), 1) << "a blob that grew has new memory";
  EXPECT_EQ(blob.cpu_data()[0], 0);
}

TEST(TensorTest, OnePositionIsPlainInEveryLayout) {
  Blob<float> blob(std::vector<int>{2, 32, 1, 1});
  Fill(&blob, 13);
  const std::int64_t before = ReorderCount();
  EXPECT_EQ(DataOf(&blob).Read(16), blob.cpu_data());
  EXPECT_EQ(DataOf(&blob).Write(16), blob.cpu_data());
  EXPECT_EQ(DataOf(&blob).block(), 1);
  EXPECT_EQ(ReorderCount(), before);
}

TEST(TensorTest, DoubleNeverPacks) {
  Blob<double> blob(std::vector<int>{2, 32, 3, 5});
  Fill(&blob, 14);
  EXPECT_EQ(DataOf(&blob).Read(16), blob.cpu_data());
  EXPECT_EQ(DataOf(&blob).Modify(16), blob.cpu_data());
  EXPECT_EQ(DataOf(&blob).block(), 1);
}

TEST(TensorTest, ChannelsThatDoNotDivideAreRefused) {
  Blob<float> blob(std::vector<int>{2, 20, 3, 5});
  Fill(&blob, 15);
  const std::string message = ErrorOfAction([&] { DataOf(&blob).Read(16); });
  EXPECT_NE(message.find("(2, 20, 3, 5)"), std::string::npos) << message;
}

// A NumPy view of the host buffer must find what was written packed.
TEST(TensorTest, APinnedMemorySettlesToPlain) {
  Blob<float> blob(kShapes[0]), source(kShapes[0]);
  Fill(&source, 16);
  const float* view = blob.cpu_data();
  blob.data()->Pin();
  FillPacked(&blob, Values(source), 16);
  blob.data()->Settle();
  EXPECT_EQ(DataOf(&blob).block(), 1);
  ExpectSame(Packed(view, blob.count()), Values(source), "view");
  blob.data()->Unpin();
}

}  // namespace
}  // namespace test
}  // namespace caffe
