#include "caffe/data/convert_imageset.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <opencv2/imgcodecs.hpp>

#include "caffe/util/image_io.hpp"
#include "data/data_test.hpp"
#include "util/file_size_limit.hpp"

namespace caffe {
namespace test {
namespace {

class ConvertImagesetTest : public ::testing::Test {
 protected:
  ConvertImagesetTest() {
    options_.list_file = folder_ / "list.txt";
    options_.database = folder_ / "db";
    options_.root_folder = std::string(CAFFE_TEST_DATA) + "/images/";
  }

  void WriteList(const std::string& text) { WriteBytes(options_.list_file, text); }

  /// A list of `count` grey images of 2 x 2 pixels, image i of value i % 256 and
  /// label i % 3.
  void WriteManyImages(int count) {
    options_.root_folder = folder_.path() + "/";
    std::string list;
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(cv::imwrite(folder_ / Str(i, ".png"),
                              cv::Mat(2, 2, CV_8UC1, cv::Scalar(i % 256))));
      list += Str(i, ".png ", i % 3, "\n");
    }
    WriteList(list);
  }

  std::vector<Datum> Stored(std::vector<std::string>* keys = nullptr) {
    std::vector<Datum> datums;
    for (const auto& [key, value] : ReadDatabase(options_.database, options_.backend)) {
      datums.emplace_back();
      EXPECT_TRUE(datums.back().ParseFromString(value));
      if (keys) keys->push_back(key);
    }
    return datums;
  }

  int FilesInFolder() { return folder_.NumFiles(); }

  TemporaryFolder folder_;
  ConvertImagesetOptions options_;
};

TEST_F(ConvertImagesetTest, StoresTheListInOrder) {
  WriteList("colour.jpg 3\ngrey.jpg -1\ncmyk.jpg 3\npng_inside.jpg 8\n");
  const BuildResult result = ConvertImageset(options_);
  EXPECT_EQ(result.listed, 4u);
  EXPECT_EQ(result.written, 4u);
  EXPECT_EQ(result.class_counts, (std::map<int, std::uint64_t>{{-1, 1}, {3, 2}, {8, 1}}));
  EXPECT_TRUE(result.rejected.empty());
  std::vector<std::string> keys;
  const std::vector<Datum> datums = Stored(&keys);
  EXPECT_EQ(keys,
            (std::vector<std::string>{"00000000_colour.jpg", "00000001_grey.jpg",
                                      "00000002_cmyk.jpg", "00000003_png_inside.jpg"}));
  const int labels[] = {3, -1, 3, 8};
  std::uint64_t bytes = 0;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(datums[i].label(), labels[i]);
    EXPECT_FALSE(datums[i].encoded());
    EXPECT_EQ(datums[i].channels(), 3);
    CheckRawDatum(datums[i]);
    bytes += keys[i].size() + datums[i].SerializeAsString().size();
  }
  EXPECT_EQ(result.bytes, bytes);
  const Pixels want = ReadPixels("colour.ppm");
  for (int h = 0; h < want.height; ++h) {
    EXPECT_EQ(static_cast<uchar>(datums[0].data()[(36 + h) * 48 + 5]), want.At(1, h, 5));
  }
}

TEST_F(ConvertImagesetTest, KeepsTheOrderWithAnyNumberOfThreads) {
  WriteManyImages(300);
  Entries first;
  for (const int threads : {1, 2, 7}) {
    options_.threads = threads;
    std::filesystem::remove_all(options_.database);
    ConvertImageset(options_);
    const Entries entries = ReadDatabase(options_.database);
    if (threads == 1) first = entries;
    EXPECT_EQ(entries, first) << threads << " threads";
  }
  const std::vector<Datum> datums = Stored();
  ASSERT_EQ(datums.size(), 300u);
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(datums[i].label(), i % 3);
    EXPECT_EQ(static_cast<uchar>(datums[i].data()[0]), i % 256);
  }
}

TEST_F(ConvertImagesetTest, CommitsManyImages) {
  WriteManyImages(3);
  std::string list;
  for (int i = 0; i < 2500; ++i) list += "1.png 0\n";
  WriteList(list);
  EXPECT_EQ(ConvertImageset(options_).written, 2500u);
  EXPECT_EQ(ReadDatabase(options_.database).size(), 2500u);
}

TEST_F(ConvertImagesetTest, ShufflesByTheSeed) {
  WriteManyImages(50);
  options_.shuffle = true;
  std::vector<std::vector<int>> orders;
  for (const unsigned seed : {1u, 1u, 2u}) {
    Caffe::set_random_seed(seed);
    std::filesystem::remove_all(options_.database);
    ConvertImageset(options_);
    std::vector<int> order;
    std::vector<std::string> keys;
    for (const Datum& datum : Stored(&keys)) {
      order.push_back(static_cast<uchar>(datum.data()[0]));
      const size_t i = order.size() - 1;
      EXPECT_EQ(keys[i], Str(Key(static_cast<int>(i)), "_", order[i], ".png"));
      EXPECT_EQ(datum.label(), order[i] % 3);
    }
    orders.push_back(order);
  }
  EXPECT_EQ(orders[0], orders[1]);
  EXPECT_NE(orders[0], orders[2]);
  EXPECT_FALSE(std::is_sorted(orders[0].begin(), orders[0].end()));
  std::sort(orders[0].begin(), orders[0].end());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(orders[0][i], i);
}

TEST_F(ConvertImagesetTest, ResizesAndTurnsGrey) {
  WriteList("colour.jpg 0\ncmyk.jpg 1\n");
  options_.resize_width = 20;
  options_.resize_height = 10;
  options_.gray = true;
  options_.check_size = true;
  EXPECT_EQ(ConvertImageset(options_).written, 2u);
  for (const Datum& datum : Stored()) {
    EXPECT_EQ(datum.channels(), 1);
    EXPECT_EQ(datum.height(), 10);
    EXPECT_EQ(datum.width(), 20);
    CheckRawDatum(datum);
  }
}

TEST_F(ConvertImagesetTest, StoresFiles) {
  WriteList("colour.jpg 0\ncolour.png 1\ngrey.jpg 2\n");
  options_.encoded = true;
  ConvertImageset(options_);
  std::vector<Datum> datums = Stored();
  EXPECT_EQ(datums[0].data(), ImageBytes("colour.jpg"));
  EXPECT_EQ(datums[1].data(), ImageBytes("colour.png"));
  for (const Datum& datum : datums) {
    EXPECT_TRUE(datum.encoded());
    EXPECT_EQ(DecodeImage(datum.data(), ImageColors::kAsStored).channels(), 3);
  }
  std::filesystem::remove_all(options_.database);
  options_.encode_type = "png";
  ConvertImageset(options_);
  for (const Datum& datum : Stored()) {
    EXPECT_EQ(datum.data().substr(1, 3), "PNG");
  }
}

TEST_F(ConvertImagesetTest, NamesTheImagesItLeavesOut) {
  WriteList(
      "colour.jpg 0\nnone.jpg 1\ntruncated.jpg 2\n\ntext.jpg 3\nempty.jpg 4\nhuge.jpg 5\n"
      "truncated.png 6\nrotated.jpg 7\n");
  const BuildResult result = ConvertImageset(options_);
  EXPECT_EQ(result.listed, 8u);
  EXPECT_EQ(result.written, 2u);
  struct Rejected {
    const char* name;
    int line;
    const char* reason;
  } expected[] = {{"none.jpg", 2, "No such file"},  {"truncated.jpg", 3, "truncated:"},
                  {"text.jpg", 5, "no image"},      {"empty.jpg", 6, "no bytes"},
                  {"huge.jpg", 7, "65500 x 65500"}, {"truncated.png", 8, "truncated:"}};
  ASSERT_EQ(result.rejected.size(), std::size(expected));
  for (size_t i = 0; i < std::size(expected); ++i) {
    EXPECT_EQ(result.rejected[i].name, expected[i].name);
    EXPECT_EQ(result.rejected[i].line, expected[i].line);
    EXPECT_NE(result.rejected[i].reason.find(expected[i].reason), std::string::npos)
        << result.rejected[i].reason;
  }
  std::vector<std::string> keys;
  Stored(&keys);
  EXPECT_EQ(keys,
            (std::vector<std::string>{"00000000_colour.jpg", "00000007_rotated.jpg"}));
}

TEST_F(ConvertImagesetTest, ChecksTheSize) {
  WriteList("truncated.jpg 0\ncolour.jpg 1\ncmyk.jpg 2\nrotated.jpg 3\n");
  EXPECT_EQ(ConvertImageset(options_).written, 3u) << "only when asked to";
  std::filesystem::remove_all(options_.database);
  options_.check_size = true;
  const BuildResult result = ConvertImageset(options_);
  EXPECT_EQ(result.written, 2u);
  ASSERT_EQ(result.rejected.size(), 2u);
  EXPECT_EQ(result.rejected[1].name, "cmyk.jpg");
  EXPECT_NE(result.rejected[1].reason.find("3 x 16 x 96, expected 3 x 36 x 48"),
            std::string::npos)
      << result.rejected[1].reason;
}

TEST_F(ConvertImagesetTest, RejectsAPathTooLongForAKey) {
  const std::string deep(20, 'd');
  std::string path;
  for (int i = 0; i < 25; ++i) path += deep + "/";
  std::filesystem::create_directories(folder_ / path);
  WriteBytes(folder_ / (path + "a.jpg"), ImageBytes("colour.jpg"));
  WriteBytes(folder_ / "a.jpg", ImageBytes("colour.jpg"));
  options_.root_folder = folder_.path() + "/";
  WriteList(path + "a.jpg 0\na.jpg 1\n");
  const BuildResult result = ConvertImageset(options_);
  EXPECT_EQ(result.written, 1u);
  ASSERT_EQ(result.rejected.size(), 1u);
  EXPECT_NE(result.rejected[0].reason.find("1 to 511"), std::string::npos);
}

TEST_F(ConvertImagesetTest, LeavesNothingWhenAllAreBad) {
  WriteList("none.jpg 0\ntext.jpg 1\n");
  ExpectError(ErrorKind::kFile,
              {"none of the 2 images", options_.list_file, "No such file"},
              [&] { ConvertImageset(options_); });
  EXPECT_EQ(FilesInFolder(), 1);
}

TEST_F(ConvertImagesetTest, TellsItsProgressAndStopsWhenToldTo) {
  WriteManyImages(20);
  std::vector<std::uint64_t> calls;
  ConvertImageset(options_, [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(total, 20u);
    calls.push_back(done);
  });
  EXPECT_EQ(calls.size(), 20u);
  EXPECT_EQ(calls.back(), 20u);
  std::filesystem::remove_all(options_.database);
  const int files = FilesInFolder();
  struct Interrupt {};
  EXPECT_THROW(ConvertImageset(options_,
                               [](std::uint64_t done, std::uint64_t) {
                                 if (done == 10) throw Interrupt();
                               }),
               Interrupt);
  EXPECT_EQ(FilesInFolder(), files);
}

TEST_F(ConvertImagesetTest, GoesOnWhereItWasKilled) {
  WriteManyImages(20);
  std::string list;
  for (int i = 0; i < 1500; ++i) {
    list += Str(i % 7 == 0 ? "none" : Str(i % 20), ".png ", i % 3, "\n");
  }
  WriteList(list);
  options_.shuffle = true;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ConvertImageset(options_, [](std::uint64_t done, std::uint64_t) {
      if (done == 1400) raise(SIGKILL);
    });
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(std::filesystem::exists(options_.database)) << "no half database";
  const int files = FilesInFolder();  // with what the killed one left

  const auto refused = [this](const ConvertImagesetOptions& options,
                              const std::string& difference) {
    ExpectError(ErrorKind::kValue,
                {options_.database + ".partial' was begun with " + difference},
                [&] { ConvertImageset(options); });
  };
  ConvertImagesetOptions other = options_;
  other.seed = 1;
  refused(other, "-seed ");
  other = options_;
  other.gray = true;
  refused(other, "-gray 0, now -gray 1; give what it was begun with, or remove it");
  other = options_;
  other.shuffle = false;
  refused(other, "-shuffle 1, now -shuffle 0;");
  other = options_;
  other.root_folder += "/";
  refused(other, "another root folder;");
  WriteList(list + "2.png 0\n");
  refused(options_, "other images or labels;");
  WriteList(list);

  // Without a seed, in the order of the one that began it, of which it tells the seed.
  const auto state = ReadBuildState(options_.database + ".partial");
  std::vector<std::uint64_t> calls;
  const BuildResult resumed = ConvertImageset(
      options_, [&](std::uint64_t done, std::uint64_t) { calls.push_back(done); });
  EXPECT_EQ(FilesInFolder(), files) << "one gone, one come";
  EXPECT_EQ(resumed.listed, 1500u);
  EXPECT_EQ(resumed.resumed, 1000u);
  EXPECT_EQ(resumed.written, 1285u);
  EXPECT_EQ(resumed.rejected.size(), 215u);
  EXPECT_GT(calls.front(), 1000u);
  EXPECT_LT(calls.front(), 1400u);

  const Entries entries = ReadDatabase(options_.database);
  options_.database = folder_ / "whole";
  for (const auto& [name, value] : state->settings) {
    if (name == "-seed") options_.seed = std::stoi(value);
  }
  const BuildResult whole = ConvertImageset(options_);
  EXPECT_EQ(ReadDatabase(options_.database), entries);
  EXPECT_EQ(whole.resumed, 0u);
  EXPECT_EQ(whole.bytes, resumed.bytes);
  EXPECT_EQ(whole.class_counts, resumed.class_counts);
}

TEST_F(ConvertImagesetTest, LeavesAnotherRunAlone) {
  WriteManyImages(5);
  ConvertImageset(options_, [&](std::uint64_t done, std::uint64_t) {
    if (done != 3) return;
    ExpectError(ErrorKind::kFile, {options_.database, "another process"},
                [&] { ConvertImageset(options_); });
  });
  EXPECT_EQ(ReadDatabase(options_.database).size(), 5u);
}

TEST_F(ConvertImagesetTest, LeavesNothingWhenTheDiskIsFull) {
  WriteList("colour.jpg 0\n");
  options_.resize_width = options_.resize_height = 800;
  {
    const FileSizeLimit limit(1 << 20);
    ExpectError(ErrorKind::kFile, {"disk full"}, [&] { ConvertImageset(options_); });
  }
  EXPECT_EQ(FilesInFolder(), 1);
}

TEST_F(ConvertImagesetTest, SaysWhatIsWrong) {
  WriteList("colour.jpg 0\ngrey.jpg one\n");
  ExpectError(ErrorKind::kValue, {options_.list_file + ":2", "label 'one'"},
              [&] { ConvertImageset(options_); });
  WriteList("colour.jpg 0\n");
  const ConvertImagesetOptions good = options_;
  options_.resize_width = 5;
  ExpectError(ErrorKind::kValue, {"resize_width is 5", "resize_height 0"},
              [&] { ConvertImageset(options_); });
  options_ = good;
  options_.encode_type = "nonsense";
  ExpectError(ErrorKind::kValue, {"'nonsense'", "png"},
              [&] { ConvertImageset(options_); });
  options_ = good;
  options_.backend = "nonsense";
  ExpectError(ErrorKind::kValue, {"'nonsense'", "lmdb"},
              [&] { ConvertImageset(options_); });
  options_ = good;
  options_.list_file = folder_ / "none.txt";
  ExpectError(ErrorKind::kFile, {"none.txt"}, [&] { ConvertImageset(options_); });
  options_ = good;
  options_.database = folder_ / "no/folder/db";
  ExpectError(ErrorKind::kFile, {"no/folder/db"}, [&] { ConvertImageset(options_); });
  options_ = good;
  ConvertImageset(options_);
  const Entries before = ReadDatabase(options_.database);
  for (const char* name : {"db", "db/"}) {
    options_.database = folder_ / name;
    ExpectError(ErrorKind::kFile, {"db'", "exists already"},
                [&] { ConvertImageset(options_); });
  }
  EXPECT_EQ(ReadDatabase(options_.database), before);
}

TEST_F(ConvertImagesetTest, TakesThePlaceOfAnEmptyFolder) {
  WriteList("colour.jpg 0\ngrey.jpg 1\n");
  std::filesystem::create_directory(options_.database);
  ConvertImageset(options_);
  EXPECT_EQ(Stored().size(), 2u);
}

#ifdef USE_LEVELDB
TEST_F(ConvertImagesetTest, WritesLevelDB) {
  WriteList("colour.jpg 0\ngrey.jpg 1\n");
  options_.backend = "leveldb";
  ConvertImageset(options_);
  EXPECT_EQ(Stored().size(), 2u);
}
#endif

}  // namespace
}  // namespace test
}  // namespace caffe
