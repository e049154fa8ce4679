#ifndef CUDA_EMULATION_CURAND_H_
#define CUDA_EMULATION_CURAND_H_

// No layer with device code calls cuRAND yet: only the types in common.hpp are needed.

enum curandStatus_t { CURAND_STATUS_SUCCESS = 0, CURAND_STATUS_NOT_INITIALIZED = 101 };
using curandGenerator_t = struct curandGenerator_st*;

#endif  // CUDA_EMULATION_CURAND_H_
