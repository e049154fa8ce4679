#include "caffe/util/allowed_cores.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "util/temporary_folder.hpp"

namespace caffe {
namespace {

// A file system with the given control groups in it.
class CoreQuotaTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::string root() const { return folder_.path(); }

 private:
  test::TemporaryFolder folder_;
};

TEST_F(CoreQuotaTest, NoControlGroupsNoLimit) {
  EXPECT_TRUE(std::isinf(CoreQuota(root())));
  EXPECT_EQ(TimesThrottled(root()), 0);
}

TEST_F(CoreQuotaTest, SmallestOfTheUnifiedGroups) {
  Write("/proc/self/cgroup", "0::/one/two\n");
  Write("/sys/fs/cgroup/one/cpu.max", "150000 100000\n");
  Write("/sys/fs/cgroup/one/cpu.stat", "usage_usec 5\nnr_periods 9\nnr_throttled 7\n");
  Write("/sys/fs/cgroup/one/two/cpu.max", "max 100000\n");
  EXPECT_DOUBLE_EQ(CoreQuota(root()), 1.5);
  EXPECT_EQ(TimesThrottled(root()), 7);
  Write("/sys/fs/cgroup/one/two/cpu.max", "50000 100000\n");
  EXPECT_DOUBLE_EQ(CoreQuota(root()), 0.5);
}

TEST_F(CoreQuotaTest, ContainerSeesItsGroupAtTheRoot) {
  Write("/proc/self/cgroup", "0::/of/the/host\n");
  Write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_DOUBLE_EQ(CoreQuota(root()), 2);
}

TEST_F(CoreQuotaTest, FirstVersionOfTheInterface) {
  Write("/proc/self/cgroup", "9:cpuset:/x\n4:cpu,cpuacct:/one\n0::/\n");
  Write("/sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_quota_us", "250000\n");
  Write("/sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_period_us", "100000\n");
  EXPECT_DOUBLE_EQ(CoreQuota(root()), 2.5);
  Write("/sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_quota_us", "-1\n");
  EXPECT_TRUE(std::isinf(CoreQuota(root())));
}

TEST_F(CoreQuotaTest, NonsenseIsNoLimit) {
  Write("/proc/self/cgroup", "0::/a\nno colons\n:\n");
  Write("/sys/fs/cgroup/a/cpu.max", "many few\n");
  EXPECT_TRUE(std::isinf(CoreQuota(root())));
}

TEST(AllowedCores, AreThoseOfTheMaskAtMost) {
  EXPECT_GE(AllowedCores(), 1);
  EXPECT_LE(AllowedCores(), omp_get_num_procs());
}

TEST(AllowedCores, NumberThatTheProgramChoseStays) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(omp_get_num_procs() + 3);
  UseAllowedCores();
  EXPECT_EQ(omp_get_max_threads(), omp_get_num_procs() + 3);
  omp_set_num_threads(before);
}

}  // namespace
}  // namespace caffe
