#include "caffe/ops/branches.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "caffe/ops/for_block.hpp"
#include "caffe/ops/lanes.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {
namespace {

// A float accumulator is folded into double after this many positions.
constexpr std::int64_t kFold = 256;

template <typename T>
std::int64_t Spatial(const Tensor<T>& tensor) {
  const std::vector<int>& shape = tensor.shape();
  return tensor.count() / (std::int64_t{shape[0]} * shape[1]);
}

}  // namespace

template <typename T>
void AverageOfSum(const std::vector<Tensor<T>>& branches, T* mean) {
  if (branches[0].count() == 0) return;
  const int block = branches[0].block();
  std::vector<const T*> data;
  for (const Tensor<T>& branch : branches) data.push_back(branch.Read(block));
  const std::int64_t spatial = Spatial(branches[0]);
  const std::int64_t tiles = branches[0].count() / (spatial * block);
  ForBlock<T>(block, [&]<int K>() {
    using V = LanesOf<T, K>;
    ParallelTasks(tiles, branches[0].count(), [&](std::int64_t tile) {
      double totals[K] = {};
      for (std::int64_t first = 0; first < spatial; first += kFold) {
        const std::int64_t last = std::min(spatial, first + kFold);
        V sum = {};
        for (const T* branch : data) {
          const T* x = branch + tile * spatial * K;
          for (std::int64_t s = first; s < last; ++s) sum += Load<K>(x + s * K);
        }
        T lanes[K];
        Store<K>(lanes, sum);
        for (int l = 0; l < K; ++l) totals[l] += lanes[l];
      }
      for (int l = 0; l < K; ++l)
        mean[tile * K + l] = static_cast<T>(totals[l] / spatial);
    });
  });
}

template <typename T>
void WeightedSum(const T* a, Tensor<T> x, const T* b, Tensor<T> y, Tensor<T> dst) {
  if (x.count() == 0) return;
  const int block = x.block();
  const T* xs = x.Read(block);
  const T* ys = y.Read(block);
  T* out = dst.Write(block);
  const std::int64_t spatial = Spatial(x);
  const std::int64_t tiles = x.count() / (spatial * block);
  ForBlock<T>(block, [&]<int K>() {
    using V = LanesOf<T, K>;
    ParallelTasks(tiles, x.count(), [&](std::int64_t tile) {
      const V wa = Load<K>(a + tile * K), wb = Load<K>(b + tile * K);
      const std::int64_t first = tile * spatial * K, last = first + spatial * K;
      for (std::int64_t i = first; i < last; i += K) {
        Store<K>(out + i, V(wa * Load<K>(xs + i) + wb * Load<K>(ys + i)));
      }
    });
  });
}

#define INSTANTIATE_BRANCHES(T)                                  \
  template void AverageOfSum(const std::vector<Tensor<T>>&, T*); \
  template void WeightedSum(const T*, Tensor<T>, const T*, Tensor<T>, Tensor<T>)
INSTANTIATE_BRANCHES(float);
INSTANTIATE_BRANCHES(double);

}  // namespace caffe
