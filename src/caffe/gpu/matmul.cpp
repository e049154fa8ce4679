#include "caffe/gpu/matmul.hpp"

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <type_traits>

#include "caffe/device.hpp"
#include "caffe/gpu/channels.hpp"
#include "caffe/gpu/owned.hpp"
#include "caffe/gpu/workspace.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {
namespace {

// What NVIDIA names as enough for the fastest kernels of Hopper.
constexpr std::size_t kMostWorkspace = std::size_t{32} << 20;

std::atomic<std::int64_t> search_count{0};

using Operation = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

// cuBLAS's handle is one of cuBLASLt's as well.
cublasLtHandle_t Handle() {
  return reinterpret_cast<cublasLtHandle_t>(Caffe::cublas_handle());
}

Layout ColumnMajor(int rows, int columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  CUBLAS_CHECK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, rows, columns, rows));
  return Layout(layout);
}

// The power of two that an address is a multiple of, as far as it matters.
std::uint32_t Alignment(const void* pointer) {
  constexpr std::uintptr_t kMost = 256;
  const std::uintptr_t bits = reinterpret_cast<std::uintptr_t>(pointer) | kMost;
  return static_cast<std::uint32_t>(bits & -bits);
}

// One problem as cuBLASLt sees it, which goes by columns: yᵀ = op(w) · xᵀ.
class Matmul {
 public:
  Matmul(const MatmulProblem& p, const float* x, const float* w, const float* bias,
         const float* y)
      : w_(p.transposed ? ColumnMajor(p.n, p.k) : ColumnMajor(p.k, p.n)),
        x_(ColumnMajor(p.k, p.m)),
        y_(ColumnMajor(p.n, p.m)) {
    cublasLtMatmulDesc_t operation = nullptr;
    CUBLAS_CHECK(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    operation_.reset(operation);
    Set(CUBLASLT_MATMUL_DESC_TRANSA, p.transposed ? CUBLAS_OP_N : CUBLAS_OP_T);
    Set(CUBLASLT_MATMUL_DESC_EPILOGUE,
        bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT);
    Set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    Search(x, w, y);
  }

  /// Whether there is a kernel.
  bool found() const { return found_; }

  /// False, with nothing written, if the kernel cannot run after all.
  bool Run(const float* x, const float* w, const float* bias, float* y) {
    Set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    cudaStream_t stream = nullptr;
    CUBLAS_CHECK(cublasGetStream(Caffe::cublas_handle(), &stream));
    void* workspace = workspace_bytes_ > 0 ? Workspace(workspace_bytes_) : nullptr;
    const float one = 1, zero = 0;
    const cublasStatus_t status = cublasLtMatmul(
        Handle(), operation_.get(), &one, w, w_.get(), x, x_.get(), &zero, y, y_.get(), y,
        y_.get(), &algorithm_, workspace, workspace_bytes_, stream);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED) found_ = false;
    if (found_) CUBLAS_CHECK(status);
    return found_;
  }

 private:
  template <typename T>
  void Set(cublasLtMatmulDescAttributes_t attribute, T value) {
    CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(operation_.get(), attribute, &value,
                                                sizeof(value)));
  }

  void Search(const float* x, const float* w, const float* y) {
    cublasLtMatmulPreference_t made = nullptr;
    CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&made));
    const Preference preference(made);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      CUBLAS_CHECK(
          cublasLtMatmulPreferenceSetAttribute(made, attribute, &value, sizeof(value)));
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kMostWorkspace});
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, Alignment(w));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, Alignment(x));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, Alignment(y));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, Alignment(y));
    cublasLtMatmulHeuristicResult_t best = {};
    int count = 0;
    ++search_count;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(Handle(), operation_.get(), w_.get(), x_.get(),
                                       y_.get(), y_.get(), made, 1, &best, &count);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED) CUBLAS_CHECK(status);
    found_ = status == CUBLAS_STATUS_SUCCESS && count > 0 &&
             best.state == CUBLAS_STATUS_SUCCESS;
    algorithm_ = best.algo;
    workspace_bytes_ = found_ ? best.workspaceSize : 0;
  }

  Layout w_, x_, y_;
  Operation operation_;
  bool found_ = false;
  cublasLtMatmulAlgo_t algorithm_ = {};
  std::size_t workspace_bytes_ = 0;
};

// False if cuBLASLt does not do it.
bool RunFused(const MatmulProblem& p, const float* x, const float* w, const float* bias,
              float* y) {
  using Key = std::array<int, 10>;
  // The descriptor holds the address of the bias: it cannot be another thread's too.
  thread_local std::map<Key, Matmul> known;
  const auto alignment = [](const void* pointer) {
    return static_cast<int>(Alignment(pointer));
  };
  const Key key = {
      device::Selected(), p.m,          p.n,          p.k,          p.transposed,
      bias != nullptr,    alignment(x), alignment(w), alignment(y), alignment(bias)};
  auto found = known.find(key);
  if (found == known.end()) found = known.try_emplace(key, p, x, w, bias, y).first;
  return found->second.found() && found->second.Run(x, w, bias, y);
}

}  // namespace

std::int64_t MatmulSearchCount() { return search_count; }

template <typename T>
void MatmulWithBias(const MatmulProblem& p, const T* x, const T* w, const T* bias, T* y) {
  if (p.m == 0 || p.n == 0) return;
  if constexpr (std::is_same_v<T, float>) {
    if (p.k > 0 && RunFused(p, x, w, bias, y)) return;
  }
  caffe_gpu_gemm<T>(CblasNoTrans, p.transposed ? CblasNoTrans : CblasTrans, p.m, p.n, p.k,
                    T(1), x, w, T(0), y);
  FinishChannels<T>(DeviceLayout::kChannelsLast, {p.m, p.n, 1}, bias, nullptr, false, y);
}

template void MatmulWithBias(const MatmulProblem&, const float*, const float*,
                             const float*, float*);
template void MatmulWithBias(const MatmulProblem&, const double*, const double*,
                             const double*, double*);

}  // namespace caffe
