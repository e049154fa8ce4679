#ifndef CUDA_EMULATION_RUNTIME_KERNELS_H_
#define CUDA_EMULATION_RUNTIME_KERNELS_H_

#include <string>

namespace cuda_emulation::runtime {

/// "block (1, 0, 0), thread (3, 0, 0)" of the thread that runs; empty if none does.
std::string KernelPosition();

/// Whether `address` is just past the stack of the thread that runs.
bool KernelStackOverflows(const void* address);

/// Forgets a kernel that failed.
void AbandonKernel();

}  // namespace cuda_emulation::runtime

#endif  // CUDA_EMULATION_RUNTIME_KERNELS_H_
