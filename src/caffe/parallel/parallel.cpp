#include "caffe/parallel.hpp"

#include <cstdlib>

#include "caffe/common.hpp"
#include "caffe/parallel/connect.hpp"

namespace caffe {
namespace {

class SingleProcess final : public ProcessGroup {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void StartSum(float*, int) override {}
  void StartSum(double*, int) override {}
  void Advance() override {}
  void Wait() override {}
  void Broadcast(void*, std::size_t, int) override {}
  void Leave() override {}
  void Finish() override {}
};

// MPI itself could tell, but starting it takes time, and changes a process in ways that
// nobody wants who runs by himself.
int LaunchedProcesses() {
  // Open MPI's launcher; those of MPICH, Intel MPI and MVAPICH.
  for (const char* variable : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    if (const char* text = std::getenv(variable)) return std::atoi(text);
  }
  return 1;
}

std::unique_ptr<ProcessGroup> Connect() {
  const int launched = LaunchedProcesses();
  if (launched <= 1) return std::make_unique<SingleProcess>();
  auto group = ConnectProcesses(launched);
  if (group->rank() > 0 && logging::MinSeverity() < google::WARNING) {
    logging::SetMinSeverity(google::WARNING);
  }
  return group;
}

}  // namespace

ProcessGroup& ProcessGroup::Join() {
  // Never destroyed: the others are told of the end after static objects are gone.
  static ProcessGroup* const group = Connect().release();
  // Alone, the thread keeps what it was told by Caffe::set_solver_rank.
  if (group->size() > 1) {
    Caffe::set_solver_count(group->size());
    Caffe::set_solver_rank(group->rank());
    Caffe::set_multiprocess(true);
  }
  return *group;
}

}  // namespace caffe
