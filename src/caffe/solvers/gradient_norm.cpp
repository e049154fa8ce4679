#include "caffe/solvers/gradient_norm.hpp"

#include <algorithm>
#include <vector>

#include "caffe/solvers/device_update.hpp"

namespace caffe {
namespace {

template <typename Dtype>
double SumOfSquares(const Dtype* values, int count) {
  constexpr int kChunk = 1 << 13;
  const int chunks = (count + kChunk - 1) / kChunk;
  std::vector<double> sums(chunks);
#pragma omp parallel for schedule(static) if (chunks > 4)
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const int begin = chunk * kChunk;
    const int end = std::min(begin + kChunk, count);
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int i = begin; i < end; ++i) sum += double{values[i]} * double{values[i]};
    sums[chunk] = sum;
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

template <typename Dtype>
double SumOfSquaredGradients(const Net<Dtype>& net) {
  std::vector<const Blob<Dtype>*> written;
  for (const Blob<Dtype>* param : net.learnable_params()) {
    // Else all zero, and not worth allocating.
    if (param->diff()->head() != SyncedMemory::UNINITIALIZED) written.push_back(param);
  }
  if (Caffe::mode() == Caffe::GPU) {
    std::vector<DeviceArray<Dtype>> diffs;
    for (const auto* param : written)
      diffs.push_back({param->gpu_diff(), param->count()});
    return SumOfSquaresOnDevice(diffs);
  }
  double sum = 0;
  for (const auto* param : written)
    sum += SumOfSquares(param->cpu_diff(), param->count());
  return sum;
}

template double SumOfSquaredGradients(const Net<float>&);
template double SumOfSquaredGradients(const Net<double>&);

}  // namespace caffe
