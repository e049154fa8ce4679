#ifndef CAFFE_LAYERS_CHANNEL_SUMS_CUH_
#define CAFFE_LAYERS_CHANNEL_SUMS_CUH_

// Sums over the elements that share a coefficient, on a GPU: gradients of parameters,
// statistics, losses.
//
// Each is split into parts, so that a few long sums keep the whole GPU busy. How depends
// on the shape alone, and everything is added up in double in a fixed order: equal inputs
// give equal bits on every device.

#include <algorithm>
#include <array>
#include <cstdint>

#include "caffe/gpu/buffer.hpp"
#include "caffe/gpu/divisor.hpp"
#include "caffe/layers/channel_tiles.hpp"
#include "caffe/util/block_sum.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace channel_sums {

/// Blocks that are enough for every GPU.
constexpr int kBlocks = 1024;

/// The terms of one sum, or of the sums of neighbouring coefficients.
struct Parts {
  int terms, parts, per_part;

  /// As few parts as make kBlocks with `groups` of sums, of `least` terms or more.
  static Parts Of(std::int64_t terms, std::int64_t groups, int least) {
    const std::int64_t wanted = kBlocks / std::max<std::int64_t>(groups, 1) + 1;
    const std::int64_t most = std::max<std::int64_t>(std::min(wanted, terms / least), 1);
    const std::int64_t per_part = (terms + most - 1) / most;
    const std::int64_t parts = per_part > 0 ? (terms + per_part - 1) / per_part : 1;
    return {static_cast<int>(terms), static_cast<int>(parts), static_cast<int>(per_part)};
  }
  // Unsigned, so that a step beyond the end does not overflow.
  __device__ unsigned int Begin(int part) const { return part * per_part; }
  __device__ unsigned int End(int part) const {
    return part == parts - 1 ? terms : (part + 1) * per_part;
  }
};

/// Where a block leaves the sums of part p: with `finish`, or for FinishParts.
template <int kSums, typename Finish>
struct Outcome {
  Finish finish;
  int coefficients, parts;
  double* partial;  ///< (kSums, coefficients, parts); unused where there is one part

  __device__ void Leave(int coefficient, int part, const double* sums) const {
    if (parts == 1) return finish(coefficient, sums);
    for (int q = 0; q < kSums; ++q) {
      partial[(std::int64_t{q} * coefficients + coefficient) * parts + part] = sums[q];
    }
  }
};

/// Plain data: a block adds up a part of the terms of one coefficient.
template <int kSums, typename Term, typename Finish>
__global__ void SumRows(Parts parts, Divisor spatial, int period, Term term,
                        Outcome<kSums, Finish> outcome) {
  const int k = blockIdx.x / parts.parts, part = blockIdx.x % parts.parts;
  double sums[kSums] = {};
  const unsigned int end = parts.End(part);
  for (unsigned int e = parts.Begin(part) + threadIdx.x; e < end; e += blockDim.x) {
    int s;
    const int repeat = spatial.Quotient(static_cast<int>(e), &s);
    term((repeat * period + k) * spatial.divisor() + s, k, sums);
  }
  for (int q = 0; q < kSums; ++q) sums[q] = BlockSum(sums[q]);
  if (threadIdx.x == 0) outcome.Leave(k, part, sums);
}

constexpr int kColumnThreads = 256;

/// Coefficients side by side: `lanes` neighbouring ones make a group, of which a block
/// adds up a part of the terms. Its threads are rows of `lanes`.
template <int kSums, typename Term, typename Finish>
__global__ void SumColumns(Parts parts, Divisor spatial, int tiles, int width, int lanes,
                           Term term, Outcome<kSums, Finish> outcome) {
  __shared__ double partial[kSums][kColumnThreads];
  const int part = blockIdx.x % parts.parts, group = blockIdx.x / parts.parts;
  const int groups = (width + lanes - 1) / lanes;
  const int tile = group / groups;
  const int lane = threadIdx.x % lanes;
  const int column = group % groups * lanes + lane;
  const int k = tile * width + column;
  const int rows = blockDim.x / lanes, row = threadIdx.x / lanes;
  double sums[kSums] = {};
  if (column < width) {
    const unsigned int end = parts.End(part);
    for (unsigned int e = parts.Begin(part) + row; e < end; e += rows) {
      int s;
      const int repeat = spatial.Quotient(static_cast<int>(e), &s);
      term(((repeat * tiles + tile) * spatial.divisor() + s) * width + column, k, sums);
    }
  }
  for (int q = 0; q < kSums; ++q) partial[q][threadIdx.x] = sums[q];
  __syncthreads();
  if (row > 0 || column >= width) return;
  for (int q = 0; q < kSums; ++q) {
    for (int other = 1; other < rows; ++other)
      sums[q] += partial[q][other * lanes + lane];
  }
  outcome.Leave(k, part, sums);
}

/// One block per coefficient adds up its parts.
template <int kSums, typename Finish>
__global__ void FinishParts(Outcome<kSums, Finish> outcome) {
  const int k = blockIdx.x;
  double sums[kSums];
  for (int q = 0; q < kSums; ++q) {
    const double* partial =
        outcome.partial + (std::int64_t{q} * outcome.coefficients + k) * outcome.parts;
    double sum = 0;
    for (int part = threadIdx.x; part < outcome.parts; part += blockDim.x) {
      sum += partial[part];
    }
    sums[q] = BlockSum(sum);
  }
  if (threadIdx.x == 0) outcome.finish(k, sums);
}

inline int PowerOfTwoFrom(std::int64_t least, int most) {
  int power = 1;
  while (power < most && power < least) power *= 2;
  return power;
}

}  // namespace channel_sums

/// kSums sums for every coefficient k of `tiles`, in double: term(i, k, sums) adds what
/// element i contributes, then finish(k, sums) is called once, also where there are no
/// elements. Both are functors, or `__device__` lambdas.
template <int kSums, typename Term, typename Finish>
void SumByCoefficient(ChannelTiles tiles, Term term, Finish finish) {
  using channel_sums::kColumnThreads;
  using channel_sums::Parts;
  // Without an extent behind the coefficients they lie side by side.
  if (tiles.spatial == 1) tiles.width = static_cast<int>(tiles.period);
  const int width = tiles.width, period = static_cast<int>(tiles.period);
  const bool columns = width > 1;
  const int lanes = channel_sums::PowerOfTwoFrom(width, kWarp);
  const std::int64_t groups =
      columns ? tiles.tiles_per_repeat() * ((width + lanes - 1) / lanes) : period;
  const Parts parts =
      Parts::Of(tiles.repeats * tiles.spatial, groups, columns ? 64 : 4096);
  const bool split = parts.parts > 1;
  const DeviceBuffer<double> partial(split ? std::size_t{kSums} * period * parts.parts
                                           : 0);
  const channel_sums::Outcome<kSums, Finish> outcome = {finish, period, parts.parts,
                                                        partial.get()};
  const Divisor spatial(static_cast<int>(tiles.spatial));
  const int blocks = static_cast<int>(groups * parts.parts);
  if (columns) {
    const int rows = channel_sums::PowerOfTwoFrom(parts.per_part, kColumnThreads / lanes);
    LaunchKernel(channel_sums::SumColumns<kSums, Term, Finish>, blocks, rows * lanes,
                 parts, spatial, static_cast<int>(tiles.tiles_per_repeat()), width, lanes,
                 term, outcome);
  } else {
    LaunchKernel(channel_sums::SumRows<kSums, Term, Finish>, blocks,
                 ThreadsFor(parts.per_part), parts, spatial, period, term, outcome);
  }
  if (split) {
    LaunchKernel(channel_sums::FinishParts<kSums, Finish>, period,
                 ThreadsFor(parts.parts), outcome);
  }
}

template <int kSums>
struct StoreSums {
  double* to;
  __device__ void operator()(int /*k*/, const double* sums) const {
    for (int q = 0; q < kSums; ++q) to[q] = sums[q];
  }
};

/// The sums over `count` elements, of term(i, 0, sums), for the host: waits for them.
template <int kSums, typename Term>
std::array<double, kSums> SumOverAll(int count, Term term) {
  const DeviceBuffer<double> on_device(kSums);
  SumByCoefficient<kSums>(ChannelTiles{1, 1, count, 1}, term,
                          StoreSums<kSums>{on_device.get()});
  std::array<double, kSums> sums;
  device::Copy(sums.data(), on_device.get(), sizeof(sums));
  return sums;
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_CHANNEL_SUMS_CUH_
