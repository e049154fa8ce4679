#include "caffe/layers/data_layer.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "data/data_layer_fixture.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class DataLayerTest : public DataLayerFixture<T> {};

typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(DataLayerTest, Types);

TYPED_TEST(DataLayerTest, DeliversTheEntriesInOrderRoundAndRound) {
  const std::vector<Datum> datums = RawDatums(7);
  std::vector<std::string> backends = {"LMDB"};
#ifdef USE_LEVELDB
  backends.push_back("LEVELDB");
#endif
  for (const std::string& backend : backends) {
    std::filesystem::remove_all(this->folder_ / "db");
    WriteDatums(this->folder_ / "db", datums, backend == "LMDB" ? "lmdb" : "leveldb");
    DataRun<TypeParam> run(this->Text("batch_size: 3", "", backend));
    EXPECT_EQ(run.top(0)->shape(), (std::vector<int>{3, 3, kHeight, kWidth}));
    EXPECT_EQ(run.top(1)->shape(), (std::vector<int>{3}));
    for (int batch = 0, sample = 0; batch < 8; ++batch) {
      const DeliveredBatch got = run.Next();
      const int size = 3 * kHeight * kWidth;
      for (int i = 0; i < 3; ++i, ++sample) {
        EXPECT_EQ(got.labels[i], sample % 7);
        const std::string& want = datums[sample % 7].data();
        for (int j = 0; j < size; ++j) {
          ASSERT_EQ(got.images[i * size + j], static_cast<uchar>(want[j]));
        }
      }
    }
  }
}

TYPED_TEST(DataLayerTest, WorksWithoutLabels) {
  WriteDatums(this->folder_ / "db", RawDatums(3));
  DataRun<TypeParam> run(this->Text("batch_size: 2"), TRAIN, 1);
  EXPECT_EQ(run.Next(2)[1].images.size(), 2u * 3 * kHeight * kWidth);
}

/// Whatever the number of threads and of prefetched batches, for encoded and raw
/// images, with all random draws and with bad images in between.
TYPED_TEST(DataLayerTest, GivesEqualBatchesWithAnyNumberOfThreads) {
  std::vector<Datum> datums = EncodedDatums(13);
  datums[4] = EncodedDatum(ImageBytes("truncated.jpg"), 4);
  datums[5] = EncodedDatum("", 5);
  datums[12] = EncodedDatum(ImageBytes("text.jpg"), 12);
  for (int i = 8; i < 11; ++i) datums[i] = RawDatum(i, 3, kHeight, kWidth, i);
  WriteDatums(this->folder_ / "db", datums);
  const std::string transform =
      "transform_param { mirror: true crop_size: 4 scale: 0.1 }";
  for (const std::string policy : {"SKIP", "ZERO"}) {
    const int batches = 3 * 13 / 5 + 1;  // three epochs
    const std::string common = "batch_size: 5 on_bad_image: " + policy;
    DataRun<TypeParam> one(
        this->Text(common + " decode_threads: 1 prefetch: 1", transform));
    const std::vector<DeliveredBatch> want = one.Next(batches);
    for (const int threads : {2, 4, 9}) {
      DataRun<TypeParam> many(this->Text(
          Str(common, " decode_threads: ", threads, " prefetch: ", threads), transform));
      EXPECT_EQ(many.Next(batches), want) << threads << " threads, " << policy;
    }
    // An epoch repeats the entries but not the draws.
    EXPECT_NE(want[0].images, one.Next().images);
  }
}

TYPED_TEST(DataLayerTest, DrawsAnewForOtherSeedsAndLayers) {
  WriteDatums(this->folder_ / "db", RawDatums(20));
  const std::string rest = "transform_param { mirror: true crop_size: 3 }";
  const std::string text = this->Text("batch_size: 20", rest);
  const DeliveredBatch first = DataRun<TypeParam>(text).Next();
  EXPECT_EQ(DataRun<TypeParam>(text).Next(), first);
  Caffe::set_random_seed(1702);
  EXPECT_NE(DataRun<TypeParam>(text).Next(), first);
  Caffe::set_random_seed(1701);
  std::string other = text;
  other.replace(other.find("'data'"), 6, "'more'");
  EXPECT_NE(DataRun<TypeParam>(other).Next(), first);
}

// Two nets in one process, say, whose layers have one name.
TYPED_TEST(DataLayerTest, ASecondLayerDrawsOnAndGoesOnAsItself) {
  WriteDatums(this->folder_ / "db", RawDatums(20));
  const std::string text =
      this->Text("batch_size: 20", "transform_param { mirror: true crop_size: 3 }");
  const auto second = [&] { return DataRun<TypeParam>(text, TRAIN, 2, true); };
  Caffe::set_random_seed(1701);
  DataRun<TypeParam> first = second(), next = second();
  const std::vector<DeliveredBatch> of_first = first.Next(2), of_next = next.Next(2);
  EXPECT_NE(of_first[0], of_next[0]);
  EXPECT_NE(of_first[1], of_next[0]);

  Caffe::set_random_seed(1701);
  EXPECT_EQ(second().Next(2), of_first);
  DataRun<TypeParam> again = second();
  EXPECT_EQ(again.Next(), of_next[0]);
  LayerState state;
  ASSERT_TRUE(ResumableOf(*again.layer()).SaveState(&state));
  // The first of a process that resumes the run.
  Caffe::set_random_seed(1);
  DataRun<TypeParam> resumed = second();
  ResumableOf(*resumed.layer()).RestoreState(state);
  EXPECT_EQ(resumed.Next(), of_next[1]);

  // A state as versions without a number of the layer wrote it is that of a first one.
  ASSERT_TRUE(ResumableOf(*first.layer()).SaveState(&state));
  EXPECT_EQ(state.extra(), "seed 1701");
}

TYPED_TEST(DataLayerTest, LeavesTheCallersRandomStreamAlone) {
  WriteDatums(this->folder_ / "db", RawDatums(4));
  DataRun<TypeParam> run(
      this->Text("batch_size: 2", "transform_param { mirror: true crop_size: 3 }"));
  const std::uint64_t before = caffe_rng()->counter();
  run.Next(5);
  EXPECT_EQ(caffe_rng()->counter(), before);
}

TYPED_TEST(DataLayerTest, ContinuesExactlyWhereItWas) {
  WriteDatums(this->folder_ / "db", EncodedDatums(11));
  const std::string text = this->Text("batch_size: 4 rand_skip: 9 decode_threads: 3",
                                      "transform_param { mirror: true crop_size: 4 }");
  DataRun<TypeParam> whole(text);
  whole.Next(5);
  LayerState state;
  ASSERT_TRUE(ResumableOf(*whole.layer()).SaveState(&state));
  EXPECT_EQ(state.layer(), "data");
  EXPECT_EQ(state.position(), 20u) << "prefetched batches do not count";
  const std::vector<DeliveredBatch> want = whole.Next(9);

  // A new process may have another seed, and may have begun to read.
  Caffe::set_random_seed(99);
  DataRun<TypeParam> resumed(text);
  ResumableOf(*resumed.layer()).RestoreState(state);
  EXPECT_EQ(resumed.Next(9), want);
  ResumableOf(*resumed.layer()).RestoreState(state);
  EXPECT_EQ(resumed.Next(9), want);
  LayerState again;
  ResumableOf(*resumed.layer()).SaveState(&again);
  EXPECT_EQ(again.position(), 56u);
  EXPECT_EQ(again.extra(), state.extra());
}

TYPED_TEST(DataLayerTest, ContinuesFarBeyondTheFirstEpoch) {
  WriteDatums(this->folder_ / "db", RawDatums(11));
  DataRun<TypeParam> run(this->Text("batch_size: 4"));
  LayerState state;
  ResumableOf(*run.layer()).SaveState(&state);
  state.set_position(std::uint64_t{11} * 1000000000 * 1000 + 7);
  ResumableOf(*run.layer()).RestoreState(state);
  EXPECT_EQ(run.NextLabels(2), Modulo(7, 8, 11));
}

TYPED_TEST(DataLayerTest, RefusesTheStateOfAnotherLayer) {
  WriteDatums(this->folder_ / "db", RawDatums(3));
  DataRun<TypeParam> run(this->Text("batch_size: 1"));
  LayerState state;
  state.set_extra("something else");
  ExpectError(ErrorKind::kFile, {"'data'", "something else"},
              [&] { ResumableOf(*run.layer()).RestoreState(state); });
}

TYPED_TEST(DataLayerTest, SharesTheEntriesBetweenSolvers) {
  WriteDatums(this->folder_ / "db", EncodedDatums(10));
  const std::string transform = "transform_param { mirror: true crop_size: 4 }";
  const DeliveredBatch whole =
      DataRun<TypeParam>(this->Text("batch_size: 12", transform)).Next();
  const int size = 3 * 4 * 4;
  for (int rank = 0; rank < 3; ++rank) {
    Caffe::set_solver_count(3);
    Caffe::set_solver_rank(rank);
    DataRun<TypeParam> run(this->Text("batch_size: 4", transform));
    const DeliveredBatch part = run.Next();
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(part.labels[i], whole.labels[3 * i + rank]);
      // The draws belong to the sample, too.
      EXPECT_TRUE(std::equal(part.images.begin() + i * size,
                             part.images.begin() + (i + 1) * size,
                             whole.images.begin() + (3 * i + rank) * size));
    }
    LayerState state;
    ResumableOf(*run.layer()).SaveState(&state);
    EXPECT_EQ(state.position(), 12u);
    // A TEST net reads everything.
    EXPECT_EQ(DataRun<TypeParam>(this->Text("batch_size: 5"), TEST).NextLabels(2),
              Modulo(0, 10, 10));
  }
}

TYPED_TEST(DataLayerTest, SkipsARandomNumberOfEntries) {
  WriteDatums(this->folder_ / "db", RawDatums(10));
  std::set<int> firsts;
  for (unsigned seed = 0; seed < 60; ++seed) {
    Caffe::set_random_seed(seed);
    DataRun<TypeParam> run(this->Text("batch_size: 3 rand_skip: 4"));
    const std::vector<int> labels = run.NextLabels(1);
    EXPECT_EQ(labels, Modulo(labels[0], 3, 10));
    firsts.insert(labels[0]);
  }
  EXPECT_EQ(firsts, (std::set<int>{0, 1, 2, 3}));
}

TYPED_TEST(DataLayerTest, FollowsTheSizeOfEachImageInBatchesOfOne) {
  std::vector<Datum> datums;
  for (int i = 0; i < 6; ++i) datums.push_back(RawDatum(i, 3, 2 + i, 9 - i, i));
  WriteDatums(this->folder_ / "db", datums);
  DataRun<TypeParam> run(this->Text("batch_size: 1 decode_threads: 4"));
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(run.Next().shape, (std::vector<int>{1, 3, 2 + i % 6, 9 - i % 6}));
  }
}

TYPED_TEST(DataLayerTest, StopsAtAnyMoment) {
  WriteDatums(this->folder_ / "db", EncodedDatums(20));
  for (const int threads : {1, 4}) {
    const std::string text =
        this->Text(Str("batch_size: 8 prefetch: 2 decode_threads: ", threads));
    {
      DataRun<TypeParam> never_run(text);
    }
    for (int delay_us : {0, 50, 500, 5000}) {
      DataRun<TypeParam> run(text);
      run.Next();
      std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
    }
  }
}

/// A view of the top (NumPy's) stays one: batches are put where the top is.
TYPED_TEST(DataLayerTest, KeepsTheTopsInPlace) {
  WriteDatums(this->folder_ / "db", RawDatums(5));
  DataRun<TypeParam> run(this->Text("batch_size: 2"));
  const TypeParam* data = run.top(0)->cpu_data();
  const TypeParam* label = run.top(1)->cpu_data();
  for (int i = 0; i < 4; ++i) {
    run.Next();
    EXPECT_EQ(run.top(0)->cpu_data(), data);
    EXPECT_EQ(run.top(1)->cpu_data(), label);
    EXPECT_EQ(label[0], 2 * i % 5);
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
