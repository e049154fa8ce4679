#ifndef STAND_IN_CUDNN_BATCH_NORM_H_
#define STAND_IN_CUDNN_BATCH_NORM_H_

// Batch normalisation in cuDNN 7, 8 and 9, by its documented names: written for tests
// that compile against it and link nothing. A test puts it where each version has it,
// with CUDNN_MAJOR defined as there.

#if CUDNN_MAJOR >= 9
#define STAND_IN_DEPRECATED __attribute__((deprecated))
#else
#define STAND_IN_DEPRECATED
#endif

// cuDNN 7's first releases refuse a smaller epsilon.
#if CUDNN_MAJOR == 7
#define CUDNN_BN_MIN_EPSILON 1e-5
#else
#define CUDNN_BN_MIN_EPSILON 0.0
#endif

extern "C" {

typedef enum {
  CUDNN_STATUS_SUCCESS = 0,
  CUDNN_STATUS_NOT_INITIALIZED = CUDNN_MAJOR >= 9 ? 1001 : 1,
} cudnnStatus_t;
typedef enum {
  CUDNN_DATA_FLOAT = 0,
  CUDNN_DATA_DOUBLE = 1,
  CUDNN_DATA_HALF = 2,
} cudnnDataType_t;
typedef enum {
  CUDNN_BATCHNORM_PER_ACTIVATION = 0,
  CUDNN_BATCHNORM_SPATIAL = 1,
  CUDNN_BATCHNORM_SPATIAL_PERSISTENT = 2,
} cudnnBatchNormMode_t;

struct cudnnContext;
struct cudnnTensorStruct;
typedef struct cudnnContext* cudnnHandle_t;
typedef struct cudnnTensorStruct* cudnnTensorDescriptor_t;

const char* cudnnGetErrorString(cudnnStatus_t status);
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle);
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle);

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* descriptor);
STAND_IN_DEPRECATED cudnnStatus_t cudnnSetTensor4dDescriptorEx(
    cudnnTensorDescriptor_t descriptor, cudnnDataType_t type, int n, int c, int h, int w,
    int n_stride, int c_stride, int h_stride, int w_stride);
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t descriptor);

STAND_IN_DEPRECATED cudnnStatus_t
cudnnDeriveBNTensorDescriptor(cudnnTensorDescriptor_t derived,
                              const cudnnTensorDescriptor_t x, cudnnBatchNormMode_t mode);
STAND_IN_DEPRECATED cudnnStatus_t cudnnBatchNormalizationForwardTraining(
    cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void* alpha, const void* beta,
    const cudnnTensorDescriptor_t x_descriptor, const void* x,
    const cudnnTensorDescriptor_t y_descriptor, void* y,
    const cudnnTensorDescriptor_t parameters, const void* scale, const void* bias,
    double average_factor, void* running_mean, void* running_variance, double epsilon,
    void* saved_mean, void* saved_inverse_variance);
STAND_IN_DEPRECATED cudnnStatus_t cudnnBatchNormalizationBackward(
    cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void* alpha_data,
    const void* beta_data, const void* alpha_parameters, const void* beta_parameters,
    const cudnnTensorDescriptor_t x_descriptor, const void* x,
    const cudnnTensorDescriptor_t dy_descriptor, const void* dy,
    const cudnnTensorDescriptor_t dx_descriptor, void* dx,
    const cudnnTensorDescriptor_t parameters, const void* scale, void* scale_diff,
    void* bias_diff, double epsilon, const void* saved_mean,
    const void* saved_inverse_variance);
}

#endif  // STAND_IN_CUDNN_BATCH_NORM_H_
