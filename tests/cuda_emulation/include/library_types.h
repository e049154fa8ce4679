#ifndef CUDA_EMULATION_LIBRARY_TYPES_H_
#define CUDA_EMULATION_LIBRARY_TYPES_H_

// What the libraries of CUDA call their number formats: those that are emulated.

typedef enum cudaDataType_t {
  CUDA_R_32F = 0,
  CUDA_R_64F = 1,
  CUDA_R_16F = 2,
  CUDA_R_8I = 3,
  CUDA_R_32I = 10,
  CUDA_R_16BF = 14,
} cudaDataType;

typedef enum libraryPropertyType_t {
  MAJOR_VERSION,
  MINOR_VERSION,
  PATCH_LEVEL,
} libraryPropertyType;

#endif  // CUDA_EMULATION_LIBRARY_TYPES_H_
