#include "caffe/util/flags.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "util/temporary_folder.hpp"

DEFINE_string(test_name, "none", "A text.");
DEFINE_bool(test_switch, false, "Yes or no.");
DEFINE_int32(test_small, -7, "An int.");
DEFINE_uint32(test_natural, 7, "An unsigned.");
DEFINE_int64(test_large, int64_t{1} << 40, "A long.");
DEFINE_uint64(test_huge, 1, "An unsigned long.");
DEFINE_double(test_rate, 0.5, "A double.");
DEFINE_int32(test_even, 2, "An even number.");
DEFINE_validator(test_even,
                 [](const char*, std::int32_t value) { return value % 2 == 0; });
DECLARE_string(test_name);
DECLARE_double(test_rate);

namespace caffe {
namespace {

using test::MessageOf;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// argv of a program; its flags start, and are left, at their defaults.
class FlagsTest : public ::testing::Test {
 protected:
  FlagsTest() { Reset(); }
  ~FlagsTest() override { Reset(); }

  static void Reset() {
    std::vector<gflags::CommandLineFlagInfo> all;
    gflags::GetAllFlags(&all);
    for (const auto& flag : all) {
      if (flag.name.rfind("test_", 0) != 0) continue;
      gflags::SetCommandLineOption(flag.name.c_str(), flag.default_value.c_str());
    }
  }

  /// Returns what ParseCommandLineFlags does; `left_` is argv behind the program.
  int Parse(std::vector<std::string> arguments, bool remove = true) {
    return Run(std::move(arguments), [&](int* argc, char*** argv) {
      return static_cast<int>(gflags::ParseCommandLineFlags(argc, argv, remove));
    });
  }

  template <typename Function>
  int Run(std::vector<std::string> arguments, Function function) {
    arguments.insert(arguments.begin(), "some/program");
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    int argc = static_cast<int>(arguments.size());
    char** argv = pointers.data();
    const int result = function(&argc, &argv);
    EXPECT_EQ(argv[argc], nullptr);
    left_.assign(argv + 1, argv + argc);
    return result;
  }

  std::vector<std::string> left_;
};

TEST_F(FlagsTest, TakesGflagsSpellings) {
  EXPECT_EQ(Parse({"train", "-test_name=a b", "--test_small", "-3", "--test_switch",
                   "-test_natural=0x10", "x", "-test_large=-1099511627776",
                   "-test_huge=18446744073709551615", "-test_rate", "1e-3", "-", "--",
                   "-test_name=c"}),
            1);
  EXPECT_EQ(FLAGS_test_name, "a b");
  EXPECT_EQ(FLAGS_test_small, -3);
  EXPECT_TRUE(FLAGS_test_switch);
  EXPECT_EQ(FLAGS_test_natural, 16u);
  EXPECT_EQ(FLAGS_test_large, -(int64_t{1} << 40));
  EXPECT_EQ(FLAGS_test_huge, UINT64_MAX);
  EXPECT_EQ(FLAGS_test_rate, 1e-3);
  EXPECT_THAT(left_, ElementsAre("train", "x", "-", "-test_name=c"));
  Parse({"-notest_switch"});
  EXPECT_FALSE(FLAGS_test_switch);
  Parse({"-test_switch=yes", "-test_name="});
  EXPECT_TRUE(FLAGS_test_switch);
  EXPECT_EQ(FLAGS_test_name, "");
  EXPECT_STREQ(gflags::ProgramInvocationShortName(), "program");
}

TEST_F(FlagsTest, MayKeepTheFlagsInFront) {
  EXPECT_EQ(Parse({"train", "-test_small", "4", "x"}, false), 3);
  EXPECT_THAT(left_, ElementsAre("-test_small", "4", "train", "x"));
}

TEST_F(FlagsTest, SaysWhatIsWrong) {
  const auto error = [&](const std::string& argument) {
    return MessageOf<ValueError>([&] { Parse({argument}); });
  };
  EXPECT_THAT(
      error("-test_nam=x"),
      AllOf(HasSubstr("unknown command line flag 'test_nam'"), HasSubstr("'test_name'")));
  EXPECT_THAT(error("-notest_name"), HasSubstr("unknown"));
  EXPECT_THAT(error("-test_small=4x"), AllOf(HasSubstr("'4x'"), HasSubstr("int32")));
  EXPECT_THAT(error("-test_small=2147483648"), HasSubstr("int32"));
  EXPECT_THAT(error("-test_natural=-1"), HasSubstr("uint32"));
  EXPECT_THAT(error("-test_switch=perhaps"), HasSubstr("bool"));
  EXPECT_THAT(error("-test_rate="), HasSubstr("double"));
  EXPECT_THAT(error("-test_name"), HasSubstr("has no value"));
  EXPECT_THAT(error("-test_even=3"), HasSubstr("refuses"));
  EXPECT_EQ(FLAGS_test_even, 2);
  EXPECT_EQ(FLAGS_test_small, -7);
  Parse({"-undefok=later,other", "-later=1"});
}

TEST_F(FlagsTest, GlobalInitParsesThem) {
  const auto init = [](int* argc, char*** argv) {
    GlobalInit(argc, argv);
    return 0;
  };
  const int verbose = FLAGS_v;
  Run({"train", "-test_name=solver", "--v=3"}, init);
  EXPECT_EQ(FLAGS_test_name, "solver");
  EXPECT_EQ(logging::VerboseLevel(), 3);
  FLAGS_v = verbose;
  EXPECT_THAT(left_, ElementsAre("train"));
  EXPECT_THAT(MessageOf<ValueError>([&] { Run({"--solvr=x"}, init); }),
              HasSubstr("'solvr'"));
}

TEST_F(FlagsTest, ReadsThemFromAFile) {
  test::TemporaryFolder folder;
  test::WriteBytes(folder / "flags", "# a comment\n-test_small=9\r\n\n  --test_switch\n");
  Parse({"-flagfile=" + (folder / "flags"), "-test_name=x"});
  EXPECT_EQ(FLAGS_test_small, 9);
  EXPECT_TRUE(FLAGS_test_switch);
  EXPECT_THAT(MessageOf<FileError>([&] { Parse({"-flagfile", folder / "none"}); }),
              HasSubstr("No such file"));
}

TEST_F(FlagsTest, TellsAboutThemselves) {
  std::string value;
  EXPECT_TRUE(gflags::GetCommandLineOption("test_rate", &value));
  EXPECT_EQ(value, "0.5");
  EXPECT_FALSE(gflags::GetCommandLineOption("test_none", &value));
  EXPECT_THAT(gflags::SetCommandLineOption("test_even", "8"), HasSubstr("8"));
  EXPECT_EQ(gflags::SetCommandLineOption("test_even", "9"), "");
  gflags::CommandLineFlagInfo info;
  ASSERT_TRUE(gflags::GetCommandLineFlagInfo("test_even", &info));
  EXPECT_EQ(info.type, "int32");
  EXPECT_EQ(info.current_value, "8");
  EXPECT_EQ(info.default_value, "2");
  EXPECT_FALSE(info.is_default);
  EXPECT_THAT(info.filename, HasSubstr("flags_test.cpp"));
  EXPECT_EQ(info.flag_ptr, &FLAGS_test_even);
}

TEST_F(FlagsTest, HelpListsThemAndExits) {
  gflags::SetUsageMessage("does things\n");
  gflags::SetVersionString("1.2");
  // What is printed to stdout, as death tests read stderr.
  const auto parse = [&](const std::string& argument) {
    testing::internal::CaptureStdout();
    EXPECT_EXIT(Parse({argument}),
                testing::ExitedWithCode(argument == "-version" ? 0 : 1), "");
    return testing::internal::GetCapturedStdout();
  };
  const std::string help = parse("--help");
  EXPECT_THAT(help, HasSubstr("program: does things\n"));
  EXPECT_THAT(help, HasSubstr("Flags from"));
  EXPECT_THAT(help, HasSubstr("-test_name (A text.) type: string default: \"none\"\n"));
  EXPECT_THAT(help, HasSubstr("-test_even (An even number.) type: int32 default: 2\n"));
  EXPECT_THAT(parse("-version"), HasSubstr("program version 1.2\n"));

  testing::internal::CaptureStdout();
  gflags::ShowUsageWithFlagsRestrict("tools/x", "util/flags_test");
  const std::string shown = testing::internal::GetCapturedStdout();
  EXPECT_THAT(shown, AllOf(HasSubstr("x: does things"), HasSubstr("-test_rate")));
  EXPECT_THAT(shown, testing::Not(HasSubstr("-minloglevel")));
}

// Those of a plugin that is closed again are gone.
TEST_F(FlagsTest, LiveAsLongAsTheirRegistration) {
  std::int32_t variable = 4;
  std::string value;
  {
    const flags::Registration flag("test_passing", "", "a.cpp", &variable);
    EXPECT_TRUE(gflags::GetCommandLineOption("test_passing", &value));
    EXPECT_EQ(value, "4");
  }
  EXPECT_FALSE(gflags::GetCommandLineOption("test_passing", &value));
}

}  // namespace
}  // namespace caffe
