#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "caffe/ops/convolution/engines.hpp"
#include "caffe/ops/lanes.hpp"

// Grouped 2-d convolutions whose groups are narrower than a vector: 32 groups of 4 or 8
// channels, the 3x3 and dilated 3x3 branches of SKNet. oneDNN has no fast code for them
// in blocked layouts.
//
// One block of B channels holds B/G whole groups. An output lane needs the G input lanes
// of its own group, and lane j of every group at once is one permutation of the input
// vector. So each input vector is permuted G times, and each permutation is multiplied
// into every output column it reaches before the next is made: 3 multiply-adds for a
// permutation with stride 1, no multiplication wasted on zeros between groups.

namespace caffe {
namespace {

// Without vector registers it compiles, and takes no problem.
constexpr int kBlock = kFloatLanes > 1 ? kFloatLanes : 8;
constexpr int kTaps = 3;  // kernel width

using V = LanesOf<float, kBlock>;

// Lane l of the result is lane j of l's group.
template <int G, int J>
inline V BroadcastInGroups(V value) {
  typedef int Mask __attribute__((vector_size(kBlock * sizeof(int))));
  constexpr auto kMask = []<int... L>(std::integer_sequence<int, L...>) {
    return std::array<int, kBlock>{(L / G * G + J)...};
  }(std::make_integer_sequence<int, kBlock>());
  Mask mask;
  for (int l = 0; l < kBlock; ++l) mask[l] = kMask[l];
#if defined(__clang__)
  V result;
  for (int l = 0; l < kBlock; ++l) result[l] = value[kMask[l]];
  return result;
#else
  return __builtin_shuffle(value, mask);
#endif
}

template <int... I, typename Function>
inline __attribute__((always_inline)) void Unroll(std::integer_sequence<int, I...>,
                                                  Function function) {
  (function.template operator()<I>(), ...);
}

// T neighbouring output columns of one row. `in` is the padded input at the first tap,
// weights are [kernel row][j][tap][lane].
template <int G, int S, int D, int T>
void ConvolveTile(const float* in, int64_t row_stride, int kernel_rows,
                  const float* weights, V bias, bool relu, float* out) {
  V sums[T];
  for (int t = 0; t < T; ++t) sums[t] = bias;
  for (int kh = 0; kh < kernel_rows; ++kh, in += row_stride) {
    Unroll(std::make_integer_sequence<int, G>(), [&]<int J>() {
      const V taps[kTaps] = {Load<kBlock>(weights), Load<kBlock>(weights + kBlock),
                             Load<kBlock>(weights + 2 * kBlock)};
      weights += kTaps * kBlock;
      constexpr int kReach = (T - 1) * S + (kTaps - 1) * D + 1;
      Unroll(std::make_integer_sequence<int, kReach>(), [&]<int X>() {
        // Input column X meets tap k at output column (X - k·D) / S.
        constexpr auto kColumn = [](int k) {
          const int shifted = X - k * D;
          return shifted >= 0 && shifted % S == 0 && shifted / S < T ? shifted / S : -1;
        };
        constexpr int c0 = kColumn(0), c1 = kColumn(1), c2 = kColumn(2);
        if constexpr (c0 >= 0 || c1 >= 0 || c2 >= 0) {
          const V x = BroadcastInGroups<G, J>(Load<kBlock>(in + X * kBlock));
          if constexpr (c0 >= 0) sums[c0] += x * taps[0];
          if constexpr (c1 >= 0) sums[c1] += x * taps[1];
          if constexpr (c2 >= 0) sums[c2] += x * taps[2];
        }
      });
    });
  }
  if (relu) {
    for (int t = 0; t < T; ++t) sums[t] = Relu<kBlock, float>(sums[t]);
  }
  for (int t = 0; t < T; ++t) Store<kBlock>(out + t * kBlock, sums[t]);
}

// One channel block of one image: plane is padded, out is dense.
struct PlaneGeometry {
  int out_h, out_w, kernel_rows;
  int64_t plane_w;  // columns of the padded plane
  bool relu = false;
};

template <int G, int S, int D>
void ConvolvePlane(const PlaneGeometry& g, const float* plane, const float* weights,
                   V bias, float* out) {
  const int64_t row = g.plane_w * kBlock;
  const auto tile = [&](auto width, int oh, int ow) {
    ConvolveTile<G, S, D, decltype(width)::value>(
        plane + oh * S * row + int64_t{ow} * S * kBlock, D * row, g.kernel_rows, weights,
        bias, g.relu, out + (int64_t{oh} * g.out_w + ow) * kBlock);
  };
  // 14 sums fill the registers of AVX-512 and divide the widths of a 224 image.
  constexpr int kWide = kBlock == 16 ? 14 : 7;
  const bool wide = g.out_w % kWide == 0 || g.out_w % 8 != 0;
  for (int oh = 0; oh < g.out_h; ++oh) {
    int ow = 0;
    for (; wide && ow + kWide <= g.out_w; ow += kWide) {
      tile(std::integral_constant<int, kWide>(), oh, ow);
    }
    for (; ow + 8 <= g.out_w; ow += 8) tile(std::integral_constant<int, 8>(), oh, ow);
    for (; ow + 4 <= g.out_w; ow += 4) tile(std::integral_constant<int, 4>(), oh, ow);
    for (; ow < g.out_w; ++ow) tile(std::integral_constant<int, 1>(), oh, ow);
  }
}

// sums[j][tap] of one kernel row: Σ over outputs of dy · x, with x permuted by j.
template <int G, int S, int D>
void CorrelateRow(const PlaneGeometry& g, const float* plane, const float* diff,
                  float* sums_out) {
  V sums[G][kTaps] = {};
  for (int oh = 0; oh < g.out_h; ++oh) {
    const float* x = plane + int64_t{oh} * S * g.plane_w * kBlock;
    const float* dy = diff + int64_t{oh} * g.out_w * kBlock;
    const auto column = [&](int ow, auto first_tap, auto last_tap, int at) {
      Unroll(std::make_integer_sequence<int, G>(), [&]<int J>() {
        const V value = BroadcastInGroups<G, J>(Load<kBlock>(x + int64_t{at} * kBlock));
        for (int k = decltype(first_tap)::value; k <= decltype(last_tap)::value; ++k) {
          sums[J][k] += value * Load<kBlock>(dy + (int64_t{ow} - k * D) * kBlock);
        }
      });
    };
    using K0 = std::integral_constant<int, 0>;
    using K1 = std::integral_constant<int, 1>;
    using K2 = std::integral_constant<int, 2>;
    if constexpr (S == 1) {
      // Input column X meets tap k at output X - k·D: away from the ends each
      // permutation serves all three taps.
      if (g.out_w >= 2 * D) {
        for (int X = 0; X < D; ++X) column(X, K0(), K0(), X);
        for (int X = D; X < 2 * D; ++X) column(X, K0(), K1(), X);
        for (int X = 2 * D; X < g.out_w; ++X) column(X, K0(), K2(), X);
        for (int X = g.out_w; X < g.out_w + D; ++X) column(X, K1(), K2(), X);
        for (int X = g.out_w + D; X < g.out_w + 2 * D; ++X) column(X, K2(), K2(), X);
        continue;
      }
    }
    for (int ow = 0; ow < g.out_w; ++ow) {
      column(ow, K0(), K0(), ow * S);
      column(ow + D, K1(), K1(), ow * S + D);
      column(ow + 2 * D, K2(), K2(), ow * S + 2 * D);
    }
  }
  for (int j = 0; j < G; ++j) {
    for (int k = 0; k < kTaps; ++k)
      Store<kBlock>(sums_out + (j * kTaps + k) * kBlock, sums[j][k]);
  }
}

using PlaneKernel = void (*)(const PlaneGeometry&, const float*, const float*, V, float*);
using RowKernel = void (*)(const PlaneGeometry&, const float*, const float*, float*);

// The instantiation for group width, stride and dilation; null if there is none.
template <template <int, int, int> class Kernel>
auto Choose(int group_width, int stride, int dilation)
    -> decltype(Kernel<4, 1, 1>::run()) {
  const auto by_window = [=]<int G>() -> decltype(Kernel<4, 1, 1>::run()) {
    if (stride == 1 && dilation == 1) return Kernel<G, 1, 1>::run();
    if (stride == 1 && dilation == 2) return Kernel<G, 1, 2>::run();
    if (stride == 2 && dilation == 1) return Kernel<G, 2, 1>::run();
    return nullptr;
  };
  if (group_width == 4) return by_window.template operator()<4>();
  if (group_width == 8) return by_window.template operator()<8>();
  return nullptr;
}
template <int G, int S, int D>
struct PlaneKernelOf {
  static PlaneKernel run() { return ConvolvePlane<G, S, D>; }
};
template <int G, int S, int D>
struct RowKernelOf {
  static RowKernel run() { return CorrelateRow<G, S, D>; }
};

// Weights as the kernels read them: [channel block][kernel row][j][tap][lane].
class GroupedWeights : public PackedTensor {
 public:
  GroupedWeights(int channels, int group_width, int kernel_rows)
      : channels_(channels),
        width_(group_width),
        rows_(kernel_rows),
        values_(size_t(channels) * group_width * kernel_rows * kTaps) {}

  void PackForward(const float* plain) {
    ForEach([&](size_t packed, int out, int j, int kh, int kw) {
      values_[packed] = plain[Plain(out, j, kh, kw)];
    });
  }
  // The transposed convolution: input and output swap and the window is mirrored.
  void PackBackward(const float* plain) {
    ForEach([&](size_t packed, int in, int j, int kh, int kw) {
      const int out = in / width_ * width_ + j;
      values_[packed] = plain[Plain(out, in % width_, rows_ - 1 - kh, kTaps - 1 - kw)];
    });
  }
  void UnpackTo(void* plain) const override {
    float* to = static_cast<float*>(plain);
    ForEach([&](size_t packed, int out, int j, int kh, int kw) {
      to[Plain(out, j, kh, kw)] = values_[packed];
    });
  }
  std::size_t bytes() const override { return values_.size() * sizeof(float); }
  const float* block(int index) const { return values_.data() + index * block_size(); }
  size_t block_size() const { return size_t(rows_) * width_ * kTaps * kBlock; }
  bool Fits(int channels, int width, int rows) const {
    return channels == channels_ && width == width_ && rows == rows_;
  }

 private:
  size_t Plain(int out, int j, int kh, int kw) const {
    return ((size_t(out) * width_ + j) * rows_ + kh) * kTaps + kw;
  }
  template <typename Function>
  void ForEach(Function function) const {
    size_t packed = 0;
    for (int block = 0; block < channels_ / kBlock; ++block) {
      for (int kh = 0; kh < rows_; ++kh) {
        for (int j = 0; j < width_; ++j) {
          for (int kw = 0; kw < kTaps; ++kw) {
            for (int l = 0; l < kBlock; ++l)
              function(packed++, block * kBlock + l, j, kh, kw);
          }
        }
      }
    }
  }

  int channels_, width_, rows_;
  std::vector<float> values_;
};

// A zeroed plane with an image in it: row r, column c of the image lies at
// (top + r·step, left + c·step).
class Plane {
 public:
  Plane(int height, int width) : height_(height), width_(width) {}

  const float* Fill(const float* image, int image_h, int image_w, int top, int left,
                    int step) {
    static thread_local std::vector<float> buffer;
    buffer.assign(size_t(height_) * width_ * kBlock, 0.0f);
    for (int r = 0; r < image_h; ++r) {
      const int row = top + r * step;
      if (row < 0 || row >= height_) continue;
      for (int c = 0; c < image_w; ++c) {
        const int column = left + c * step;
        if (column < 0 || column >= width_) continue;
        std::copy_n(image + (int64_t{r} * image_w + c) * kBlock, kBlock,
                    buffer.data() + (int64_t{row} * width_ + column) * kBlock);
      }
    }
    return buffer.data();
  }

 private:
  int height_, width_;
};

class GroupedConvolution : public ConvolutionOp<float> {
 public:
  explicit GroupedConvolution(const ConvolutionProblem& problem)
      : problem_(problem),
        width_(problem.src_channels() / problem.group),
        blocks_(problem.src_channels() / kBlock),
        reach_h_((problem.kernel[0] - 1) * problem.dilation[0]),
        reach_w_((problem.kernel[1] - 1) * problem.dilation[1]),
        forward_(Choose<PlaneKernelOf>(width_, problem.stride[0], problem.dilation[0])),
        backward_(Choose<PlaneKernelOf>(width_, 1, problem.dilation[0])),
        weights_(Choose<RowKernelOf>(width_, problem.stride[0], problem.dilation[0])) {}

  using ConvolutionOp<float>::Forward;
  void Forward(Tensor<float> src, Tensor<float> weights, const float* bias,
               Tensor<float> dst, const Blob<float>*) override {
    const float* x = src.Read(kBlock);
    const GroupedWeights& packed = PackedForward(weights);
    float* y = dst.Write(kBlock);
    const PlaneGeometry geometry = ForwardGeometry();
#pragma omp parallel for schedule(static)
    for (int i = 0; i < tiles(); ++i) {
      const int block = i % blocks_;
      const float* plane = SourcePlane(x + i * src_plane());
      const V start = bias ? Load<kBlock>(bias + block * kBlock) : V{};
      forward_(geometry, plane, packed.block(block), start, y + i * dst_plane());
    }
  }

  void BackwardData(Tensor<float> diff_dst, Tensor<float> weights,
                    Tensor<float> diff_src) override {
    const float* dy = diff_dst.Read(kBlock);
    GroupedWeights packed(problem_.src_channels(), width_, problem_.kernel[0]);
    packed.PackBackward(weights.Read(1));
    float* dx = diff_src.Write(kBlock);
    // A stride spreads the output gradients apart; then it is a plain convolution.
    const PlaneGeometry geometry{src_h(), src_w(), problem_.kernel[0],
                                 src_w() + reach_w_};
#pragma omp parallel for schedule(static)
    for (int i = 0; i < tiles(); ++i) {
      const float* plane =
          Plane(src_h() + reach_h_, src_w() + reach_w_)
              .Fill(dy + i * dst_plane(), dst_h(), dst_w(), reach_h_ - problem_.pad[0],
                    reach_w_ - problem_.pad[1], problem_.stride[0]);
      backward_(geometry, plane, packed.block(i % blocks_), V{}, dx + i * src_plane());
    }
  }

  void BackwardWeights(Tensor<float> src, Tensor<float> diff_dst,
                       float* diff_weights) override {
    const float* x = src.Read(kBlock);
    const float* dy = diff_dst.Read(kBlock);
    const PlaneGeometry geometry = ForwardGeometry();
    const int rows = problem_.kernel[0];
    const size_t row_size = size_t(width_) * kTaps * kBlock;
    const size_t block_size = rows * row_size;
    // Every image has its own sums, added up in order: the result does not depend on
    // the number of threads.
    partial_.resize(tiles() * block_size);
#pragma omp parallel for schedule(static)
    for (int i = 0; i < tiles(); ++i) {
      const float* plane = SourcePlane(x + i * src_plane());
      for (int kh = 0; kh < rows; ++kh) {
        const int64_t skipped = int64_t{kh} * problem_.dilation[0] * geometry.plane_w;
        weights_(geometry, plane + skipped * kBlock, dy + i * dst_plane(),
                 partial_.data() + i * block_size + kh * row_size);
      }
    }
#pragma omp parallel for schedule(static)
    for (int block = 0; block < blocks_; ++block) {
      for (size_t e = 0; e < block_size; ++e) {
        float sum = 0;
        for (int n = 0; n < problem_.src[0]; ++n) {
          sum += partial_[(size_t(n) * blocks_ + block) * block_size + e];
        }
        const int lane = e % kBlock, kw = e / kBlock % kTaps;
        const int j = e / (kBlock * kTaps) % width_, kh = e / row_size;
        const size_t out = size_t(block) * kBlock + lane;
        diff_weights[((out * width_ + j) * rows + kh) * kTaps + kw] += sum;
      }
    }
  }

  std::string name() const override { return "grouped"; }

 private:
  int src_h() const { return problem_.src[2]; }
  int src_w() const { return problem_.src[3]; }
  int dst_h() const { return problem_.dst[2]; }
  int dst_w() const { return problem_.dst[3]; }
  int tiles() const { return problem_.src[0] * blocks_; }
  int64_t src_plane() const { return int64_t{src_h()} * src_w() * kBlock; }
  int64_t dst_plane() const { return int64_t{dst_h()} * dst_w() * kBlock; }
  int plane_h() const { return (dst_h() - 1) * problem_.stride[0] + reach_h_ + 1; }
  int plane_w() const { return (dst_w() - 1) * problem_.stride[1] + reach_w_ + 1; }

  PlaneGeometry ForwardGeometry() const {
    return {dst_h(), dst_w(), problem_.kernel[0], plane_w(), problem_.relu};
  }
  const float* SourcePlane(const float* image) const {
    return Plane(plane_h(), plane_w())
        .Fill(image, src_h(), src_w(), problem_.pad[0], problem_.pad[1], 1);
  }

  const GroupedWeights& PackedForward(Tensor<float> weights) {
    SyncedMemory& memory = *weights.memory();
    const auto fits = [&](const GroupedWeights* w) {
      return w && w->Fits(problem_.src_channels(), width_, problem_.kernel[0]);
    };
    auto packed = std::dynamic_pointer_cast<GroupedWeights>(memory.packed());
    if (!fits(packed.get())) {
      const float* plain = static_cast<const float*>(memory.cpu_data());
      packed = std::dynamic_pointer_cast<GroupedWeights>(memory.packed_storage());
      if (!fits(packed.get())) {
        packed = std::make_shared<GroupedWeights>(problem_.src_channels(), width_,
                                                  problem_.kernel[0]);
      }
      packed->PackForward(plain);
      memory.cache_packed(packed);
    }
    return *packed;
  }

  ConvolutionProblem problem_;
  int width_, blocks_, reach_h_, reach_w_;
  PlaneKernel forward_, backward_;
  RowKernel weights_;
  std::vector<float> partial_;
};

}  // namespace

std::unique_ptr<ConvolutionOp<float>> MakeGroupedConvolution(const ConvolutionProblem& p,
                                                             std::string* why) {
  const auto declines = [&]() -> const char* {
    if (kFloatLanes == 1) return "no vector unit";
    if (p.spatial_axes() != 2 || !p.batch_is_axis0) return "not (N, C, H, W)";
    if (p.addend) return "an addend";
    if (p.src_channels() != p.dst_channels()) return "C differs from K";
    const int width = p.src_channels() / p.group;
    if (width != 4 && width != 8) return "groups are not of 4 or 8 channels";
    if (p.src_channels() % kBlock != 0) return "C is not a multiple of the block";
    if (p.kernel[1] != kTaps) return "the kernel is not 3 wide";
    if (p.stride[0] != p.stride[1] || p.stride[0] > 2) return "stride is not 1 or 2";
    if (p.dilation[0] != p.dilation[1] || p.dilation[0] > 2)
      return "dilation is not 1 or 2";
    if (p.stride[0] == 2 && p.dilation[0] == 2) return "both stride and dilation are 2";
    if (p.pad[0] > (p.kernel[0] - 1) * p.dilation[0] ||
        p.pad[1] > (p.kernel[1] - 1) * p.dilation[1]) {
      return "padding reaches past the kernel";
    }
    return nullptr;
  };
  if (const char* reason = declines()) {
    *why = reason;
    return nullptr;
  }
  return std::make_unique<GroupedConvolution>(p);
}

}  // namespace caffe
