// A solver's state in Caffe's binary format.

#include "small_solver.hpp"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  caffe::fuzz::Resume(data, size, ".solverstate");
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  caffe::SolverState state;
  if (seed % 2 != 0) {
    if (const size_t mutated =
            caffe::fuzz::MutateBytes(&state, data, size, max_size, seed)) {
      return mutated;
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
