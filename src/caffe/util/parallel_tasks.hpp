#ifndef CAFFE_UTIL_PARALLEL_TASKS_HPP_
#define CAFFE_UTIL_PARALLEL_TASKS_HPP_

#include <cstdint>

namespace caffe {

/// Below this many elements starting threads costs more than they save.
constexpr std::int64_t kParallelGrain = 1 << 15;

/// Calls body(task) for 0..tasks in parallel when the tasks touch `elements` elements
/// in all and that is worth it. The body must not throw.
template <typename Body>
void ParallelTasks(std::int64_t tasks, std::int64_t elements, const Body& body) {
#pragma omp parallel for schedule(static) if (tasks > 1 && elements > kParallelGrain)
  for (std::int64_t task = 0; task < tasks; ++task) body(task);
}

}  // namespace caffe

#endif  // CAFFE_UTIL_PARALLEL_TASKS_HPP_
