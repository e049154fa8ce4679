// cuDNN's convolutions. All algorithms compute in double; those that are not
// deterministic give results that differ in their last bit from call to call.

#include <cudnn.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "convolution.h"
#include "cudnn_algorithms.h"
#include "cudnn_context.h"
#include "library_call.h"

namespace cuda_emulation {
namespace {

/// What one of the convolutions needs besides its operands.
struct Plan {
  ConvolutionProblem problem;
  const Algorithm* algorithm = nullptr;
  Workspace workspace;
};

/// Whether the algorithm takes the problem and has its workspace.
cudnnStatus_t MakePlan(ConvolutionPass pass, int id, cudnnStatus_t described,
                       const ConvolutionProblem& problem, const Workspace& workspace,
                       Plan* plan) {
  if (described != CUDNN_STATUS_SUCCESS) return described;
  const Algorithm* const algorithm = FindAlgorithm(pass, id);
  if (!algorithm) return CUDNN_STATUS_BAD_PARAM;
  if (!algorithm->takes(problem)) return CUDNN_STATUS_NOT_SUPPORTED;
  const std::size_t needed = algorithm->workspace(problem);
  if (workspace.bytes < needed) return CUDNN_STATUS_BAD_PARAM;
  *plan = {problem, algorithm, {workspace.data, needed}};
  return CUDNN_STATUS_SUCCESS;
}

/// The factors of the product, as the algorithm sees them.
std::vector<double> LoadFactor(const Plan& plan, const TensorView& view,
                               const void* data) {
  std::vector<double> values = Load(view, data);
  Round(plan.algorithm->Precision(plan.problem), &values);
  return values;
}

/// The filter turned round along d, h and w if the problem has it so: `place` is where
/// its first element then is.
TensorView FilterView(const ConvolutionProblem& problem, std::ptrdiff_t* place) {
  TensorView view = problem.w;
  *place = 0;
  if (!problem.is_mirrored) return view;
  for (int axis = 2; axis < TensorView::kAxes; ++axis) {
    *place += (view.sizes[axis] - 1) * view.steps[axis];
    view.steps[axis] = -view.steps[axis];
  }
  return view;
}

/// Atomic additions come in another order each time, which the last bit of a sum shows.
void Disturb(NumberFormat format, std::vector<double>* values) {
  static std::atomic<std::uint64_t> calls{0};
  const double step = format == NumberFormat::kDouble ? 0x1p-52 : 0x1p-23;
  std::uint64_t state = ++calls * 0x9e3779b97f4a7c15u;
  for (double& value : *values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value *= 1 + step * (static_cast<double>(state >> 62) - 1.5);
  }
}

/// Workspace and sums as the plan's algorithm leaves them.
void Finish(const Plan& plan, std::vector<double>* sums) {
  Spoil(plan.workspace.data, plan.workspace.bytes);
  if (!plan.algorithm->is_deterministic) Disturb(plan.problem.x.format, sums);
}

Operand WorkspaceOperand(const Plan& plan) {
  return {"workSpace", plan.workspace.data, plan.workspace.bytes};
}

std::vector<double> ForwardSums(const Plan& plan, const void* x, const void* w) {
  std::ptrdiff_t place;
  const TensorView filter = FilterView(plan.problem, &place);
  std::vector<double> sums =
      Forward(plan.problem.shape, LoadFactor(plan, plan.problem.x, x),
              LoadFactor(plan, filter, Advance(filter.format, w, place)));
  Finish(plan, &sums);
  return sums;
}

}  // namespace
}  // namespace cuda_emulation

using namespace cuda_emulation;  // NOLINT(build/namespaces)

// --- Forward

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha,
                                      const cudnnTensorDescriptor_t x_desc, const void* x,
                                      const cudnnFilterDescriptor_t w_desc, const void* w,
                                      const cudnnConvolutionDescriptor_t conv_desc,
                                      cudnnConvolutionFwdAlgo_t algorithm,
                                      void* workspace, std::size_t workspace_size,
                                      const void* beta,
                                      const cudnnTensorDescriptor_t y_desc, void* y) {
  if (!alpha || !beta) return CUDNN_STATUS_BAD_PARAM;
  ConvolutionProblem problem;
  Plan plan;
  const cudnnStatus_t planned =
      MakePlan(ConvolutionPass::kForward, algorithm,
               Describe(x_desc, w_desc, conv_desc, y_desc, &problem), problem,
               {workspace, workspace_size}, &plan);
  if (planned != CUDNN_STATUS_SUCCESS) return planned;
  const double scale = ScaleOf(problem.y.format, alpha);
  const double scale_there = ScaleOf(problem.y.format, beta);
  return Run(
      "cudnnConvolutionForward", handle,
      {{"x", x, problem.x.bytes()},
       {"w", w, problem.w.bytes()},
       {"y", y, problem.y.bytes()},
       WorkspaceOperand(plan)},
      [=] { BlendInto(plan.problem.y, y, scale, ForwardSums(plan, x, w), scale_there); });
}

cudnnStatus_t cudnnConvolutionBiasActivationForward(
    cudnnHandle_t handle, const void* alpha1, const cudnnTensorDescriptor_t x_desc,
    const void* x, const cudnnFilterDescriptor_t w_desc, const void* w,
    const cudnnConvolutionDescriptor_t conv_desc, cudnnConvolutionFwdAlgo_t algorithm,
    void* workspace, std::size_t workspace_size, const void* alpha2,
    const cudnnTensorDescriptor_t z_desc, const void* z,
    const cudnnTensorDescriptor_t bias_desc, const void* bias,
    const cudnnActivationDescriptor_t activation_desc,
    const cudnnTensorDescriptor_t y_desc, void* y) {
  if (!alpha1 || !alpha2 || !z_desc || !bias_desc || !activation_desc) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  ConvolutionProblem problem;
  Plan plan;
  const cudnnStatus_t planned =
      MakePlan(ConvolutionPass::kForward, algorithm,
               Describe(x_desc, w_desc, conv_desc, y_desc, &problem), problem,
               {workspace, workspace_size}, &plan);
  if (planned != CUDNN_STATUS_SUCCESS) return planned;
  TensorView z_view, bias_view;
  const bool is_identity = activation_desc->mode == CUDNN_ACTIVATION_IDENTITY;
  if (!ViewOf(*z_desc, &z_view) || !ViewOf(*bias_desc, &bias_view) ||
      z_desc->type != y_desc->type || z_view.sizes != problem.y.sizes ||
      z_view.steps != problem.y.steps || bias_desc->type != y_desc->type ||
      bias_view.sizes != decltype(bias_view.sizes){1, problem.y.sizes[1], 1, 1, 1} ||
      bias_view.steps[1] != 1 ||
      (!is_identity && activation_desc->mode != CUDNN_ACTIVATION_RELU) ||
      activation_desc->nan != CUDNN_NOT_PROPAGATE_NAN ||
      (is_identity && algorithm != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM)) {
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
  const double scale = ScaleOf(problem.y.format, alpha1);
  const double scale_of_z = ScaleOf(problem.y.format, alpha2);
  const TensorView biases = bias_view.BroadcastTo(problem.y);
  return Run("cudnnConvolutionBiasActivationForward", handle,
             {{"x", x, problem.x.bytes()},
              {"w", w, problem.w.bytes()},
              {"z", z, z_view.bytes()},
              {"bias", bias, bias_view.bytes()},
              {"y", y, problem.y.bytes()},
              WorkspaceOperand(plan)},
             [=] {
               std::vector<double> result = ForwardSums(plan, x, w);
               const std::vector<double> shift = Load(biases, bias);
               std::vector<double> other(result.size(), 0.0);
               if (scale_of_z != 0) other = Load(z_view, z);
               for (std::size_t i = 0; i < result.size(); ++i) {
                 const double value =
                     Blend(scale, result[i], scale_of_z, other[i]) + shift[i];
                 // fmax() takes 0 for NaN, which CUDNN_NOT_PROPAGATE_NAN means.
                 result[i] = is_identity ? value : std::fmax(value, 0.0);
               }
               Store(result, plan.problem.y, y);
             });
}

cudnnStatus_t cudnnConvolutionBackwardBias(cudnnHandle_t handle, const void* alpha,
                                           const cudnnTensorDescriptor_t dy_desc,
                                           const void* dy, const void* beta,
                                           const cudnnTensorDescriptor_t db_desc,
                                           void* db) {
  if (!alpha || !beta || !dy_desc || !db_desc) return CUDNN_STATUS_BAD_PARAM;
  TensorView from, to;
  if (!ViewOf(*dy_desc, &from) || !ViewOf(*db_desc, &to)) {
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
  if (dy_desc->type != db_desc->type ||
      to.sizes != decltype(to.sizes){1, from.sizes[1], 1, 1, 1}) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  const double scale = ScaleOf(to.format, alpha);
  const double scale_there = ScaleOf(to.format, beta);
  return Run("cudnnConvolutionBackwardBias", handle,
             {{"dy", dy, from.bytes()}, {"db", db, to.bytes()}}, [=] {
               const std::vector<double> values = Load(from, dy);
               const std::size_t channels = static_cast<std::size_t>(from.sizes[1]);
               const std::size_t spatial = static_cast<std::size_t>(
                   from.sizes[2] * from.sizes[3] * from.sizes[4]);
               std::vector<double> sums(channels, 0.0);
               for (std::size_t i = 0; i < values.size(); ++i) {
                 sums[i / spatial % channels] += values[i];
               }
               BlendInto(to, db, scale, std::move(sums), scale_there);
             });
}

// --- Backward to the data

cudnnStatus_t cudnnConvolutionBackwardData(
    cudnnHandle_t handle, const void* alpha, const cudnnFilterDescriptor_t w_desc,
    const void* w, const cudnnTensorDescriptor_t dy_desc, const void* dy,
    const cudnnConvolutionDescriptor_t conv_desc, cudnnConvolutionBwdDataAlgo_t algorithm,
    void* workspace, std::size_t workspace_size, const void* beta,
    const cudnnTensorDescriptor_t dx_desc, void* dx) {
  if (!alpha || !beta) return CUDNN_STATUS_BAD_PARAM;
  ConvolutionProblem problem;
  Plan plan;
  const cudnnStatus_t planned =
      MakePlan(ConvolutionPass::kBackwardData, algorithm,
               Describe(dx_desc, w_desc, conv_desc, dy_desc, &problem), problem,
               {workspace, workspace_size}, &plan);
  if (planned != CUDNN_STATUS_SUCCESS) return planned;
  const double scale = ScaleOf(problem.x.format, alpha);
  const double scale_there = ScaleOf(problem.x.format, beta);
  return Run("cudnnConvolutionBackwardData", handle,
             {{"w", w, problem.w.bytes()},
              {"dy", dy, problem.y.bytes()},
              {"dx", dx, problem.x.bytes()},
              WorkspaceOperand(plan)},
             [=] {
               std::ptrdiff_t place;
               const TensorView filter = FilterView(plan.problem, &place);
               std::vector<double> sums = BackwardData(
                   plan.problem.shape,
                   LoadFactor(plan, filter, Advance(filter.format, w, place)),
                   LoadFactor(plan, plan.problem.y, dy));
               Finish(plan, &sums);
               BlendInto(plan.problem.x, dx, scale, std::move(sums), scale_there);
             });
}

// --- Backward to the filter

cudnnStatus_t cudnnConvolutionBackwardFilter(
    cudnnHandle_t handle, const void* alpha, const cudnnTensorDescriptor_t x_desc,
    const void* x, const cudnnTensorDescriptor_t dy_desc, const void* dy,
    const cudnnConvolutionDescriptor_t conv_desc,
    cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace,
    std::size_t workspace_size, const void* beta, const cudnnFilterDescriptor_t dw_desc,
    void* dw) {
  if (!alpha || !beta) return CUDNN_STATUS_BAD_PARAM;
  ConvolutionProblem problem;
  Plan plan;
  const cudnnStatus_t planned =
      MakePlan(ConvolutionPass::kBackwardFilter, algorithm,
               Describe(x_desc, dw_desc, conv_desc, dy_desc, &problem), problem,
               {workspace, workspace_size}, &plan);
  if (planned != CUDNN_STATUS_SUCCESS) return planned;
  const double scale = ScaleOf(problem.w.format, alpha);
  const double scale_there = ScaleOf(problem.w.format, beta);
  return Run("cudnnConvolutionBackwardFilter", handle,
             {{"x", x, problem.x.bytes()},
              {"dy", dy, problem.y.bytes()},
              {"dw", dw, problem.w.bytes()},
              WorkspaceOperand(plan)},
             [=] {
               std::vector<double> sums =
                   BackwardFilter(plan.problem.shape, LoadFactor(plan, plan.problem.x, x),
                                  LoadFactor(plan, plan.problem.y, dy));
               Finish(plan, &sums);
               std::ptrdiff_t place;
               const TensorView filter = FilterView(plan.problem, &place);
               BlendInto(filter, Advance(filter.format, dw, place), scale,
                         std::move(sums), scale_there);
             });
}
