#ifndef CAFFE_UTIL_PARALLEL_HPP_
#define CAFFE_UTIL_PARALLEL_HPP_

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "caffe/util/parallel_tasks.hpp"

namespace caffe {

/// Calls body(begin, end) for parts that together cover 0..count, one per thread.
/// Parts start at multiples of 64 elements, so that no two threads write one cache
/// line. The body must not throw.
template <typename Body>
void ParallelChunks(std::int64_t count, const Body& body) {
  if (count <= kParallelGrain) {
    body(std::int64_t{0}, count);
    return;
  }
#pragma omp parallel
  {
    const std::int64_t threads = omp_get_num_threads();
    const std::int64_t part = (count + threads * 64 - 1) / (threads * 64) * 64;
    const std::int64_t begin = std::min(count, omp_get_thread_num() * part);
    const std::int64_t end = std::min(count, begin + part);
    // A copy of its own: what the body holds then stays in registers, where a store
    // of the loop cannot have changed it.
    const Body own = body;
    if (begin < end) own(begin, end);
  }
}

/// The sum of term(i) over begin..end, in double.
template <typename Term>
double SumOf(std::int64_t begin, std::int64_t end, const Term& term) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = begin; i < end; ++i) sum += term(i);
  return sum;
}

/// The same over 0..count, in parallel. Its parts do not depend on the number of
/// threads, so neither does the result.
template <typename Term>
double ParallelSum(std::int64_t count, const Term& term) {
  constexpr std::int64_t kPart = 4096;
  std::vector<double> parts((count + kPart - 1) / kPart);
  ParallelTasks(static_cast<std::int64_t>(parts.size()), count, [&](std::int64_t p) {
    parts[p] = SumOf(p * kPart, std::min(count, (p + 1) * kPart), term);
  });
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

}  // namespace caffe

#endif  // CAFFE_UTIL_PARALLEL_HPP_
