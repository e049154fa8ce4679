#ifndef CUDA_EMULATION_RUNTIME_ENVIRONMENT_H_
#define CUDA_EMULATION_RUNTIME_ENVIRONMENT_H_

// What variables of the environment make of the devices, for tests that run whole
// programs:
//   CUDA_EMULATION_DEVICES    the number of devices (2)
//   CUDA_EMULATION_MEMORY     bytes of memory of each
//   CUDA_EMULATION_DRIVER     the driver's version, like 12040; 0 is none
//   CUDA_EMULATION_FAIL       busy: the devices serve another process alone;
//                             nccl: NCCL connects nothing, as between processes, whose
//                             emulated devices are not the same;
//                             no_image: the program has no code for their architecture;
//                             kernel:NAME:COUNT: the COUNTth kernel that has NAME in its
//                             name fails when it runs

#include <cstddef>

namespace cuda_emulation::runtime {

/// The number that the variable is set to, or `otherwise`.
std::size_t NumberOf(const char* variable, std::size_t otherwise);

/// CUDA_EMULATION_FAIL=busy
bool DevicesAreBusy();
/// CUDA_EMULATION_FAIL=no_image
bool KernelsHaveNoImage();
/// CUDA_EMULATION_FAIL=kernel:NAME:COUNT. Counts the kernels with that name: to be asked
/// once for each that starts, with the runtime's lock.
bool KernelShallFail(const void* kernel);

}  // namespace cuda_emulation::runtime

#endif  // CUDA_EMULATION_RUNTIME_ENVIRONMENT_H_
