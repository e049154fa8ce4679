#ifndef CUDA_EMULATION_RUNTIME_FAULTS_H_
#define CUDA_EMULATION_RUNTIME_FAULTS_H_

namespace cuda_emulation::runtime {

/// From now on memory that this thread may not use leads to Access() (execution.h), and,
/// where that knows nothing of it, to a sentence if it is device memory and to whatever
/// handled it before.
void HandleFaults();

}  // namespace cuda_emulation::runtime

#endif  // CUDA_EMULATION_RUNTIME_FAULTS_H_
