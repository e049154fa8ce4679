// How cuDNN's algorithms of convolutions are chosen among.

#include <cudnn.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cudnn_algorithms.h"
#include "cudnn_context.h"
#include "library_call.h"

namespace cuda_emulation {
namespace {

template <typename Perf>
Perf PerfOf(const Algorithm& algorithm, const ConvolutionProblem& problem) {
  Perf perf = {};
  perf.algo = static_cast<decltype(perf.algo)>(algorithm.id);
  perf.time = -1;
  perf.determinism =
      algorithm.is_deterministic ? CUDNN_DETERMINISTIC : CUDNN_NON_DETERMINISTIC;
  perf.mathType = algorithm.Math(problem);
  if (algorithm.takes(problem)) {
    perf.status = CUDNN_STATUS_SUCCESS;
    perf.memory = algorithm.workspace(problem);
  } else {
    perf.status = CUDNN_STATUS_NOT_SUPPORTED;
  }
  return perf;
}

/// Everything that the functions called Get...Algorithm_v7 and Find...Algorithm say.
/// `limit` is what there is of workspace. `is_measured` puts times in.
template <typename Perf>
cudnnStatus_t List(ConvolutionPass pass, cudnnHandle_t handle, cudnnStatus_t described,
                   const ConvolutionProblem& problem, bool is_measured, std::size_t limit,
                   int requested, int* returned, Perf* results) {
  if (!handle || requested < 1 || !returned || !results) return CUDNN_STATUS_BAD_PARAM;
  if (described != CUDNN_STATUS_SUCCESS) return described;
  // Trial runs are waited for, which no graph can record.
  if (is_measured && cudaStreamSynchronize(handle->stream) != cudaSuccess) {
    return CUDNN_STATUS_EXECUTION_FAILED;
  }
  std::vector<Perf> perfs;
  for (const Algorithm* algorithm : Ranked(pass, problem)) {
    Perf perf = PerfOf<Perf>(*algorithm, problem);
    if (perf.status == CUDNN_STATUS_SUCCESS && perf.memory > limit) {
      perf.status = CUDNN_STATUS_ALLOC_FAILED;
    }
    if (perf.status == CUDNN_STATUS_SUCCESS && is_measured) {
      perf.time = algorithm->Milliseconds(problem);
    }
    perfs.push_back(perf);
  }
  std::stable_partition(perfs.begin(), perfs.end(), [](const Perf& perf) {
    return perf.status == CUDNN_STATUS_SUCCESS;
  });
  *returned = std::min(requested, static_cast<int>(perfs.size()));
  std::copy(perfs.begin(), perfs.begin() + *returned, results);
  return CUDNN_STATUS_SUCCESS;
}

/// A Find...AlgorithmEx: `inputs` are read and `output` is overwritten by trial runs.
template <typename Perf>
cudnnStatus_t ListAndOverwrite(const char* function, ConvolutionPass pass,
                               cudnnHandle_t handle, cudnnStatus_t described,
                               const ConvolutionProblem& problem, const Operand& input,
                               const Operand& other, void* output,
                               std::size_t output_bytes, const Workspace& workspace,
                               int requested, int* returned, Perf* results) {
  const cudnnStatus_t status =
      List(pass, handle, described, problem, /*is_measured=*/true, workspace.bytes,
           requested, returned, results);
  if (status != CUDNN_STATUS_SUCCESS) return status;
  return Run(function, handle,
             {input,
              other,
              {"the output", output, output_bytes},
              {"workSpace", workspace.data, workspace.bytes}},
             [=] {
               Spoil(workspace.data, workspace.bytes);
               Spoil(output, output_bytes);
             });
}

cudnnStatus_t WorkspaceSize(ConvolutionPass pass, cudnnHandle_t handle,
                            cudnnStatus_t described, const ConvolutionProblem& problem,
                            int id, std::size_t* size) {
  const Algorithm* const algorithm = FindAlgorithm(pass, id);
  if (!handle || !size || !algorithm) return CUDNN_STATUS_BAD_PARAM;
  if (described != CUDNN_STATUS_SUCCESS) return described;
  if (!algorithm->takes(problem)) return CUDNN_STATUS_NOT_SUPPORTED;
  *size = algorithm->workspace(problem);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t MaxCount(ConvolutionPass pass, cudnnHandle_t handle, int* count) {
  if (!handle || !count) return CUDNN_STATUS_BAD_PARAM;
  *count = static_cast<int>(AlgorithmsOf(pass).size());
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace
}  // namespace cuda_emulation

using namespace cuda_emulation;  // NOLINT(build/namespaces)

// --- Forward

cudnnStatus_t cudnnGetConvolutionForwardAlgorithmMaxCount(cudnnHandle_t handle,
                                                          int* count) {
  return MaxCount(ConvolutionPass::kForward, handle, count);
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x_desc,
    const cudnnFilterDescriptor_t w_desc, const cudnnConvolutionDescriptor_t conv_desc,
    const cudnnTensorDescriptor_t y_desc, const int requested, int* returned,
    cudnnConvolutionFwdAlgoPerf_t* results) {
  ConvolutionProblem problem;
  const cudnnStatus_t described = Describe(x_desc, w_desc, conv_desc, y_desc, &problem);
  return List(ConvolutionPass::kForward, handle, described, problem, false, SIZE_MAX,
              requested, returned, results);
}

cudnnStatus_t cudnnFindConvolutionForwardAlgorithm(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x_desc,
    const cudnnFilterDescriptor_t w_desc, const cudnnConvolutionDescriptor_t conv_desc,
    const cudnnTensorDescriptor_t y_desc, const int requested, int* returned,
    cudnnConvolutionFwdAlgoPerf_t* results) {
  ConvolutionProblem problem;
  const cudnnStatus_t described = Describe(x_desc, w_desc, conv_desc, y_desc, &problem);
  return List(ConvolutionPass::kForward, handle, described, problem, true, SIZE_MAX,
              requested, returned, results);
}

cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x_desc, const void* x,
    const cudnnFilterDescriptor_t w_desc, const void* w,
    const cudnnConvolutionDescriptor_t conv_desc, const cudnnTensorDescriptor_t y_desc,
    void* y, const int requested, int* returned, cudnnConvolutionFwdAlgoPerf_t* results,
    void* workspace, std::size_t workspace_size) {
  ConvolutionProblem problem;
  const cudnnStatus_t described = Describe(x_desc, w_desc, conv_desc, y_desc, &problem);
  if (described != CUDNN_STATUS_SUCCESS) return described;
  return ListAndOverwrite(
      "cudnnFindConvolutionForwardAlgorithmEx", ConvolutionPass::kForward, handle,
      described, problem, {"x", x, problem.x.bytes()}, {"w", w, problem.w.bytes()}, y,
      problem.y.bytes(), {workspace, workspace_size}, requested, returned, results);
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x_desc,
    const cudnnFilterDescriptor_t w_desc, const cudnnConvolutionDescriptor_t conv_desc,
    const cudnnTensorDescriptor_t y_desc, cudnnConvolutionFwdAlgo_t algorithm,
    std::size_t* size) {
  ConvolutionProblem problem;
  const cudnnStatus_t described = Describe(x_desc, w_desc, conv_desc, y_desc, &problem);
  return WorkspaceSize(ConvolutionPass::kForward, handle, described, problem, algorithm,
                       size);
}

// --- Backward to the data

cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithmMaxCount(cudnnHandle_t handle,
                                                               int* count) {
  return MaxCount(ConvolutionPass::kBackwardData, handle, count);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t handle, const cudnnFilterDescriptor_t w_desc,
    const cudnnTensorDescriptor_t dy_desc, const cudnnConvolutionDescriptor_t conv_desc,
    const cudnnTensorDescriptor_t dx_desc, const int requested, int* returned,
    cudnnConvolutionBwdDataAlgoPerf_t* results) {
  ConvolutionProblem problem;
  const cudnnStatus_t described = Describe(dx_desc, w_desc, conv_desc, dy_desc, &problem);
  return List(ConvolutionPass::kBackwardData, handle, described, problem, false, SIZE_MAX,
              requested, returned, results);
}

cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithm(
    cudnnHandle_t handle, const cudnnFilterDescriptor_t w_desc,
    const cudnnTensorDescriptor_t dy_desc, const cudnnConvolutionDescriptor_t conv_desc,
    const cudnnTensorDescriptor_t dx_desc, const int requested, int* returned,
    cudnnConvolutionBwdDataAlgoPerf_t* results) {
  ConvolutionProblem problem;
  const cudnnStatus_t described = Describe(dx_desc, w_desc, conv_desc, dy_desc, &problem);
  return List(ConvolutionPass::kBackwardData, handle, described, problem, true, SIZE_MAX,
              requested, returned, results);
}

cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(
    cudnnHandle_t handle, const cudnnFilterDescriptor_t w_desc, const void* w,
    const cudnnTensorDescriptor_t dy_desc, const void* dy,
    const cudnnConvolutionDescriptor_t conv_desc, const cudnnTensorDescriptor_t dx_desc,
    void* dx, const int requested, int* returned,
    cudnnConvolutionBwdDataAlgoPerf_t* results, void* workspace,
    std::size_t workspace_size) {
  ConvolutionProblem problem;
  const cudnnStatus_t described = Describe(dx_desc, w_desc, conv_desc, dy_desc, &problem);
  if (described != CUDNN_STATUS_SUCCESS) return described;
  return ListAndOverwrite("cudnnFindConvolutionBackwardDataAlgorithmEx",
                          ConvolutionPass::kBackwardData, handle, described, problem,
                          {"w", w, problem.w.bytes()}, {"dy", dy, problem.y.bytes()}, dx,
                          problem.x.bytes(), {workspace, workspace_size}, requested,
                          returned, results);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t handle, const cudnnFilterDescriptor_t w_desc,
    const cudnnTensorDescriptor_t dy_desc, const cudnnConvolutionDescriptor_t conv_desc,
    const cudnnTensorDescriptor_t dx_desc, cudnnConvolutionBwdDataAlgo_t algorithm,
    std::size_t* size) {
  ConvolutionProblem problem;
  const cudnnStatus_t described = Describe(dx_desc, w_desc, conv_desc, dy_desc, &problem);
  return WorkspaceSize(ConvolutionPass::kBackwardData, handle, described, problem,
                       algorithm, size);
}

// --- Backward to the filter

cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithmMaxCount(cudnnHandle_t handle,
                                                                 int* count) {
  return MaxCount(ConvolutionPass::kBackwardFilter, handle, count);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x_desc,
    const cudnnTensorDescriptor_t dy_desc, const cudnnConvolutionDescriptor_t conv_desc,
    const cudnnFilterDescriptor_t dw_desc, const int requested, int* returned,
    cudnnConvolutionBwdFilterAlgoPerf_t* results) {
  ConvolutionProblem problem;
  const cudnnStatus_t described = Describe(x_desc, dw_desc, conv_desc, dy_desc, &problem);
  return List(ConvolutionPass::kBackwardFilter, handle, described, problem, false,
              SIZE_MAX, requested, returned, results);
}

cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithm(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x_desc,
    const cudnnTensorDescriptor_t dy_desc, const cudnnConvolutionDescriptor_t conv_desc,
    const cudnnFilterDescriptor_t dw_desc, const int requested, int* returned,
    cudnnConvolutionBwdFilterAlgoPerf_t* results) {
  ConvolutionProblem problem;
  const cudnnStatus_t described = Describe(x_desc, dw_desc, conv_desc, dy_desc, &problem);
  return List(ConvolutionPass::kBackwardFilter, handle, described, problem, true,
              SIZE_MAX, requested, returned, results);
}

cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x_desc, const void* x,
    const cudnnTensorDescriptor_t dy_desc, const void* dy,
    const cudnnConvolutionDescriptor_t conv_desc, const cudnnFilterDescriptor_t dw_desc,
    void* dw, const int requested, int* returned,
    cudnnConvolutionBwdFilterAlgoPerf_t* results, void* workspace,
    std::size_t workspace_size) {
  ConvolutionProblem problem;
  const cudnnStatus_t described = Describe(x_desc, dw_desc, conv_desc, dy_desc, &problem);
  if (described != CUDNN_STATUS_SUCCESS) return described;
  return ListAndOverwrite("cudnnFindConvolutionBackwardFilterAlgorithmEx",
                          ConvolutionPass::kBackwardFilter, handle, described, problem,
                          {"x", x, problem.x.bytes()}, {"dy", dy, problem.y.bytes()}, dw,
                          problem.w.bytes(), {workspace, workspace_size}, requested,
                          returned, results);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x_desc,
    const cudnnTensorDescriptor_t dy_desc, const cudnnConvolutionDescriptor_t conv_desc,
    const cudnnFilterDescriptor_t dw_desc, cudnnConvolutionBwdFilterAlgo_t algorithm,
    std::size_t* size) {
  ConvolutionProblem problem;
  const cudnnStatus_t described = Describe(x_desc, dw_desc, conv_desc, dy_desc, &problem);
  return WorkspaceSize(ConvolutionPass::kBackwardFilter, handle, described, problem,
                       algorithm, size);
}
