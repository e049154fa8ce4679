#ifndef CAFFE_PARALLEL_CONNECT_HPP_
#define CAFFE_PARALLEL_CONNECT_HPP_

#include <memory>

#include "caffe/parallel.hpp"

namespace caffe {

/// Connects this process with the others of the `launched` ones, of which there are at
/// least two. The result lives until the process ends. Defined in mpi.cpp, or in
/// no_mpi.cpp, which throws, in a build without MPI.
std::unique_ptr<ProcessGroup> ConnectProcesses(int launched);

}  // namespace caffe

#endif  // CAFFE_PARALLEL_CONNECT_HPP_
