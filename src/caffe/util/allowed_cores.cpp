#include "caffe/util/allowed_cores.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

namespace caffe {

namespace {

// One folder of a control group, and which of the two interfaces it has.
struct ControlGroup {
  std::string folder;
  bool unified;
};

// "cpu,cpuacct" names the controller "cpu".
bool HasController(const std::string& controllers, const std::string& name) {
  std::istringstream list(controllers);
  for (std::string one; std::getline(list, one, ',');) {
    if (one == name) return true;
  }
  return false;
}

// The groups of this process that may limit its processor time, innermost first. A line
// of /proc/self/cgroup is "number:controllers:/path". A container may see the path of its
// host, which its own file system lacks: the root then is its group.
std::vector<ControlGroup> ControlGroups(const std::string& root) {
  std::vector<ControlGroup> groups;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    std::vector<std::string> mounts;
    const bool unified = controllers.empty();
    if (unified) {
      mounts = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    } else if (HasController(controllers, "cpu")) {
      mounts = {"/sys/fs/cgroup/" + controllers, "/sys/fs/cgroup/cpu"};
    }
    for (;;) {
      for (const std::string& mount : mounts)
        groups.push_back({root + mount + path, unified});
      if (path.size() <= 1) break;
      path.erase(std::max<size_t>(path.rfind('/'), 1));
    }
  }
  return groups;
}

double QuotaOf(const ControlGroup& group) {
  double quota = -1, period = 0;
  if (group.unified) {
    // "max 100000", or two numbers of microseconds.
    std::ifstream(group.folder + "/cpu.max") >> quota >> period;
  } else {
    std::ifstream(group.folder + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(group.folder + "/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period
                                 : std::numeric_limits<double>::infinity();
}

}  // namespace

double CoreQuota(const std::string& root) {
  double quota = std::numeric_limits<double>::infinity();
  for (const ControlGroup& group : ControlGroups(root)) {
    quota = std::min(quota, QuotaOf(group));
  }
  return quota;
}

long long TimesThrottled(const std::string& root) {
  for (const ControlGroup& group : ControlGroups(root)) {
    if (std::isinf(QuotaOf(group))) continue;
    std::ifstream file(group.folder + "/cpu.stat");
    std::string name;
    for (long long value; file >> name >> value;) {
      if (name == "nr_throttled") return value;
    }
  }
  return 0;
}

int AllowedCores() {
  static const int cores = static_cast<int>(
      std::max(1.0, std::min<double>(omp_get_num_procs(), std::ceil(CoreQuota()))));
  return cores;
}

void UseAllowedCores() {
  static const bool chosen = std::getenv("OMP_NUM_THREADS") != nullptr;
  // What OpenMP begins with is all cores of the mask.
  if (!chosen && AllowedCores() < omp_get_max_threads() &&
      omp_get_max_threads() == omp_get_num_procs()) {
    omp_set_num_threads(AllowedCores());
  }
}

}  // namespace caffe
