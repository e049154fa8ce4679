#ifndef CUDA_EMULATION_CUDA_H_
#define CUDA_EMULATION_CUDA_H_

// The library includes this header and uses nothing of the driver's interface.

#endif  // CUDA_EMULATION_CUDA_H_
