#ifndef CUDA_EMULATION_CURAND_H_
#define CUDA_EMULATION_CURAND_H_

// The part of cuRAND's host interface that this project uses, with its names and
// signatures; see curand.cpp. The numbers are others than cuRAND's.

#include <cuda_runtime.h>
#include <library_types.h>

#include <cstddef>

#define CURAND_VER_MAJOR 10
#define CURAND_VER_MINOR 4
#define CURAND_VER_PATCH 5
#define CURAND_VERSION \
  (CURAND_VER_MAJOR * 1000 + CURAND_VER_MINOR * 100 + CURAND_VER_PATCH)

extern "C" {

typedef enum {
  CURAND_STATUS_SUCCESS = 0,
  CURAND_STATUS_VERSION_MISMATCH = 100,
  CURAND_STATUS_NOT_INITIALIZED = 101,
  CURAND_STATUS_ALLOCATION_FAILED = 102,
  CURAND_STATUS_TYPE_ERROR = 103,
  CURAND_STATUS_OUT_OF_RANGE = 104,
  CURAND_STATUS_LENGTH_NOT_MULTIPLE = 105,
  CURAND_STATUS_DOUBLE_PRECISION_REQUIRED = 106,
  CURAND_STATUS_LAUNCH_FAILURE = 201,
  CURAND_STATUS_PREEXISTING_FAILURE = 202,
  CURAND_STATUS_INITIALIZATION_FAILED = 203,
  CURAND_STATUS_ARCH_MISMATCH = 204,
  CURAND_STATUS_INTERNAL_ERROR = 999,
} curandStatus_t;

/// Those of quasi-random numbers are not emulated.
typedef enum {
  CURAND_RNG_PSEUDO_DEFAULT = 100,
  CURAND_RNG_PSEUDO_XORWOW = 101,
  CURAND_RNG_PSEUDO_MRG32K3A = 121,
  CURAND_RNG_PSEUDO_MTGP32 = 141,
  CURAND_RNG_PSEUDO_MT19937 = 142,
  CURAND_RNG_PSEUDO_PHILOX4_32_10 = 161,
  CURAND_RNG_QUASI_DEFAULT = 200,
} curandRngType_t;

typedef struct curandGenerator_st* curandGenerator_t;

curandStatus_t curandGetVersion(int* version);
curandStatus_t curandGetProperty(libraryPropertyType type, int* value);

/// Of numbers in the memory of the device that is current.
curandStatus_t curandCreateGenerator(curandGenerator_t* generator, curandRngType_t type);
/// Of numbers in host memory, which are there when a call returns.
curandStatus_t curandCreateGeneratorHost(curandGenerator_t* generator,
                                         curandRngType_t type);
curandStatus_t curandDestroyGenerator(curandGenerator_t generator);
curandStatus_t curandSetStream(curandGenerator_t generator, cudaStream_t stream);
/// Begins the sequence anew, at the offset.
curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t generator,
                                                  unsigned long long seed);
/// The place in the sequence that comes next.
curandStatus_t curandSetGeneratorOffset(curandGenerator_t generator,
                                        unsigned long long offset);

/// All 32 bits are random.
curandStatus_t curandGenerate(curandGenerator_t generator, unsigned int* output,
                              std::size_t count);
/// In (0, 1].
curandStatus_t curandGenerateUniform(curandGenerator_t generator, float* output,
                                     std::size_t count);
curandStatus_t curandGenerateUniformDouble(curandGenerator_t generator, double* output,
                                           std::size_t count);
/// `count` is even, or the call returns CURAND_STATUS_LENGTH_NOT_MULTIPLE.
curandStatus_t curandGenerateNormal(curandGenerator_t generator, float* output,
                                    std::size_t count, float mean, float deviation);
curandStatus_t curandGenerateNormalDouble(curandGenerator_t generator, double* output,
                                          std::size_t count, double mean,
                                          double deviation);
}

#endif  // CUDA_EMULATION_CURAND_H_
