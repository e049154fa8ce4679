#ifndef CAFFE_UTIL_RNG_HPP_
#define CAFFE_UTIL_RNG_HPP_

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <limits>
#include <random>

#include "caffe/util/host_device.hpp"

namespace caffe {

/// Counter-based generator: Philox 4x32 with 10 rounds.
///
/// Draw number i of stream s under seed k is a pure function of (k, s, i), so a
/// stream can be placed anywhere at no cost, and independent streams need no
/// hand-over between threads. Meets UniformRandomBitGenerator.
/// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
class Philox {
 public:
  using result_type = std::uint32_t;

  explicit Philox(std::uint64_t seed = 0, std::uint64_t stream = 0)
      : seed_(seed), stream_(stream) {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }

  result_type operator()() {
    if (counter_ % 4 == 0 || !filled_) Fill();
    return block_[counter_++ % 4];
  }

  std::uint64_t seed() const { return seed_; }
  std::uint64_t stream() const { return stream_; }
  /// Number of 32-bit draws made so far.
  std::uint64_t counter() const { return counter_; }
  /// Places the generator before draw number `counter`.
  void Seek(std::uint64_t counter) {
    counter_ = counter;
    filled_ = false;
  }
  void seed(std::uint64_t value) { *this = Philox(value, stream_); }
  void discard(unsigned long long count) { Seek(counter_ + count); }

  /// The `count` draws from number `first` on, as operator() would give them after
  /// Seek(first), and several times faster. Leaves this generator where it is.
  void Draws(std::uint64_t first, std::size_t count, result_type* draws) const {
    constexpr int kLanes = 16;
    result_type blocks[4 * kLanes];
    while (count > 0) {
      Blocks<kLanes>(seed_, stream_, first / 4, blocks);
      const std::size_t skip = first % 4;
      const std::size_t taken = std::min(count, 4 * kLanes - skip);
      std::copy_n(blocks + skip, taken, draws);
      draws += taken;
      first += taken;
      count -= taken;
    }
  }

  /// Draws 4 * index to 4 * index + 3 of a stream, for kernels too.
  CAFFE_HOST_DEVICE static void FourDraws(std::uint64_t seed, std::uint64_t stream,
                                          std::uint64_t index, result_type* draws) {
    Blocks<1>(seed, stream, index, draws);
  }

  friend bool operator==(const Philox& a, const Philox& b) {
    return a.seed_ == b.seed_ && a.stream_ == b.stream_ && a.counter_ == b.counter_;
  }

  using Words = std::array<std::uint32_t, 4>;
  /// The paper's function of a 128-bit counter and a 64-bit key, low word first.
  static Words Block(Words counter, std::uint32_t key0, std::uint32_t key1) {
    std::uint32_t x[4][1] = {{counter[0]}, {counter[1]}, {counter[2]}, {counter[3]}};
    Rounds(x, key0, key1);
    return {x[0][0], x[1][0], x[2][0], x[3][0]};
  }

 private:
  void Fill() {
    Blocks<1>(seed_, stream_, counter_ / 4, block_.data());
    filled_ = true;
  }

  // The ten rounds on kLanes counters. The lanes are independent, so the compiler
  // computes them side by side.
  template <int kLanes>
  CAFFE_HOST_DEVICE static void Rounds(std::uint32_t (&x)[4][kLanes], std::uint32_t key0,
                                       std::uint32_t key1) {
    for (int round = 0; round < 10; ++round) {
      for (int i = 0; i < kLanes; ++i) {
        const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * x[0][i];
        const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * x[2][i];
        x[0][i] = static_cast<std::uint32_t>(p1 >> 32) ^ x[1][i] ^ key0;
        x[1][i] = static_cast<std::uint32_t>(p1);
        x[2][i] = static_cast<std::uint32_t>(p0 >> 32) ^ x[3][i] ^ key1;
        x[3][i] = static_cast<std::uint32_t>(p0);
      }
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
  }

  // Blocks index .. index + kLanes - 1 of a stream, four draws each.
  template <int kLanes>
  CAFFE_HOST_DEVICE static void Blocks(std::uint64_t seed, std::uint64_t stream,
                                       std::uint64_t index, result_type* out) {
    std::uint32_t x[4][kLanes];
    for (int i = 0; i < kLanes; ++i) {
      x[0][i] = static_cast<std::uint32_t>(index + i);
      x[1][i] = static_cast<std::uint32_t>((index + i) >> 32);
      x[2][i] = static_cast<std::uint32_t>(stream);
      x[3][i] = static_cast<std::uint32_t>(stream >> 32);
    }
    Rounds(x, static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
    for (int i = 0; i < kLanes; ++i) {
      for (int j = 0; j < 4; ++j) out[4 * i + j] = x[j][i];
    }
  }

  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t counter_ = 0;
  Words block_ = {};
  bool filled_ = false;
};

using rng_t = Philox;

/// The calling thread's generator.
rng_t* caffe_rng();

/// Fisher-Yates over [begin, end) with `gen`.
template <class RandomAccessIterator, class RandomGenerator>
inline void shuffle(RandomAccessIterator begin, RandomAccessIterator end,
                    RandomGenerator* gen) {
  const auto length = std::distance(begin, end);
  for (auto i = length - 1; i > 0; --i) {
    std::uniform_int_distribution<std::int64_t> pick(0, i);
    std::iter_swap(begin + i, begin + pick(*gen));
  }
}

template <class RandomAccessIterator>
inline void shuffle(RandomAccessIterator begin, RandomAccessIterator end) {
  shuffle(begin, end, caffe_rng());
}

}  // namespace caffe

#endif  // CAFFE_UTIL_RNG_HPP_
