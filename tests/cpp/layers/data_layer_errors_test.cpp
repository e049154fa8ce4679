#include <algorithm>
#include <filesystem>
#include <mutex>

#include "caffe/layers/data_layer.hpp"
#include "caffe/util/db_lmdb.hpp"
#include "data/data_layer_fixture.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class DataLayerErrorsTest : public DataLayerFixture<T> {};

typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(DataLayerErrorsTest, Types);

TYPED_TEST(DataLayerErrorsTest, FailsOnABadImageAndNamesIt) {
  std::vector<Datum> datums = EncodedDatums(9);
  datums[5] = EncodedDatum(ImageBytes("truncated.jpg"), 5);
  datums[7] = EncodedDatum("junk", 7);
  WriteDatums(this->folder_ / "db", datums);
  for (const int threads : {1, 4}) {
    DataRun<TypeParam> run(this->Text(Str("batch_size: 4 decode_threads: ", threads)));
    EXPECT_EQ(run.NextLabels(1), Modulo(0, 4, 9));
    // The first bad entry of the batch, and the same again on every call.
    for (int call = 0; call < 2; ++call) {
      ExpectError(ErrorKind::kFile,
                  {this->folder_ / "db", "'00000005'", "truncated", "on_bad_image: SKIP"},
                  [&] { run.Next(); });
    }
    LayerState state;
    ResumableOf(*run.layer()).SaveState(&state);
    EXPECT_EQ(state.position(), 4u);
  }
  datums[0].set_data("junk");
  std::filesystem::remove_all(this->folder_ / "db");
  WriteDatums(this->folder_ / "db", datums);
  ExpectError(ErrorKind::kFile, {this->folder_ / "db", "'00000000'", "on_bad_image"},
              [&] { DataRun<TypeParam> run(this->Text("batch_size: 4")); });
}

TYPED_TEST(DataLayerErrorsTest, TakesTheNextGoodImageForASkippedOne) {
  std::vector<Datum> datums = EncodedDatums(9);
  for (const int bad : {0, 3, 4, 8}) datums[bad] = EncodedDatum("junk", bad);
  WriteDatums(this->folder_ / "db", datums);
  DataRun<TypeParam> run(
      this->Text("batch_size: 9 on_bad_image: SKIP decode_threads: 3"));
  EXPECT_EQ(run.NextLabels(1), (std::vector<int>{1, 1, 2, 5, 5, 5, 6, 7, 1}));
  EXPECT_EQ(run.NextLabels(1), (std::vector<int>{1, 1, 2, 5, 5, 5, 6, 7, 1}));
  auto* layer = dynamic_cast<DataLayer<TypeParam>*>(run.layer());
  ASSERT_TRUE(layer);
  EXPECT_GE(layer->bad_images(), 8u) << "four in each epoch";
}

TYPED_TEST(DataLayerErrorsTest, PutsZerosWithTheLabelForABadImage) {
  std::vector<Datum> datums = EncodedDatums(4);
  datums[0] = EncodedDatum("junk", 40);
  datums[2] = RawDatum(2, 3, kHeight, kWidth, 42);
  datums[2].mutable_data()->pop_back();
  WriteDatums(this->folder_ / "db", datums);
  for (const char* transform : {"transform_param { mean_value: 100 crop_size: 4 }",
                                "transform_param { mean_value: 100 }"}) {
    DataRun<TypeParam> run(this->Text("batch_size: 4 on_bad_image: ZERO", transform));
    const DeliveredBatch batch = run.Next();
    EXPECT_EQ(batch.labels, (std::vector<double>{40, 1, 42, 3}));
    const int size = static_cast<int>(batch.images.size()) / 4;
    for (int i = 0; i < 4; ++i) {
      const auto* begin = batch.images.data() + i * size;
      const bool zeros =
          std::all_of(begin, begin + size, [](double x) { return x == 0; });
      EXPECT_EQ(zeros, i % 2 == 0) << "image " << i;
    }
  }
}

TYPED_TEST(DataLayerErrorsTest, NamesEveryBadImageOnceInAWarning) {
  std::vector<Datum> datums = EncodedDatums(5);
  datums[1] = EncodedDatum("junk", 1);
  datums[3] = EncodedDatum(ImageBytes("truncated.jpg"), 3);
  WriteDatums(this->folder_ / "db", datums);
  struct Lines {
    std::mutex mutex;
    std::vector<std::string> lines;
  } log;
  logging::SetSink(
      [](logging::LogSeverity severity, const char* line, void* context) {
        auto* all = static_cast<Lines*>(context);
        const std::lock_guard<std::mutex> lock(all->mutex);
        if (severity == google::WARNING) all->lines.push_back(line);
      },
      &log);
  {
    DataRun<TypeParam> run(this->Text("batch_size: 5 on_bad_image: SKIP"));
    run.Next(4);
  }
  logging::SetSink(nullptr, nullptr);
  for (const char* key : {"00000001", "00000003"}) {
    int lines = 0;
    for (const std::string& line : log.lines) {
      lines += line.find(Str("key '", key, "'")) != std::string::npos;
    }
    EXPECT_EQ(lines, 1) << key;
  }
  EXPECT_EQ(log.lines.size(), 2u);
}

TYPED_TEST(DataLayerErrorsTest, GivesUpWhenNoImageIsGood) {
  const std::vector<Datum> datums(3, EncodedDatum("junk", 0));
  WriteDatums(this->folder_ / "db", datums);
  for (const std::string policy : {"SKIP", "ZERO"}) {
    ExpectError(ErrorKind::kFile, {this->folder_ / "db", "any other image"}, [&] {
      DataRun<TypeParam> run(this->Text("batch_size: 1 on_bad_image: " + policy));
    });
  }
}

TYPED_TEST(DataLayerErrorsTest, CannotBlankAnEntryWithoutALabel) {
  Entries entries;
  for (int i = 0; i < 3; ++i) {
    entries.emplace_back(Key(i), RawDatum(i, 1, 2, 2, i).SerializeAsString());
  }
  entries[1].second = "\xff\xff no datum";
  WriteDatabase(this->folder_ / "db", entries);
  DataRun<TypeParam> zero(this->Text("batch_size: 3 on_bad_image: ZERO"));
  ExpectError(ErrorKind::kFile, {"'00000001'", "label", "SKIP"}, [&] { zero.Next(); });
  DataRun<TypeParam> skip(this->Text("batch_size: 3 on_bad_image: SKIP"));
  EXPECT_EQ(skip.NextLabels(1), (std::vector<int>{0, 2, 2}));
}

TYPED_TEST(DataLayerErrorsTest, FailsOnAnImageThatDoesNotFitWhateverThePolicy) {
  std::vector<Datum> datums = RawDatums(4);
  datums[2] = RawDatum(2, 3, kHeight, kWidth + 1, 2);
  WriteDatums(this->folder_ / "db", datums);
  for (const std::string policy : {"FAIL", "SKIP", "ZERO"}) {
    DataRun<TypeParam> run(this->Text("batch_size: 4 on_bad_image: " + policy));
    ExpectError(ErrorKind::kValue, {"'00000002'", "9 x 6", "8 x 6", "crop_size"},
                [&] { run.Next(); });
    // Cropped to one size they are alike.
    DataRun<TypeParam> cropped(this->Text("batch_size: 4 on_bad_image: " + policy,
                                          "transform_param { crop_size: 5 }"));
    EXPECT_EQ(cropped.NextLabels(1), Modulo(0, 4, 4));
  }
  datums[2] = RawDatum(2, 1, kHeight, kWidth, 2);
  std::filesystem::remove_all(this->folder_ / "db");
  WriteDatums(this->folder_ / "db", datums);
  DataRun<TypeParam> run(this->Text("batch_size: 4", "transform_param { crop_size: 5 }"));
  ExpectError(ErrorKind::kValue, {"'00000002'", "1 channel"}, [&] { run.Next(); });
}

TYPED_TEST(DataLayerErrorsTest, NamesAWrongParameter) {
  WriteDatums(this->folder_ / "db", RawDatums(3));
  const auto expect = [&](ErrorKind kind, const std::string& text,
                          const std::vector<std::string>& parts) {
    ExpectError(kind, parts, [&] { DataRun<TypeParam> run(text); });
  };
  expect(ErrorKind::kValue, this->Text(""), {"data_param.batch_size is 0, expected"});
  expect(ErrorKind::kValue, this->Text("batch_size: 4294967295"),
         {"data_param.batch_size is 4294967295, expected"});
  expect(ErrorKind::kValue, this->Text("batch_size: 2147483647"), {"elements"});
  expect(ErrorKind::kValue, this->Text("batch_size: 1 prefetch: 0"), {"prefetch is 0"});
  expect(ErrorKind::kValue, this->Text("batch_size: 1 prefetch: 4294967295"),
         {"prefetch"});
  expect(ErrorKind::kValue, this->Text("batch_size: 1 decode_threads: 99999"),
         {"decode_threads is 99999"});
  expect(ErrorKind::kValue,
         this->Text("batch_size: 1", "transform_param { crop_size: 7 }"),
         {"'00000000'", "crop_size is 7", "8 x 6"});
  expect(ErrorKind::kValue, "name: 'data' type: 'Data' data_param { backend: LMDB }",
         {"source is missing"});
  expect(ErrorKind::kFile,
         "name: 'data' type: 'Data' data_param { source: 'no_such_db' backend: LMDB }",
         {"'no_such_db'", "No such file"});
}

TYPED_TEST(DataLayerErrorsTest, NamesADamagedDatabase) {
  {
    db::LMDB().Open(this->folder_ / "db", db::NEW);
  }
  const std::string text = this->Text("batch_size: 1");
  ExpectError(ErrorKind::kFile, {this->folder_ / "db", "empty"},
              [&] { DataRun<TypeParam> run(text); });
  std::filesystem::remove_all(this->folder_ / "db");
  WriteDatums(this->folder_ / "db", RawDatums(300));
  std::filesystem::resize_file(this->folder_ / "db/data.mdb", 5 * 4096);
  ExpectError(ErrorKind::kFile, {this->folder_ / "db", "truncated"},
              [&] { DataRun<TypeParam> run(text); });
  std::filesystem::remove_all(this->folder_ / "db");
  WriteDatums(this->folder_ / "db", RawDatums(300));
  // Truncated by somebody while it is being read.
  DataRun<TypeParam> run(text);
  std::filesystem::resize_file(this->folder_ / "db/data.mdb", 5 * 4096);
  ExpectError(ErrorKind::kFile, {this->folder_ / "db", "damaged"},
              [&] { run.Next(300); });
}

}  // namespace
}  // namespace test
}  // namespace caffe
