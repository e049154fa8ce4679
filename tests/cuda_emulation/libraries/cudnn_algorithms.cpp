#include "cudnn_algorithms.h"

#include <algorithm>
#include <array>

#include "cudnn_context.h"

namespace cuda_emulation {
namespace {

// --- Problems

/// The types that cuDNN computes with: of the data, and of the sums.
bool AreTypesTaken(cudnnDataType_t data, cudnnDataType_t compute) {
  switch (data) {
    case CUDNN_DATA_DOUBLE:
      return compute == CUDNN_DATA_DOUBLE;
    case CUDNN_DATA_HALF:
      return compute == CUDNN_DATA_FLOAT || compute == CUDNN_DATA_HALF;
    case CUDNN_DATA_FLOAT:
    case CUDNN_DATA_BFLOAT16:
      return compute == CUDNN_DATA_FLOAT;
    default:
      return false;
  }
}

/// Whether neighbours in memory are neighbours along the channels, then w, h, d, n. An
/// axis of size 1 may have any step.
bool IsDenseChannelsLast(const TensorView& view) {
  std::ptrdiff_t step = 1;
  for (const int axis : {1, 4, 3, 2, 0}) {
    if (view.sizes[axis] != 1 && view.steps[axis] != step) return false;
    step *= view.sizes[axis];
  }
  return true;
}

bool IsDense(const TensorView& view) {
  std::ptrdiff_t step = 1;
  for (const int axis : {4, 3, 2, 1, 0}) {
    if (view.sizes[axis] != 1 && view.steps[axis] != step) return false;
    step *= view.sizes[axis];
  }
  return true;
}

bool HasNegativeStep(const TensorView& view) {
  return std::any_of(view.steps.begin(), view.steps.end(),
                     [](std::ptrdiff_t step) { return step < 0; });
}

/// Whether the layouts of x and y go with the filter's. A tensor may be both dense
/// NCHW and dense NHWC.
bool AreLayoutsTaken(const ConvolutionProblem& problem) {
  for (const TensorView* view : {&problem.x, &problem.y}) {
    if (HasNegativeStep(*view)) return false;
    if (problem.is_channels_last ? !IsDenseChannelsLast(*view)
                                 : IsDenseChannelsLast(*view) && !IsDense(*view)) {
      return false;
    }
  }
  return !(problem.is_channels_last && problem.x.format == NumberFormat::kDouble);
}

/// A descriptor's values for (d, h, w), with `missing` for d if there are two.
Convolution::Extent ExtentOf(const std::array<int, CUDNN_DIM_MAX>& values, int axes,
                             int missing) {
  if (axes == 2) return {missing, values[0], values[1]};
  return {values[0], values[1], values[2]};
}

Convolution::Extent SpatialSizes(const TensorView& view) {
  return {view.sizes[2], view.sizes[3], view.sizes[4]};
}

// --- What the algorithms take

using Problem = ConvolutionProblem;

bool TakesAll(const Problem&) { return true; }
bool TakesNone(const Problem&) { return false; }

bool IsUndilated(const Problem& p) {
  return p.shape.dilation == Convolution::Extent{1, 1, 1};
}

/// Two axes, strides and dilations of 1, dense NCHW, and not double.
bool IsPlain2d(const Problem& p) {
  return p.spatial_axes == 2 && !p.is_channels_last && IsDense(p.x) && IsDense(p.y) &&
         p.shape.stride == Convolution::Extent{1, 1, 1} && IsUndilated(p) &&
         p.x.format != NumberFormat::kDouble;
}

bool HasWindow(const Problem& p, int size) {
  return p.shape.window[1] == size && p.shape.window[2] == size;
}

bool IsPadBelowWindow(const Problem& p) {
  return p.shape.pad[1] < p.shape.window[1] && p.shape.pad[2] < p.shape.window[2];
}

bool TakesUndilatedNchw(const Problem& p) {
  return IsUndilated(p) && !p.is_channels_last;
}

bool TakesFft(const Problem& p) {
  const auto is_small = [&](int axis) {
    return p.shape.source[axis] + 2 * p.shape.pad[axis] <= 256;
  };
  return IsPlain2d(p) && p.x.format != NumberFormat::kBfloat16 && IsPadBelowWindow(p) &&
         is_small(1) && is_small(2);
}

bool TakesFftTiling(const Problem& p) {
  return IsPlain2d(p) && p.x.format != NumberFormat::kBfloat16 && IsPadBelowWindow(p) &&
         p.shape.window[1] <= 32 && p.shape.window[2] <= 32;
}

bool TakesWinograd(const Problem& p) {
  return IsPlain2d(p) && p.x.format == NumberFormat::kFloat && HasWindow(p, 3);
}

bool TakesWinogradInSteps(const Problem& p) {
  return IsPlain2d(p) && p.x.format != NumberFormat::kBfloat16 &&
         (HasWindow(p, 3) || HasWindow(p, 5));
}

// --- What they ask for, in bytes

std::size_t NoBytes(const Problem&) { return 0; }

std::size_t ElementBytes(const Problem& p) {
  return std::max<std::size_t>(4, SizeOf(p.x.format));
}

/// An index for every tap.
std::size_t IndexBytes(const Problem& p) {
  return 4 * p.shape.inputs * Convolution::Volume(p.shape.window) + 512;
}

/// What the taps of one image see.
std::size_t ColumnBytes(const Problem& p) {
  return ElementBytes(p) * p.shape.groups * p.shape.inputs *
         Convolution::Volume(p.shape.window) * Convolution::Volume(p.shape.target);
}

std::size_t FilterBytes(const Problem& p) {
  return ElementBytes(p) * p.shape.filter_count() + 512;
}

/// Everything in the frequency domain.
std::size_t FrequencyBytes(const Problem& p) {
  const std::size_t maps =
      p.shape.batch * p.shape.groups * (p.shape.inputs + p.shape.outputs) +
      p.shape.groups * p.shape.inputs * p.shape.outputs;
  return 2 * ElementBytes(p) * maps * (p.shape.source[1] + 2 * p.shape.pad[1]) *
         (p.shape.source[2] + 2 * p.shape.pad[2]);
}

/// Tiles of 6x6 for every 4x4 results, and the filters' 6x6.
std::size_t TileBytes(const Problem& p) {
  const std::size_t tiles =
      p.shape.batch * ((p.shape.target[1] + 3) / 4) * ((p.shape.target[2] + 3) / 4);
  return 36 * ElementBytes(p) * p.shape.groups *
         (tiles * (p.shape.inputs + p.shape.outputs) + p.shape.inputs * p.shape.outputs);
}

}  // namespace

cudnnStatus_t Describe(const cudnnTensorStruct* x, const cudnnFilterStruct* w,
                       const cudnnConvolutionStruct* convolution,
                       const cudnnTensorStruct* y, ConvolutionProblem* problem) {
  if (!x || !w || !convolution || !y) return CUDNN_STATUS_BAD_PARAM;
  std::array<int, CUDNN_DIM_MAX> sizes = {};
  const cudnnStatus_t status = cudnnGetConvolutionNdForwardOutputDim(
      const_cast<cudnnConvolutionStruct*>(convolution), const_cast<cudnnTensorStruct*>(x),
      const_cast<cudnnFilterStruct*>(w), x->axes, sizes.data());
  if (status != CUDNN_STATUS_SUCCESS) return status;
  if (y->axes != x->axes ||
      !std::equal(sizes.begin(), sizes.begin() + x->axes, y->sizes.begin())) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  if (x->type != w->type || x->type != y->type) return CUDNN_STATUS_BAD_PARAM;
  if (!AreTypesTaken(x->type, convolution->compute_type) || !ViewOf(*x, &problem->x) ||
      !ViewOf(*w, &problem->w) || !ViewOf(*y, &problem->y)) {
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
  const int axes = convolution->axes;
  problem->shape = {problem->x.sizes[0],
                    convolution->groups,
                    problem->w.sizes[1],
                    problem->w.sizes[0] / convolution->groups,
                    SpatialSizes(problem->x),
                    SpatialSizes(problem->w),
                    SpatialSizes(problem->y),
                    ExtentOf(convolution->pads, axes, 0),
                    ExtentOf(convolution->strides, axes, 1),
                    ExtentOf(convolution->dilations, axes, 1)};
  problem->math = convolution->math;
  problem->spatial_axes = axes;
  problem->is_channels_last = w->format == CUDNN_TENSOR_NHWC;
  problem->is_mirrored = convolution->mode == CUDNN_CONVOLUTION;
  return AreLayoutsTaken(*problem) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

FactorPrecision Algorithm::Precision(const ConvolutionProblem& problem) const {
  if (!uses_tensor_cores || problem.x.format != NumberFormat::kFloat ||
      problem.math == CUDNN_FMA_MATH) {
    return FactorPrecision::kFull;
  }
  return problem.math == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION ? FactorPrecision::kHalf
                                                               : FactorPrecision::kTf32;
}

cudnnMathType_t Algorithm::Math(const ConvolutionProblem& problem) const {
  if (problem.math == CUDNN_FMA_MATH || !uses_tensor_cores) return CUDNN_FMA_MATH;
  return problem.math == CUDNN_DEFAULT_MATH ? CUDNN_TENSOR_OP_MATH : problem.math;
}

float Algorithm::Milliseconds(const ConvolutionProblem& problem) const {
  const double operations =
      static_cast<double>(problem.shape.target_count()) * problem.shape.inputs *
      static_cast<double>(Convolution::Volume(problem.shape.window));
  return static_cast<float>(operations * cost * 1e-9);
}

const std::vector<Algorithm>& AlgorithmsOf(ConvolutionPass pass) {
  static const std::vector<Algorithm> forward = {
      {CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, TakesAll, NoBytes, true, false, 1.0f},
      {CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, TakesAll, IndexBytes, true, true,
       0.5f},
      {CUDNN_CONVOLUTION_FWD_ALGO_GEMM, TakesUndilatedNchw, ColumnBytes, true, false,
       1.5f},
      {CUDNN_CONVOLUTION_FWD_ALGO_DIRECT, TakesNone, NoBytes, true, false, 2.0f},
      {CUDNN_CONVOLUTION_FWD_ALGO_FFT, TakesFft, FrequencyBytes, true, false, 0.9f},
      {CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING, TakesFftTiling, FrequencyBytes, true, false,
       0.8f},
      {CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD, TakesWinograd, NoBytes, true, false, 0.45f},
      {CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED, TakesWinogradInSteps, TileBytes,
       true, true, 0.4f},
  };
  static const std::vector<Algorithm> backward_data = {
      {CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, TakesAll, NoBytes, false, false, 0.6f},
      {CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, TakesAll, FilterBytes, true, true, 0.7f},
      {CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT, TakesFft, FrequencyBytes, true, false, 0.95f},
      {CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING, TakesFftTiling, FrequencyBytes, true,
       false, 0.9f},
      {CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD, TakesWinograd, NoBytes, true, false,
       0.5f},
      {CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED, TakesWinogradInSteps, TileBytes,
       true, true, 0.45f},
  };
  static const std::vector<Algorithm> backward_filter = {
      {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, TakesAll, NoBytes, false, false, 0.6f},
      {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, TakesAll, FilterBytes, true, true, 0.7f},
      {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT, TakesFft, FrequencyBytes, true, false,
       0.95f},
      {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3, TakesUndilatedNchw, FilterBytes, false, false,
       0.55f},
      {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD, TakesNone, NoBytes, true, false, 2.0f},
      {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED, TakesWinogradInSteps,
       TileBytes, true, true, 0.5f},
      {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING, TakesFftTiling, FrequencyBytes, true,
       false, 0.9f},
  };
  switch (pass) {
    case ConvolutionPass::kForward:
      return forward;
    case ConvolutionPass::kBackwardData:
      return backward_data;
    case ConvolutionPass::kBackwardFilter:
      break;
  }
  return backward_filter;
}

const Algorithm* FindAlgorithm(ConvolutionPass pass, int id) {
  for (const Algorithm& algorithm : AlgorithmsOf(pass)) {
    if (algorithm.id == id) return &algorithm;
  }
  return nullptr;
}

std::vector<const Algorithm*> Ranked(ConvolutionPass pass,
                                     const ConvolutionProblem& problem) {
  std::vector<const Algorithm*> ranked;
  for (const Algorithm& algorithm : AlgorithmsOf(pass)) ranked.push_back(&algorithm);
  std::stable_sort(ranked.begin(), ranked.end(),
                   [&](const Algorithm* a, const Algorithm* b) {
                     const bool a_takes = a->takes(problem);
                     const bool b_takes = b->takes(problem);
                     return a_takes != b_takes ? a_takes : a->cost < b->cost;
                   });
  return ranked;
}

}  // namespace cuda_emulation
