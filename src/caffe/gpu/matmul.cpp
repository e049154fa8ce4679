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

using Precision = NetParameter::Precision;

cudaDataType FactorType(Precision precision) {
  if (precision == NetParameter::BF16) return CUDA_R_16BF;
  return precision == NetParameter::FP16 ? CUDA_R_16F : CUDA_R_32F;
}

cublasComputeType_t ComputeType(Precision precision) {
  return precision == NetParameter::TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                         : CUBLAS_COMPUTE_32F;
}

Layout ColumnMajor(cudaDataType type, int rows, int columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  CUBLAS_CHECK(cublasLtMatrixLayoutCreate(&layout, type, rows, columns, rows));
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
  Matmul(const MatmulProblem& p, Precision precision, const void* x, const void* w,
         const float* bias, const float* y)
      : w_(p.transposed ? ColumnMajor(FactorType(precision), p.n, p.k)
                        : ColumnMajor(FactorType(precision), p.k, p.n)),
        x_(ColumnMajor(FactorType(precision), p.k, p.m)),
        y_(ColumnMajor(CUDA_R_32F, p.n, p.m)) {
    cublasLtMatmulDesc_t operation = nullptr;
    CUBLAS_CHECK(
        cublasLtMatmulDescCreate(&operation, ComputeType(precision), CUDA_R_32F));
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
  bool Run(const void* x, const void* w, const float* bias, float* y) {
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

  void Search(const void* x, const void* w, const float* y) {
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
bool RunFused(const MatmulProblem& p, Precision precision, const void* x, const void* w,
              const float* bias, float* y) {
  using Key = std::array<int, 11>;
  // The descriptor holds the address of the bias: it cannot be another thread's too.
  thread_local std::map<Key, Matmul> known;
  const auto alignment = [](const void* pointer) {
    return static_cast<int>(Alignment(pointer));
  };
  const Key key = {device::Selected(),
                   p.m,
                   p.n,
                   p.k,
                   p.transposed,
                   precision,
                   bias != nullptr,
                   alignment(x),
                   alignment(w),
                   alignment(y),
                   alignment(bias)};
  auto found = known.find(key);
  if (found == known.end())
    found = known.try_emplace(key, p, precision, x, w, bias, y).first;
  return found->second.found() && found->second.Run(x, w, bias, y);
}

}  // namespace

std::int64_t MatmulSearchCount() { return search_count; }

template <typename T>
void DeviceGemm(Precision precision, CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b,
                int m, int n, int k, const void* a, const void* b, T beta, T* c) {
  if constexpr (std::is_same_v<T, float>) {
    if (precision != NetParameter::FLOAT32) {
      // cuBLAS goes by columns: cᵀ = op(b)ᵀ · op(a)ᵀ.
      const cudaDataType type = FactorType(precision);
      const auto operation = [](CBLAS_TRANSPOSE trans) {
        return trans == CblasNoTrans ? CUBLAS_OP_N : CUBLAS_OP_T;
      };
      const float one = 1;
      const int b_step = std::max(trans_b == CblasNoTrans ? n : k, 1);
      const int a_step = std::max(trans_a == CblasNoTrans ? k : m, 1);
      CUBLAS_CHECK(cublasGemmEx(Caffe::cublas_handle(), operation(trans_b),
                                operation(trans_a), n, m, k, &one, b, type, b_step, a,
                                type, a_step, &beta, c, CUDA_R_32F, std::max(n, 1),
                                ComputeType(precision), CUBLAS_GEMM_DEFAULT));
      return;
    }
  }
  caffe_gpu_gemm<T>(trans_a, trans_b, m, n, k, T(1), static_cast<const T*>(a),
                    static_cast<const T*>(b), beta, c);
}

template <typename T>
void MatmulWithBias(const MatmulProblem& p, Precision precision, const void* x,
                    const void* w, const T* bias, T* y) {
  if (p.m == 0 || p.n == 0) return;
  if constexpr (std::is_same_v<T, float>) {
    if (p.k > 0 && RunFused(p, precision, x, w, bias, y)) return;
  }
  DeviceGemm<T>(precision, CblasNoTrans, p.transposed ? CblasNoTrans : CblasTrans, p.m,
                p.n, p.k, x, w, T(0), y);
  FinishChannels<T>(DeviceLayout::kChannelsLast, {p.m, p.n, 1}, bias, nullptr, false, y);
}

#define INSTANTIATE_MATMUL(T)                                                          \
  template void DeviceGemm(Precision, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, int, int, int, \
                           const void*, const void*, T, T*);                           \
  template void MatmulWithBias(const MatmulProblem&, Precision, const void*,           \
                               const void*, const T*, T*)
INSTANTIATE_MATMUL(float);
INSTANTIATE_MATMUL(double);

}  // namespace caffe
