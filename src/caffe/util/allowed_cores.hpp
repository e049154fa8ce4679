#ifndef CAFFE_UTIL_ALLOWED_CORES_HPP_
#define CAFFE_UTIL_ALLOWED_CORES_HPP_

#include <string>

namespace caffe {

/// The processor time that the control groups of this process allow, in cores (1.5: three
/// seconds in two); infinity where they set no limit. Both versions of the interface are
/// read, and every group up to the root: the smallest quota holds. `root` stands before
/// /proc and /sys.
double CoreQuota(const std::string& root = "");

/// The cores that this process may really use, at least 1: those of its affinity mask,
/// and no more than its quota rounded up. Asked of the system once.
int AllowedCores();

/// Lets parallel regions that the calling thread starts have AllowedCores() threads, as
/// far as nobody has chosen their number (OMP_NUM_THREADS, omp_set_num_threads).
void UseAllowedCores();

/// How often the control groups have stopped this process because its quota was used up,
/// or 0 without a quota.
long long TimesThrottled(const std::string& root = "");

}  // namespace caffe

#endif  // CAFFE_UTIL_ALLOWED_CORES_HPP_
