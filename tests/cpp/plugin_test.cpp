#include "caffe/plugin.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "caffe/layer_factory.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string PluginPath(const std::string& name) {
  return Str(CAFFE_TEST_PLUGINS, "/lib", name, ".so");
}

/// The kind and message of the Error that loading `path` throws.
struct Refusal {
  ErrorKind kind = ErrorKind::kNotImplemented;
  std::string message;
};

Refusal RefusalOf(const std::string& path) {
  try {
    LoadPlugin(path);
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {};
}

std::vector<std::string> Types() { return LayerRegistry<double>::LayerTypeList(); }

TEST(PluginTest, AddsItsLayersToTheRegistry) {
  EXPECT_THAT(LoadPlugin(PluginPath("unit_norm")), ElementsAre("UnitNorm"));
  EXPECT_THAT(LayerRegistry<float>::LayerTypeList(), Contains("UnitNorm"));
  EXPECT_THAT(LayerRegistry<double>::LayerTypeList(), Contains("UnitNorm"));
}

TEST(PluginTest, LoadingAgainIsNoError) {
  LoadPlugin(PluginPath("unit_norm"));
  EXPECT_THAT(LoadPlugin(PluginPath("unit_norm")), ElementsAre("UnitNorm"));
}

TEST(PluginTest, TakesAPathRelativeToTheWorkingFolder) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(CAFFE_TEST_PLUGINS);
  const auto types = LoadPlugin("libchannel_shuffle.so");
  std::filesystem::current_path(before);
  EXPECT_THAT(types, ElementsAre("ChannelShuffle"));
}

TEST(PluginTest, RefusesAMissingFile) {
  const Refusal refusal = RefusalOf("no/such/libmine.so");
  EXPECT_EQ(refusal.kind, ErrorKind::kFile);
  EXPECT_THAT(refusal.message, AllOf(HasSubstr("plugin"), HasSubstr("no/such/libmine.so"),
                                     HasSubstr("No such file")));
}

TEST(PluginTest, RefusesASourceFile) {
  const Refusal refusal = RefusalOf(CAFFE_SOURCE_DIR "/tests/cpp/plugin_test.cpp");
  EXPECT_EQ(refusal.kind, ErrorKind::kFile);
  EXPECT_THAT(refusal.message,
              AllOf(HasSubstr("plugin_test.cpp"), HasSubstr("caffe build-plugin")));
}

TEST(PluginTest, RefusesAPluginOfAnotherVersionBeforeItRuns) {
  const Refusal refusal = RefusalOf(PluginPath("other_version"));
  EXPECT_EQ(refusal.kind, ErrorKind::kFile);
  EXPECT_THAT(refusal.message,
              AllOf(HasSubstr("libother_version.so"), HasSubstr("libcaffe.so.9.9"),
                    HasSubstr("expected libcaffe.so."), HasSubstr("build it again")));
}

TEST(PluginTest, RefusesATypeThatIsTakenAndLeavesNothingBehind) {
  const auto before = Types();
  const Refusal refusal = RefusalOf(PluginPath("taken_name"));
  EXPECT_EQ(refusal.kind, ErrorKind::kValue);
  EXPECT_THAT(refusal.message, AllOf(HasSubstr("libtaken_name.so"), HasSubstr("'Axpy'"),
                                     HasSubstr("another name")));
  EXPECT_EQ(Types(), before);
  EXPECT_THAT(before, Not(Contains("TakenName")));
  // It stays mapped, so a second try tells the same and not that nothing is new.
  EXPECT_EQ(RefusalOf(PluginPath("taken_name")).message, refusal.message);
}

TEST(PluginTest, RefusesAPluginThatRegistersNothing) {
  const Refusal refusal = RefusalOf(PluginPath("registers_nothing"));
  EXPECT_EQ(refusal.kind, ErrorKind::kValue);
  EXPECT_THAT(refusal.message,
              AllOf(HasSubstr("libregisters_nothing.so"), HasSubstr("no layer"),
                    HasSubstr("REGISTER_LAYER_CLASS")));
}

TEST(PluginTest, NamesTheSymbolThatIsMissing) {
  const Refusal refusal = RefusalOf(PluginPath("unresolved"));
  EXPECT_EQ(refusal.kind, ErrorKind::kFile);
  EXPECT_THAT(refusal.message, AllOf(HasSubstr("libunresolved.so"),
                                     HasSubstr("caffe::FunctionOfAnotherBuild(int)"),
                                     HasSubstr("caffe build-plugin")));
}

TEST(PluginTest, UnknownLayersPointToPlugins) {
  LayerParameter param;
  param.set_name("mine");
  param.set_type("LayerOfSomePlugin");
  const std::string message =
      ErrorOfAction([&] { LayerRegistry<float>::CreateLayer(param); });
  EXPECT_THAT(message, AllOf(HasSubstr("mine"), HasSubstr("LayerOfSomePlugin"),
                             HasSubstr("load_plugin")));
}

TEST(PluginTest, ReadsTheEnvironmentOnceAndNamesIt) {
  const std::string list = Str(PluginPath("unit_norm"), "::no/such/libmine.so");
  ASSERT_EQ(setenv("CAFFE_PLUGINS", list.c_str(), 1), 0);
  const std::string message = ErrorOfAction([] { LoadPluginsFromEnvironment(); });
  EXPECT_THAT(message,
              AllOf(HasSubstr("CAFFE_PLUGINS"), HasSubstr("no/such/libmine.so")));
  EXPECT_THAT(Types(), Contains("UnitNorm"));

  ASSERT_EQ(setenv("CAFFE_PLUGINS", PluginPath("channel_shuffle").c_str(), 1), 0);
  LoadPluginsFromEnvironment();
  EXPECT_THAT(Types(), Contains("ChannelShuffle"));

  ASSERT_EQ(setenv("CAFFE_PLUGINS", "no/such/libmine.so", 1), 0);
  EXPECT_NO_THROW(LoadPluginsFromEnvironment());
  unsetenv("CAFFE_PLUGINS");
}

}  // namespace
}  // namespace test
}  // namespace caffe
