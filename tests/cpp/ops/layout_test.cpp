#include "caffe/ops/layout.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "caffe/ops/tensor.hpp"
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

TEST(LayoutTest, ReadPacksByTheFormula) {
  for (const int block : {8, 16}) {
    for (const auto& shape : kShapes) {
      SCOPED_TRACE(Str("block ", block, ", shape ", ShapeText(shape)));
      Blob<float> blob(shape);
      Fill(&blob, 1);
      EXPECT_EQ(BlockOf(blob), 1);
      const std::int64_t before = ReorderCount();
      const Doubles packed = Packed(Read(blob, block), blob.count());
      EXPECT_EQ(ReorderCount(), before + 1);
      ExpectSame(packed, ByFormula(blob, block), "packed");
    }
  }
}

TEST(LayoutTest, PackedValuesComeBackPlain) {
  for (const int block : {8, 16}) {
    for (const auto& shape : kShapes) {
      SCOPED_TRACE(Str("block ", block, ", shape ", ShapeText(shape)));
      Blob<float> blob(shape), source(shape);
      Fill(&source, 2);
      FillNaN(&blob);
      FillPacked(&blob, Values(source), block);
      EXPECT_EQ(BlockOf(blob), block);
      EXPECT_EQ(blob.data()->head(), SyncedMemory::HEAD_PACKED);
      ExpectSame(Values(blob), Values(source), "plain");
      EXPECT_EQ(blob.data()->head(), SyncedMemory::HEAD_AT_CPU);
    }
  }
}

TEST(LayoutTest, ReadingTwiceConvertsOnce) {
  Blob<float> blob(kShapes[0]);
  Fill(&blob, 3);
  const float* first = Read(blob, 16);
  const std::int64_t before = ReorderCount();
  EXPECT_EQ(Read(blob, 16), first);
  EXPECT_EQ(BlockOf(blob), 16)
      << "both copies are valid: the packed one spares a conversion";
  Read(blob, 1);
  blob.cpu_data();
  EXPECT_EQ(ReorderCount(), before);
}

TEST(LayoutTest, AnotherBlockIsConverted) {
  Blob<float> blob(kShapes[0]), source(kShapes[0]);
  Fill(&source, 4);
  FillPacked(&blob, Values(source), 8);
  ExpectSame(Packed(Read(blob, 16), blob.count()), ByFormula(source, 16), "8 to 16");
  ExpectSame(Packed(Read(blob, 8), blob.count()), ByFormula(source, 8), "16 to 8");
}

TEST(LayoutTest, PlainWritesDropThePackedCopy) {
  Blob<float> blob(kShapes[0]);
  Fill(&blob, 5);
  Read(blob, 16);
  blob.mutable_cpu_data()[7] = 42;
  EXPECT_EQ(BlockOf(blob), 1);
  ExpectSame(Packed(Read(blob, 16), blob.count()), ByFormula(blob, 16),
             "after the write");
}

TEST(LayoutTest, WriteConvertsNothing) {
  Blob<float> blob(kShapes[0]);
  Fill(&blob, 6);
  std::int64_t before = ReorderCount();
  Write(&blob, 16);
  EXPECT_EQ(BlockOf(blob), 16);
  float* plain = Write(&blob, 1);
  EXPECT_EQ(BlockOf(blob), 1);
  EXPECT_EQ(ReorderCount(), before);
  for (int i = 0; i < blob.count(); ++i) plain[i] = static_cast<float>(i);
  EXPECT_EQ(blob.cpu_data()[9], 9);
}

TEST(LayoutTest, ModifyKeepsValues) {
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
      float* values = Modify(&blob, block);
      EXPECT_EQ(ReorderCount() == before, start == block);
      EXPECT_EQ(BlockOf(blob), block);
      for (int i = 0; i < blob.count(); ++i) values[i] *= 2;
      source.scale_data(2);
      ExpectSame(Values(blob), Values(source), "doubled");
    }
  }
}

TEST(LayoutTest, ModifyOfAReadCopyMakesThePlainOneStale) {
  Blob<float> blob(kShapes[0]), source(kShapes[0]);
  Fill(&blob, 8);
  Fill(&source, 8);
  Read(blob, 16);
  Modify(&blob, 16)[0] = 5;
  EXPECT_EQ(blob.data()->head(), SyncedMemory::HEAD_PACKED);
  source.mutable_cpu_data()[0] = 5;
  ExpectSame(Values(blob), Values(source), "modified");
}

TEST(LayoutTest, DiffsAreKeptApartFromData) {
  Blob<float> blob(kShapes[0]), source(kShapes[0]);
  Fill(&source, 9);
  Fill(&blob, 10);
  FillPacked(&blob, Values(source), 16, Half::kDiff);
  EXPECT_EQ(DiffBlockOf(blob), 16);
  EXPECT_EQ(BlockOf(blob), 1);
  ExpectSame(Packed(ReadDiff(blob, 16), blob.count()), ByFormula(source, 16),
             "packed diff");
  ModifyDiff(&blob, 16)[0] = 3;
  EXPECT_EQ(blob.cpu_diff()[0], 3);
  WriteDiff(&blob, 1);
  EXPECT_EQ(DiffBlockOf(blob), 1);
  EXPECT_EQ(DiffOf(&blob).block(), 1);
  EXPECT_EQ(DataOf(&blob).block(), 1);
}

// A Reshape or Flatten layer shares its input's memory under another shape.
TEST(LayoutTest, ASharedMemoryIsPlainUnderAnotherShape) {
  Blob<float> blob(kShapes[0]), source(kShapes[0]);
  Blob<float> flat(std::vector<int>{2, 480}), other(std::vector<int>{2, 16, 5, 6});
  Fill(&source, 11);
  blob.cpu_data();
  FillPacked(&blob, Values(source), 16);
  flat.ShareData(blob);
  other.ShareData(blob);
  EXPECT_EQ(BlockOf(blob), 16);
  EXPECT_EQ(BlockOf(flat), 1);
  EXPECT_EQ(BlockOf(other), 1);
  ExpectSame(Values(flat), Values(source), "flat");
  ExpectSame(Packed(Read(other, 16), other.count()), ByFormula(other, 16), "other shape");
  ExpectSame(Values(other), Values(source), "other shape, plain");
  ExpectSame(Packed(Read(blob, 16), blob.count()), ByFormula(source, 16),
             "first shape again");
}

TEST(LayoutTest, AReshapedBlobKeepsItsFirstValues) {
  Blob<float> blob(kShapes[0]), source(kShapes[0]);
  Fill(&source, 12);
  FillPacked(&blob, Values(source), 16);
  blob.Reshape({1, 16, 4, 4});
  EXPECT_EQ(BlockOf(blob), 1);
  Doubles first = Values(source);
  first.resize(blob.count());
  ExpectSame(Values(blob), first, "smaller");
  FillPacked(&blob, first, 16);
  EXPECT_EQ(BlockOf(blob), 16);
  blob.Reshape({4, 32, 5, 5});
  EXPECT_EQ(BlockOf(blob), 1) << "a blob that grew has new memory";
  EXPECT_EQ(blob.cpu_data()[0], 0);
}

TEST(LayoutTest, OnePositionIsPlainInEveryLayout) {
  Blob<float> blob(std::vector<int>{2, 32, 1, 1});
  Fill(&blob, 13);
  const std::int64_t before = ReorderCount();
  EXPECT_EQ(Read(blob, 16), blob.cpu_data());
  EXPECT_EQ(Write(&blob, 16), blob.cpu_data());
  EXPECT_EQ(BlockOf(blob), 1);
  EXPECT_EQ(ReorderCount(), before);
}

TEST(LayoutTest, DoubleNeverPacks) {
  Blob<double> blob(std::vector<int>{2, 32, 3, 5});
  Fill(&blob, 14);
  EXPECT_EQ(Read(blob, 16), blob.cpu_data());
  EXPECT_EQ(Modify(&blob, 16), blob.cpu_data());
  EXPECT_EQ(BlockOf(blob), 1);
  EXPECT_EQ(PreferredBlock<double>({2, 32, 3, 5}), 1);
}

TEST(LayoutTest, PreferredBlockNeedsWholeBlocksOfAnImage) {
  const int block = PreferredBlock<float>({2, 48, 3, 5});
  EXPECT_TRUE(block == 1 || block == 8 || block == 16) << block;
  EXPECT_EQ(PreferredBlock<float>({2, 48, 5}), block);
  EXPECT_EQ(PreferredBlock<float>({2, 48, 2, 2, 2}), block);
  for (const std::vector<int>& shape : Shapes{{},
                                              {48},
                                              {2, 48},
                                              {2, 48, 1, 1},
                                              {2, 3, 4, 4},
                                              {2, 20, 4, 4},
                                              {0, 16, 0, 4},
                                              {1, 16, 2, 2, 2, 2}}) {
    EXPECT_EQ(PreferredBlock<float>(shape), 1) << ShapeText(shape);
  }
}

TEST(LayoutTest, ChannelsThatDoNotDivideAreRefused) {
  Blob<float> blob(std::vector<int>{2, 20, 3, 5});
  Fill(&blob, 15);
  const std::string message = ErrorOfAction([&] { Read(blob, 16); });
  EXPECT_NE(message.find("(2, 20, 3, 5)"), std::string::npos) << message;
  EXPECT_NE(ErrorOfAction([&] { ChannelBlockedTensor({2, 20, 3, 5}, 4); }), "");
}

// A NumPy view of the host buffer must find what was written packed.
TEST(LayoutTest, APinnedMemorySettlesToPlain) {
  Blob<float> blob(kShapes[0]), source(kShapes[0]);
  Fill(&source, 16);
  const float* view = blob.cpu_data();
  blob.data()->Pin();
  FillPacked(&blob, Values(source), 16);
  blob.data()->Settle();
  EXPECT_EQ(BlockOf(blob), 1);
  ExpectSame(Packed(view, blob.count()), Values(source), "view");
  blob.data()->Unpin();
}

}  // namespace
}  // namespace test
}  // namespace caffe
