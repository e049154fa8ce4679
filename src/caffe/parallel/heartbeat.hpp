#ifndef CAFFE_PARALLEL_HEARTBEAT_HPP_
#define CAFFE_PARALLEL_HEARTBEAT_HPP_

#include <mpi.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace caffe {

/// Tells a process that is stopped, or whose machine hangs, from one that computes for
/// long. A thread in every process sends the others a beat each interval: a process that
/// computes goes on beating, a stopped one does not.
///
/// MPI allows one thread at a time (MPI_THREAD_SERIALIZED): whoever calls MPI while a
/// heartbeat runs holds mpi_mutex().
///
/// Times are counted in beats of this process, so that all may be stopped together for a
/// night and go on.
class Heartbeat {
 public:
  /// In seconds; 0 for never. From the environment variables CAFFE_RANK_WARNING_S and
  /// CAFFE_RANK_TIMEOUT_S. Throws ValueError.
  struct Patience {
    double warning = 60;
    double timeout = 600;
    bool timeout_is_given = false;
    static Patience FromEnvironment();
  };

  /// Collective. Without threads in MPI nobody beats, and waits are without an end.
  Heartbeat(MPI_Comm communicator, const Patience& patience);
  ~Heartbeat() { End(); }

  /// Ends the thread. Not collective.
  void End();

  std::mutex& mpi_mutex() { return mutex_; }

  /// This process has made one more call of the group; mpi_mutex() is held.
  void CountCall() { ++calls_; }

  /// A wait for the others, from construction to destruction, after mpi_mutex() is free.
  class Waiting {
   public:
    explicit Waiting(Heartbeat* heartbeat);
    ~Waiting();
    /// To be called again and again: warns of ranks that have not made the call waited
    /// for, and throws RuntimeFailure if one of them has been silent for too long.
    void Check();

   private:
    Heartbeat& heartbeat_;
    const std::int64_t began_;
    double next_warning_;
  };

 private:
  struct Beat {
    std::int64_t calls;    ///< of the group, so far
    std::int64_t waiting;  ///< 1: for the others
  };
  struct Peer {
    std::string name;  ///< "rank 2 (process 4711 on node3)"
    Beat heard{0, 0};
    Beat sent{0, 0};
    std::int64_t silence = 0;  ///< beats of this process since the last of that one
    MPI_Request sending = MPI_REQUEST_NULL;
  };

  void Run();
  void Exchange();
  double Seconds(std::int64_t beats) const { return beats * interval_s_; }

  const Patience patience_;
  const double interval_s_;
  MPI_Comm communicator_ = MPI_COMM_NULL;
  int rank_ = 0;
  std::vector<Peer> peers_;  ///< by rank

  std::mutex mutex_;  ///< of MPI and of all below
  std::condition_variable stop_changed_;
  bool stop_ = false;
  std::int64_t beats_ = 0;
  std::int64_t calls_ = 0;
  bool waiting_ = false;
  std::thread thread_;

  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;
};

}  // namespace caffe

#endif  // CAFFE_PARALLEL_HEARTBEAT_HPP_
