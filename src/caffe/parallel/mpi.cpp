#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "caffe/error.hpp"
#include "caffe/parallel/connect.hpp"
#include "caffe/parallel/heartbeat.hpp"
#include "caffe/parallel/start_watch.hpp"

// Sums and copies between processes by MPI.

namespace caffe {
namespace {

void Check(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw RuntimeFailure(Str("MPI: ", call, ": ", std::string(text, length)));
}

bool has_left = false;
bool has_finished = false;

class MpiGroup final : public ProcessGroup {
 public:
  MpiGroup(MPI_Comm communicator, const Heartbeat::Patience& patience)
      : communicator_(communicator), heartbeat_(communicator, patience) {
    MPI_Comm_rank(communicator_, &rank_);
    MPI_Comm_size(communicator_, &size_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void StartSum(float* values, int count) override { Start(values, count, MPI_FLOAT); }
  void StartSum(double* values, int count) override { Start(values, count, MPI_DOUBLE); }

  void Advance() override {
    const std::lock_guard lock(heartbeat_.mpi_mutex());
    // Testing one request advances all.
    while (!requests_.empty() && Complete(&requests_.front())) requests_.pop_front();
  }

  // MPI's own wait keeps a processor busy, which another process may be computing on.
  void Wait() override {
    if (Advance(), requests_.empty()) return;
    Heartbeat::Waiting waiting(&heartbeat_);
    for (int pause_us = 1; Advance(), !requests_.empty();
         pause_us = std::min(2 * pause_us, 256)) {
      waiting.Check();
      std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
    }
  }

  void EndHeartbeat() { heartbeat_.End(); }

  /// Returns when all have called this.
  void WaitForEnd() {
    {
      const std::lock_guard lock(heartbeat_.mpi_mutex());
      NewRequest();
      Check(MPI_Ibarrier(communicator_, &requests_.back()), "MPI_Ibarrier");
    }
    Wait();
  }

  void Broadcast(void* bytes, std::size_t size, int root) override {
    CheckMember();
    constexpr std::size_t kPart = std::size_t{1} << 30;  // MPI counts with int
    for (std::size_t begin = 0; begin < size; begin += kPart) {
      const std::lock_guard lock(heartbeat_.mpi_mutex());
      NewRequest();
      Check(MPI_Ibcast(static_cast<char*>(bytes) + begin,
                       static_cast<int>(std::min(kPart, size - begin)), MPI_BYTE, root,
                       communicator_, &requests_.back()),
            "MPI_Ibcast");
    }
    Wait();
  }

  void Leave() override { has_left = true; }
  void Finish() override { has_finished = true; }

 private:
  void CheckMember() const {
    if (!has_left) return;
    throw RuntimeFailure(Str("rank ", rank_,
                             " failed earlier and cannot train on with "
                             "the other ",
                             size_ - 1,
                             " process(es), which end when it "
                             "does; end it and start all again"));
  }

  void NewRequest() {
    requests_.push_back(MPI_REQUEST_NULL);
    heartbeat_.CountCall();
  }

  void Start(void* values, int count, MPI_Datatype type) {
    CheckMember();
    const std::lock_guard lock(heartbeat_.mpi_mutex());
    NewRequest();
    Check(MPI_Iallreduce(MPI_IN_PLACE, values, count, type, MPI_SUM, communicator_,
                         &requests_.back()),
          "MPI_Iallreduce");
  }

  static bool Complete(MPI_Request* request) {
    int complete = 0;
    Check(MPI_Test(request, &complete, MPI_STATUS_IGNORE), "MPI_Test");
    return complete != 0;
  }

  MPI_Comm communicator_;
  int rank_ = 0;
  int size_ = 0;
  std::deque<MPI_Request> requests_;
  Heartbeat heartbeat_;
};

pid_t started_in = 0;
MpiGroup* the_group = nullptr;

// MPI_Finalize waits for the other processes, which a failed one must not do: they may
// be waiting for it. The exit status tells, whoever it was that failed.
void EndMpi(int status, void*) {
  if (getpid() != started_in) return;  // a forked child
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized) return;
  bool in_order = (status == 0 || has_finished) && !has_left;
  if (in_order && the_group) {
    try {
      the_group->WaitForEnd();
    } catch (const Error& error) {
      std::fprintf(stderr, "error: %s\n", error.what());
      in_order = false;
    }
  }
  if (the_group) the_group->EndHeartbeat();
  if (in_order) {
    MPI_Finalize();
    return;
  }
  std::fflush(nullptr);
  MPI_Abort(MPI_COMM_WORLD, status != 0 ? status : 1);
}

// As the launcher has told; MPI cannot yet.
std::string LaunchedRank() {
  for (const char* variable : {"OMPI_COMM_WORLD_RANK", "PMI_RANK"}) {
    if (const char* text = std::getenv(variable)) return text;
  }
  return "?";
}

}  // namespace

std::unique_ptr<ProcessGroup> ConnectProcesses(int launched) {
  const auto patience = Heartbeat::Patience::FromEnvironment();
  const StartWatch watch(LaunchedRank(), launched, patience);
  // Another library of this process may use MPI, too, and then ends it.
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (!initialized) {
    int threads = 0;
    Check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &threads),
          "MPI_Init_thread");
  }
  if (started_in == 0) {
    started_in = getpid();
    on_exit(EndMpi, nullptr);
  }
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size != launched) {
    char version[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(version, &length);
    const std::string text(version, length);
    throw RuntimeFailure(Str("MPI: this process reaches ", size, " of the ", launched,
                             " that were started, expected all; caffe was built with ",
                             text.substr(0, text.find_first_of(",\n")),
                             ", start it with the mpirun of that MPI"));
  }
  MPI_Comm own;
  Check(MPI_Comm_dup(MPI_COMM_WORLD, &own), "MPI_Comm_dup");
  MPI_Comm_set_errhandler(own, MPI_ERRORS_RETURN);
  auto group = std::make_unique<MpiGroup>(own, patience);
  the_group = group.get();
  return group;
}

}  // namespace caffe
