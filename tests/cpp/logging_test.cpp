#include "caffe/logging.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "captured_log.hpp"
#include "util/file_size_limit.hpp"
#include "util/temporary_folder.hpp"

namespace caffe {
namespace {

using test::CapturedLog;
using test::MessageOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// What log parsers written for glog rely on:
// severity, month and day, time with microseconds, thread, file:line] text.
TEST(LogTest, LineHasGlogsFormat) {
  CapturedLog log;
  LOG(INFO) << "Iteration " << 100 << ", loss = " << 0.5;
  const int line = __LINE__ - 1;
  LOG(WARNING) << "w";
  LOG(ERROR) << "e";
  ASSERT_EQ(log.lines().size(), 3u);
  const std::string head =
      R"((0[1-9]|1[0-2])([0-2][0-9]|3[01]) [0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{6} +)";
  const std::string place = R"( logging_test\.cpp:)";
  EXPECT_TRUE(std::regex_match(
      log.lines()[0],
      std::regex("I" + head + std::to_string(gettid()) + place + std::to_string(line) +
                 R"(\] Iteration 100, loss = 0\.5)")))
      << log.lines()[0];
  EXPECT_THAT(log.lines()[1], StartsWith("W"));
  EXPECT_THAT(log.lines()[2], StartsWith("E"));
  EXPECT_THAT(log.severities(),
              ElementsAre(google::INFO, google::WARNING, google::ERROR));
}

TEST(LogTest, GoesToStderrByDefault) {
  testing::internal::CaptureStderr();
  LOG(ERROR) << "to the terminal";
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("] to the terminal\n"));
}

TEST(LogTest, MinSeverityHidesLowerLines) {
  CapturedLog log;
  logging::SetMinSeverity(google::WARNING);
  EXPECT_EQ(logging::MinSeverity(), google::WARNING);
  LOG(INFO) << "hidden";
  LOG(WARNING) << "shown";
  EXPECT_EQ(log.Texts(""), std::vector<std::string>{"shown"});
}

// As programs for glog set them: the variables and the functions are one.
TEST(LogTest, FlagsOfGlogSetTheLevels) {
  CapturedLog log;
  FLAGS_minloglevel = google::WARNING;
  EXPECT_EQ(logging::MinSeverity(), google::WARNING);
  LOG(INFO) << "hidden";
  logging::SetMinSeverity(google::INFO);
  EXPECT_EQ(FLAGS_minloglevel, 0);
  const int verbose = FLAGS_v;
  FLAGS_v = 2;
  VLOG(2) << "two";
  VLOG_IF(2, false) << "no";
  FLAGS_v = verbose;
  EXPECT_EQ(log.Texts(""), std::vector<std::string>{"two"});
}

TEST(LogTest, FileGetsEveryLineToo) {
  test::TemporaryFolder folder;
  const std::string path = folder / "caffe.log";
  {
    CapturedLog log;
    logging::SetLogFile(path);
    LOG(INFO) << "first";
    LOG(WARNING) << "second";
    logging::SetLogFile("");
    LOG(INFO) << "third";
    const std::string written = log.lines()[0] + "\n" + log.lines()[1] + "\n";
    EXPECT_EQ(test::ReadBytes(path), written);
  }
  EXPECT_THAT(MessageOf<FileError>([&] { logging::SetLogFile(folder / "no/such/file"); }),
              testing::AllOf(HasSubstr("no/such/file"), HasSubstr("No such file")));
}

// The disk is full for some lines: they are missing, one line says so, and later ones
// are whole again.
TEST(LogTest, AFullDiskIsToldOnce) {
  test::TemporaryFolder folder;
  const std::string path = folder / "caffe.log";
  CapturedLog log;
  logging::SetLogFile(path);
  LOG(INFO) << "first";
  {
    const test::FileSizeLimit limit(static_cast<rlim_t>(test::ReadBytes(path).size()) +
                                    9);
    for (int i = 0; i < 3; ++i) LOG(INFO) << "lost " << i;
  }
  LOG(INFO) << "last";
  logging::SetLogFile("");
  EXPECT_EQ(log.Texts("lost").size(), 3u) << "they are printed all the same";
  EXPECT_THAT(log.Texts("log file"),
              ElementsAre("log file '" + path +
                          "' cannot be written (File too large); it misses lines from "
                          "here on, the run goes on"));
  const std::string written = test::ReadBytes(path);
  const std::vector<std::string>& printed = log.lines();
  EXPECT_EQ(written, printed.front() + "\n" + printed[1].substr(0, 9) +
                         "\n(3 lines are missing here)\n" + printed.back() + "\n");
}

TEST(LogTest, LogIfEvaluatesItsStreamOnlyWhenTrue) {
  CapturedLog log;
  int evaluated = 0;
  LOG_IF(INFO, false) << ++evaluated;
  LOG_IF(INFO, true) << ++evaluated;
  EXPECT_EQ(evaluated, 1);
  EXPECT_EQ(log.Texts(""), std::vector<std::string>{"1"});
}

TEST(LogTest, EveryNAndFirstN) {
  CapturedLog log;
  for (int i = 0; i < 7; ++i) {
    LOG_EVERY_N(INFO, 3) << "every " << i;
    LOG_FIRST_N(INFO, 2) << "first " << i;
  }
  EXPECT_THAT(log.Texts("every"), ElementsAre("every 0", "every 3", "every 6"));
  EXPECT_THAT(log.Texts("first"), ElementsAre("first 0", "first 1"));
}

TEST(LogTest, VlogFollowsTheVerboseLevel) {
  CapturedLog log;
  const int verbose = logging::VerboseLevel();
  logging::SetVerboseLevel(1);
  VLOG(1) << "one";
  VLOG(2) << "two";
  logging::SetVerboseLevel(verbose);
  EXPECT_EQ(log.Texts(""), std::vector<std::string>{"one"});
}

TEST(LogTest, FatalThrows) {
  const std::string message =
      MessageOf<ValueError>([] { LOG(FATAL) << "Unknown solver type " << 7; });
  EXPECT_THAT(message, StartsWith("Unknown solver type 7 [logging_test.cpp:"));
}

TEST(CheckTest, PassesWithoutEvaluatingItsText) {
  int evaluated = 0;
  CHECK(true) << ++evaluated;
  CHECK_EQ(1, 1) << ++evaluated;
  CHECK_NE(1, 2) << ++evaluated;
  CHECK_LT(1, 2) << ++evaluated;
  CHECK_LE(2, 2) << ++evaluated;
  CHECK_GT(3, 2) << ++evaluated;
  CHECK_GE(3, 3) << ++evaluated;
  CHECK_STREQ("a", "a") << ++evaluated;
  CHECK_NEAR(1.0, 1.5, 0.5);
  EXPECT_EQ(evaluated, 0);
}

TEST(CheckTest, ThrowsConditionValuesAndText) {
  const int channels = 3;
  EXPECT_THAT(MessageOf<ValueError>([&] { CHECK(channels == 4) << "with group " << 2; }),
              StartsWith("Check failed: channels == 4 with group 2 [logging_test.cpp:"));
  EXPECT_THAT(MessageOf<ValueError>([&] { CHECK_EQ(channels, 4) << "group"; }),
              StartsWith("Check failed: channels == 4 (3 vs. 4) group ["));
  EXPECT_THAT(MessageOf<ValueError>([&] { CHECK_NE(channels, 3); }),
              StartsWith("Check failed: channels != 3 (3 vs. 3) ["));
  EXPECT_THAT(MessageOf<ValueError>([&] { CHECK_LT(channels, 3); }), HasSubstr("<"));
  EXPECT_THAT(MessageOf<ValueError>([&] { CHECK_LE(channels, 2); }), HasSubstr("<="));
  EXPECT_THAT(MessageOf<ValueError>([&] { CHECK_GT(channels, 3); }), HasSubstr(">"));
  EXPECT_THAT(MessageOf<ValueError>([&] { CHECK_GE(channels, 4); }), HasSubstr(">="));
  EXPECT_THAT(MessageOf<ValueError>([] { CHECK_STREQ("a", "b"); }), HasSubstr("a vs. b"));
  EXPECT_THAT(MessageOf<ValueError>([] { CHECK_NEAR(1.0, 2.0, 0.5); }),
              StartsWith("Check failed"));
}

TEST(CheckTest, GlogsRarerForms) {
  CHECK_STRCASEEQ("Data", "dATA");
  CHECK_STRCASENE("Data", "Date");
  CHECK_DOUBLE_EQ(0.1 + 0.2, 0.3);
  LOG_ASSERT(true) << "not evaluated";
  EXPECT_THAT(MessageOf<ValueError>([] { CHECK_STRCASEEQ("a", "b") << "text"; }),
              HasSubstr("a vs. b text"));
  EXPECT_THAT(MessageOf<ValueError>([] { CHECK_DOUBLE_EQ(1.0, 1.1); }),
              StartsWith("Check failed"));
  EXPECT_THAT(MessageOf<ValueError>([] {
                errno = ENOENT;
                PCHECK(false) << "opening";
              }),
              HasSubstr("No such file or directory: opening"));
}

TEST(CheckTest, EvaluatesItsArgumentsOnce) {
  int calls = 0;
  CHECK_EQ(++calls, 1);
  EXPECT_EQ(calls, 1);
}

// Both forms are one statement, so an else belongs to the if written before them.
TEST(CheckTest, IsOneStatement) {
  bool other = false;
  if (false)
    CHECK_EQ(1, 2);
  else
    other = true;
  EXPECT_TRUE(other);
}

TEST(CheckTest, NotNullReturnsThePointer) {
  int value = 5;
  EXPECT_EQ(CHECK_NOTNULL(&value), &value);
  std::unique_ptr<int> owner(new int(3));
  std::unique_ptr<int> taken = CHECK_NOTNULL(std::move(owner));
  EXPECT_EQ(*taken, 3);
  const int* nothing = nullptr;
  EXPECT_THAT(MessageOf<ValueError>([&] { CHECK_NOTNULL(nothing); }),
              HasSubstr("'nothing' must not be null"));
}

int Throw() { throw std::out_of_range("axis 7"); }

// Throwing while another exception flies would end the process.
TEST(CheckTest, AnExceptionOutOfItsTextIsTheOneThatFlies) {
  EXPECT_THROW(CHECK(false) << Throw(), std::out_of_range);
  EXPECT_THROW(CHECK_EQ(1, 2) << Throw(), std::out_of_range);
  EXPECT_THROW(LOG(FATAL) << Throw(), std::out_of_range);
}

// A destructor that runs because of one exception may fail a check and catch that.
TEST(CheckTest, ThrowsDuringUnwindingToo) {
  struct Probe {
    ~Probe() {
      *message = MessageOf<ValueError>([] { CHECK(false) << "inner"; });
    }
    std::string* message;
  };
  std::string message;
  try {
    Probe probe{&message};
    throw std::out_of_range("outer");
  } catch (const std::out_of_range&) {
  }
  EXPECT_THAT(message, HasSubstr("inner"));
}

TEST(CheckTest, DebugChecksFollowTheBuild) {
#ifdef NDEBUG
  DCHECK(false);
  DCHECK_EQ(1, 2);
#else
  EXPECT_THROW(DCHECK(false), ValueError);
  EXPECT_THROW(DCHECK_EQ(1, 2), ValueError);
#endif
}

}  // namespace
}  // namespace caffe
