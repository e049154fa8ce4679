#ifndef CAFFE_UTIL_SHARED_MACHINE_HPP_
#define CAFFE_UTIL_SHARED_MACHINE_HPP_

#include <cstdint>

namespace caffe {

/// How threads of parallel regions wait for each other. Alone on a machine they had
/// better spin, which is the fastest; where others want the same cores, they had better
/// sleep, or they take the cores from the very threads that they wait for.
class ThreadsThatWait {
 public:
  /// From now on they sleep nearly at once. libgomp, GNU's OpenMP, cuts their spinning
  /// short while it has started more threads than there are cores (its GOMP_SPINCOUNT
  /// documents this), so a few idle ones are added. Any other OpenMP is left as it is.
  static void Sleep();
  /// From now on they spin again as long as they do by default.
  static void Spin();
};

/// Decides between the two from how long the threads that compute were kept from running.
class Contention {
 public:
  /// For each time they were observed: the time that passed, and what the thread that
  /// waited longest spent waiting for a core, in ns; whether a quota stopped them.
  /// Returns whether others want the cores.
  bool Observe(std::int64_t passed_ns, std::int64_t waited_ns, bool throttled);

 private:
  bool contended_ = false;
  std::int64_t quiet_ns_ = 0;  ///< how long nobody has wanted them
};

/// To be called where a net begins to compute: looks at the machine some ten times a
/// second, and has threads wait as is best for it. Not where OMP_WAIT_POLICY or
/// GOMP_SPINCOUNT says how they shall wait. Costs a look at the clock otherwise.
void AdaptToMachine();

}  // namespace caffe

#endif  // CAFFE_UTIL_SHARED_MACHINE_HPP_
