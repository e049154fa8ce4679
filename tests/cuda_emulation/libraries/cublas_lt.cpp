// cuBLASLt's product of matrices with what follows it.

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "cublas_context.h"
#include "library_call.h"

// Members have the types that the attributes have.

struct cublasLtMatmulDescStruct {
  std::int32_t compute;
  std::int32_t scale;
  std::int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  std::int32_t transa = CUBLAS_OP_N;
  std::int32_t transb = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* bias = nullptr;
  std::int64_t bias_stride = 0;
  std::int32_t bias_type = -1;
};

struct cublasLtMatrixLayoutStruct {
  std::uint32_t type;
  std::int32_t order = CUBLASLT_ORDER_COL;
  std::uint64_t rows;
  std::uint64_t columns;
  std::int64_t leading;
  std::int32_t batch = 1;
  std::int64_t stride = 0;
};

struct cublasLtMatmulPreferenceStruct {
  std::uint64_t most_workspace = 0;
  std::array<std::uint32_t, 4> alignments = {256, 256, 256, 256};
};

namespace cuda_emulation {
namespace {

// --- Attributes

struct Field {
  void* place = nullptr;
  std::size_t size = 0;
};

template <typename T>
Field FieldOf(T* member) {
  return {member, sizeof(T)};
}

Field Find(cublasLtMatmulDescStruct* desc, cublasLtMatmulDescAttributes_t attribute) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE:
      return FieldOf(&desc->compute);
    case CUBLASLT_MATMUL_DESC_SCALE_TYPE:
      return FieldOf(&desc->scale);
    case CUBLASLT_MATMUL_DESC_POINTER_MODE:
      return FieldOf(&desc->pointer_mode);
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return FieldOf(&desc->transa);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return FieldOf(&desc->transb);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return FieldOf(&desc->epilogue);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return FieldOf(&desc->bias);
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE:
      return FieldOf(&desc->bias_stride);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return FieldOf(&desc->bias_type);
  }
  return {};
}

Field Find(cublasLtMatrixLayoutStruct* layout,
           cublasLtMatrixLayoutAttribute_t attribute) {
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE:
      return FieldOf(&layout->type);
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
      return FieldOf(&layout->order);
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
      return FieldOf(&layout->rows);
    case CUBLASLT_MATRIX_LAYOUT_COLS:
      return FieldOf(&layout->columns);
    case CUBLASLT_MATRIX_LAYOUT_LD:
      return FieldOf(&layout->leading);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
      return FieldOf(&layout->batch);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
      return FieldOf(&layout->stride);
  }
  return {};
}

Field Find(cublasLtMatmulPreferenceStruct* preference,
           cublasLtMatmulPreferenceAttributes_t attribute) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return FieldOf(&preference->most_workspace);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return FieldOf(&preference->alignments[attribute -
                                             CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES]);
  }
  return {};
}

template <typename Object, typename Attribute>
cublasStatus_t SetAttribute(Object* object, Attribute attribute, const void* value,
                            std::size_t size) {
  if (!object || !value) return CUBLAS_STATUS_INVALID_VALUE;
  const Field field = Find(object, attribute);
  if (!field.place || field.size != size) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(field.place, value, size);
  return CUBLAS_STATUS_SUCCESS;
}

template <typename Object, typename Attribute>
cublasStatus_t GetAttribute(Object* object, Attribute attribute, void* value,
                            std::size_t size, std::size_t* written) {
  if (!object) return CUBLAS_STATUS_INVALID_VALUE;
  const Field field = Find(object, attribute);
  if (!field.place || (size == 0 && !written) || (size > 0 && !value)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  // With size 0 only the size is asked for.
  if (written) *written = field.size;
  if (size == 0) return CUBLAS_STATUS_SUCCESS;
  if (size < field.size) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(value, field.place, field.size);
  return CUBLAS_STATUS_SUCCESS;
}

template <typename Object>
cublasStatus_t Destroy(Object* object) {
  delete object;
  return CUBLAS_STATUS_SUCCESS;
}

// --- Problems

/// A product as its descriptors have it, but for pointers.
struct Problem {
  Matrix a, b, c, d;  // a and b as they are multiplied
  std::array<std::ptrdiff_t, 4> strides;
  int batch;
  NumberFormat scale;
  FactorPrecision precision;
  cublasPointerMode_t pointer_mode;
  unsigned epilogue;
  NumberFormat bias_format;
  std::ptrdiff_t bias_count, bias_stride;
};

bool Has(unsigned epilogue, cublasLtEpilogue_t part) { return (epilogue & part) != 0; }

/// The matrix, once `operation` is applied; false if the layout makes no sense.
bool ViewOf(const cublasLtMatrixLayoutStruct& layout, std::int32_t operation,
            Matrix* view) {
  const bool by_columns = layout.order == CUBLASLT_ORDER_COL;
  const auto rows = static_cast<std::ptrdiff_t>(layout.rows);
  const auto columns = static_cast<std::ptrdiff_t>(layout.columns);
  if ((!by_columns && layout.order != CUBLASLT_ORDER_ROW) || rows < 1 || columns < 1 ||
      layout.leading < (by_columns ? rows : columns) || layout.batch < 1 ||
      layout.stride < 0 || !IsOperation(static_cast<cublasOperation_t>(operation)) ||
      !FormatOf(static_cast<cudaDataType>(layout.type), &view->format)) {
    return false;
  }
  const std::ptrdiff_t row_step = by_columns ? 1 : layout.leading;
  const std::ptrdiff_t column_step = by_columns ? layout.leading : 1;
  *view = {view->format, nullptr, rows, columns, row_step, column_step};
  if (operation != CUBLAS_OP_N) *view = view->Transposed();
  return true;
}

cublasStatus_t Describe(const cublasLtMatmulDescStruct* desc,
                        const cublasLtMatrixLayoutStruct* a,
                        const cublasLtMatrixLayoutStruct* b,
                        const cublasLtMatrixLayoutStruct* c,
                        const cublasLtMatrixLayoutStruct* d, Problem* problem) {
  if (!desc || !a || !b || !c || !d || !ViewOf(*a, desc->transa, &problem->a) ||
      !ViewOf(*b, desc->transb, &problem->b) || !ViewOf(*c, CUBLAS_OP_N, &problem->c) ||
      !ViewOf(*d, CUBLAS_OP_N, &problem->d)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (problem->a.columns != problem->b.rows || problem->a.rows != problem->d.rows ||
      problem->b.columns != problem->d.columns || problem->c.rows != problem->d.rows ||
      problem->c.columns != problem->d.columns || a->batch != d->batch ||
      b->batch != d->batch || c->batch != d->batch) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  problem->strides = {a->stride, b->stride, c->stride, d->stride};
  problem->batch = d->batch;
  NumberFormat scale;
  const bool is_known =
      PlanProduct(static_cast<cudaDataType>(a->type), static_cast<cudaDataType>(b->type),
                  static_cast<cudaDataType>(d->type),
                  static_cast<cublasComputeType_t>(desc->compute), &problem->scale,
                  &problem->precision) &&
      c->type == d->type && FormatOf(static_cast<cudaDataType>(desc->scale), &scale) &&
      scale == problem->scale;
  if (!is_known) return CUBLAS_STATUS_NOT_SUPPORTED;
  problem->pointer_mode = static_cast<cublasPointerMode_t>(desc->pointer_mode);
  if (problem->pointer_mode != CUBLAS_POINTER_MODE_HOST &&
      problem->pointer_mode != CUBLAS_POINTER_MODE_DEVICE) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  problem->epilogue = desc->epilogue;
  problem->bias_format = problem->d.format;
  problem->bias_stride = desc->bias_stride;
  problem->bias_count = 0;
  switch (desc->epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
      return CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_EPILOGUE_RELU:
      break;
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_BGRADA:
      problem->bias_count = problem->d.rows;
      break;
    case CUBLASLT_EPILOGUE_BGRADB:
      problem->bias_count = problem->d.columns;
      break;
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  // A bias has D's type, and double has no epilogues.
  const bool is_bias_known =
      desc->bias_type == -1 || desc->bias_type == static_cast<std::int32_t>(d->type);
  return is_bias_known && problem->d.format != NumberFormat::kDouble
             ? CUBLAS_STATUS_SUCCESS
             : CUBLAS_STATUS_NOT_SUPPORTED;
}

// --- Algorithms: a fast one that wants workspace and alignment, and one that does not

constexpr std::uint64_t kMark = 0x6375626c61734c74u;  // an algorithm of the heuristic
enum AlgorithmId : std::uint64_t { kPlain = 0, kSplit = 1 };
constexpr std::uint64_t kSplitAlignment = 16;

std::size_t WorkspaceOf(const Problem& problem, std::uint64_t id) {
  if (id == kPlain) return 0;
  return static_cast<std::size_t>(problem.d.rows * problem.d.columns * problem.batch) *
         sizeof(float);
}

bool IsAligned(const void* pointer, std::uint64_t id) {
  return id == kPlain || reinterpret_cast<std::uintptr_t>(pointer) % kSplitAlignment == 0;
}

// --- Computing

void RunEpilogue(const Problem& problem, const Matrix& a, const Matrix& b, void* bias,
                 std::vector<double>* result) {
  const std::ptrdiff_t columns = problem.d.columns;
  if (Has(problem.epilogue, CUBLASLT_EPILOGUE_BIAS)) {
    std::vector<double> shift(problem.bias_count);
    Load(problem.bias_format, bias, 1, problem.bias_count, shift.data());
    for (std::size_t i = 0; i < result->size(); ++i) (*result)[i] += shift[i / columns];
  }
  if (Has(problem.epilogue, CUBLASLT_EPILOGUE_RELU)) {
    for (double& value : *result) value = value < 0 ? 0 : value;
  }
  if (Has(problem.epilogue, CUBLASLT_EPILOGUE_BGRADA) ||
      Has(problem.epilogue, CUBLASLT_EPILOGUE_BGRADB)) {
    // Sums over k: of the rows of a, or of the columns of b.
    const Matrix summed =
        Has(problem.epilogue, CUBLASLT_EPILOGUE_BGRADA) ? a : b.Transposed();
    const std::vector<double> values = Load(summed);
    std::vector<double> sums(problem.bias_count, 0.0);
    for (std::size_t i = 0; i < values.size(); ++i) sums[i / summed.columns] += values[i];
    Store(problem.bias_format, sums.data(), problem.bias_count, bias, 1);
  }
}

bool IsMatrixOnDevice(const char* name, const Matrix& matrix, const void* data,
                      std::ptrdiff_t stride, int batch) {
  return IsOnDevice(
      "cublasLtMatmul", name, data,
      static_cast<std::size_t>((batch - 1) * stride) * SizeOf(matrix.format) +
          matrix.bytes());
}

}  // namespace
}  // namespace cuda_emulation

using namespace cuda_emulation;  // NOLINT(build/namespaces)

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
  *handle = new cublasLtContext{CurrentDevice()};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  return Destroy(handle);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc,
                                        cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  if (!desc) return CUBLAS_STATUS_INVALID_VALUE;
  *desc = new cublasLtMatmulDescStruct{compute, scale};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  return Destroy(desc);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t size) {
  return SetAttribute(desc, attribute, value, size);
}

cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              void* value, std::size_t size,
                                              std::size_t* written) {
  return GetAttribute(desc, attribute, value, size, written);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout,
                                          cudaDataType type, std::uint64_t rows,
                                          std::uint64_t columns, std::int64_t leading) {
  if (!layout) return CUBLAS_STATUS_INVALID_VALUE;
  auto* const created = new cublasLtMatrixLayoutStruct();
  created->type = type;
  created->rows = rows;
  created->columns = columns;
  created->leading = leading;
  *layout = created;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  return Destroy(layout);
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, std::size_t size) {
  return SetAttribute(layout, attribute, value, size);
}

cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                void* value, std::size_t size,
                                                std::size_t* written) {
  return GetAttribute(layout, attribute, value, size, written);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  if (!preference) return CUBLAS_STATUS_INVALID_VALUE;
  *preference = new cublasLtMatmulPreferenceStruct();
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return Destroy(preference);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
    const void* value, std::size_t size) {
  return SetAttribute(preference, attribute, value, size);
}

cublasStatus_t cublasLtMatmulPreferenceGetAttribute(
    cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
    void* value, std::size_t size, std::size_t* written) {
  return GetAttribute(preference, attribute, value, size, written);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a_layout,
    cublasLtMatrixLayout_t b_layout, cublasLtMatrixLayout_t c_layout,
    cublasLtMatrixLayout_t d_layout, cublasLtMatmulPreference_t preference, int requested,
    cublasLtMatmulHeuristicResult_t results[], int* returned) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!preference || requested < 1 || !results || !returned) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  *returned = 0;
  Problem problem;
  const cublasStatus_t described =
      Describe(desc, a_layout, b_layout, c_layout, d_layout, &problem);
  if (described != CUBLAS_STATUS_SUCCESS) return described;
  const bool is_aligned = std::all_of(
      preference->alignments.begin(), preference->alignments.end(),
      [](std::uint32_t alignment) { return alignment % kSplitAlignment == 0; });
  for (const std::uint64_t id : {kSplit, kPlain}) {
    const std::size_t workspace = WorkspaceOf(problem, id);
    if (*returned == requested || workspace > preference->most_workspace ||
        (id == kSplit && !is_aligned)) {
      continue;
    }
    cublasLtMatmulHeuristicResult_t& result = results[(*returned)++];
    result = {};
    result.algo.data[0] = kMark;
    result.algo.data[1] = id;
    result.workspaceSize = workspace;
    result.state = CUBLAS_STATUS_SUCCESS;
    result.wavesCount = 1;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                              const void* alpha, const void* A,
                              cublasLtMatrixLayout_t a_layout, const void* B,
                              cublasLtMatrixLayout_t b_layout, const void* beta,
                              const void* C, cublasLtMatrixLayout_t c_layout, void* D,
                              cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              std::size_t workspace_size, cudaStream_t stream) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  Problem problem;
  const cublasStatus_t described =
      Describe(desc, a_layout, b_layout, c_layout, d_layout, &problem);
  if (described != CUBLAS_STATUS_SUCCESS) return described;
  const std::uint64_t id = algorithm ? algorithm->data[1] : kPlain;
  const std::size_t needed = WorkspaceOf(problem, id);
  if (!alpha || !beta || !IsStreamOf(stream, handle->device) ||
      (algorithm && algorithm->data[0] != kMark) || workspace_size < needed ||
      reinterpret_cast<std::uintptr_t>(workspace) % 256 != 0 || !IsAligned(A, id) ||
      !IsAligned(B, id) || !IsAligned(C, id) || !IsAligned(D, id) ||
      (problem.bias_count > 0 && !desc->bias)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  void* const bias = desc->bias;
  const std::size_t bias_bytes =
      problem.bias_count == 0
          ? 0
          : static_cast<std::size_t>((problem.batch - 1) * problem.bias_stride +
                                     problem.bias_count) *
                SizeOf(problem.bias_format);
  const bool scalars_on_device = problem.pointer_mode == CUBLAS_POINTER_MODE_DEVICE;
  const std::size_t scalar_bytes = scalars_on_device ? SizeOf(problem.scale) : 0;
  const bool is_c_read = scalars_on_device || LoadOne(problem.scale, beta) != 0;
  if (!IsCurrent("cublasLtMatmul", handle->device) ||
      !IsOnDevice("cublasLtMatmul", "alpha", alpha, scalar_bytes) ||
      !IsOnDevice("cublasLtMatmul", "beta", beta, scalar_bytes) ||
      !IsMatrixOnDevice("A", problem.a, A, problem.strides[0], problem.batch) ||
      !IsMatrixOnDevice("B", problem.b, B, problem.strides[1], problem.batch) ||
      (is_c_read &&
       !IsMatrixOnDevice("C", problem.c, C, problem.strides[2], problem.batch)) ||
      !IsMatrixOnDevice("D", problem.d, D, problem.strides[3], problem.batch) ||
      !IsOnDevice("cublasLtMatmul", "the bias", bias, bias_bytes) ||
      !IsOnDevice("cublasLtMatmul", "workspace", workspace, needed)) {
    return CUBLAS_STATUS_EXECUTION_FAILED;
  }
  problem.a.data = const_cast<void*>(A);
  problem.b.data = const_cast<void*>(B);
  problem.c.data = const_cast<void*>(C);
  problem.d.data = D;
  const Scalar scale(problem.pointer_mode, problem.scale, alpha);
  const Scalar scale_of_c(problem.pointer_mode, problem.scale, beta);
  const auto work = [=] {
    Spoil(workspace, needed);
    for (int i = 0; i < problem.batch; ++i) {
      const Matrix a = problem.a.MovedBy(i * problem.strides[0]);
      const Matrix b = problem.b.MovedBy(i * problem.strides[1]);
      std::vector<double> result = Product(scale.value(), a, b, problem.precision);
      if (scale_of_c.value() != 0) {
        const std::vector<double> there = Load(problem.c.MovedBy(i * problem.strides[2]));
        for (std::size_t j = 0; j < result.size(); ++j) {
          result[j] += scale_of_c.value() * there[j];
        }
      }
      RunEpilogue(problem, a, b,
                  Advance(problem.bias_format, bias, i * problem.bias_stride), &result);
      Store(result, problem.d.MovedBy(i * problem.strides[3]));
    }
  };
  return StatusOf(Enqueue(stream, work, "cublasLtMatmul"));
}
