// A solver's state in HDF5.

#include "small_solver.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  caffe::fuzz::Resume(data, size, ".solverstate.h5");
  return 0;
}
