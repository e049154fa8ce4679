#ifndef CUDA_EMULATION_CONVOLUTION_H_
#define CUDA_EMULATION_CONVOLUTION_H_

#include <array>
#include <cstddef>
#include <vector>

namespace cuda_emulation {

/// A cross-correlation over three axes (d, h, w) of dense arrays: x is
/// (batch, groups * inputs, source), w is (groups * outputs, inputs, window) and y is
/// (batch, groups * outputs, target).
struct Convolution {
  using Extent = std::array<std::ptrdiff_t, 3>;

  std::ptrdiff_t batch, groups, inputs, outputs;
  Extent source, window, target;
  Extent pad, stride, dilation;

  static std::size_t Volume(const Extent& extent) {
    return static_cast<std::size_t>(extent[0] * extent[1] * extent[2]);
  }
  std::size_t source_count() const { return batch * groups * inputs * Volume(source); }
  std::size_t filter_count() const { return groups * outputs * inputs * Volume(window); }
  std::size_t target_count() const { return batch * groups * outputs * Volume(target); }
};

std::vector<double> Forward(const Convolution& convolution, const std::vector<double>& x,
                            const std::vector<double>& w);
std::vector<double> BackwardData(const Convolution& convolution,
                                 const std::vector<double>& w,
                                 const std::vector<double>& dy);
std::vector<double> BackwardFilter(const Convolution& convolution,
                                   const std::vector<double>& x,
                                   const std::vector<double>& dy);

}  // namespace cuda_emulation

#endif  // CUDA_EMULATION_CONVOLUTION_H_
