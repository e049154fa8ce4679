#include "caffe/error.hpp"
#include "caffe/parallel/connect.hpp"

namespace caffe {

std::unique_ptr<ProcessGroup> ConnectProcesses(int launched) {
  throw RuntimeFailure(
      Str("this is one of ", launched, " processes that a launcher such as mpirun ",
          "started, but this build of caffe has no MPI, and they would all train alone; ",
          "install MPI's compiler (apt-get install libopenmpi-dev) and build caffe ",
          "again, or start one process"));
}

}  // namespace caffe
