#ifndef PYTHON_BINDINGS_NET_USERS_HPP_
#define PYTHON_BINDINGS_NET_USERS_HPP_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "blob.hpp"

namespace caffe::python {

/// The threads that run a net, so that none gets another's numbers.
///
/// The thread that made the net gets results as arrays over the net's memory, as in
/// Caffe. Once another one runs it all get copies, and the arrays handed out before
/// keep their values. What goes on from an earlier call of a thread (a backward, the
/// second part of a forward, a run after set_input_arrays) is refused when another
/// thread's call came between.
///
/// All members are used in the net's turn, with Python's global lock held.
class NetUsers {
 public:
  explicit NetUsers(std::string net);
  ~NetUsers();
  NetUsers(const NetUsers&) = delete;
  NetUsers& operator=(const NetUsers&) = delete;

  /// What the calling thread is about to do. Throws RuntimeError if it cannot.
  void BeginForward(bool from_first_layer);
  void BeginBackward();
  void SetArrays();
  /// For runs that begin by themselves, such as the next iteration of a solver.
  void BeginAnew();
  /// From now on the calling thread goes on from whatever the net holds.
  void TakeOver();

  /// Whether two threads have run it.
  bool several() const { return several_; }
  /// The data or diff of a blob, for the caller of a run.
  nb::object Result(const BlobHandle& blob, bool data, const std::string& name);

  /// What a thread has done last with a net: the number of that call, 0 if none.
  struct Marks {
    std::uint64_t forward = 0;
    std::uint64_t arrays = 0;
  };

 private:
  struct Lent {
    std::weak_ptr<Pin> pin;
    std::string blob;
  };

  Marks& Mine() const;
  void CountThread();
  void LeaveLentBuffers();

  const std::string net_;
  const std::uint64_t id_;
  const std::uint64_t maker_;
  std::uint64_t first_ = 0;  ///< the thread of the first run
  bool several_ = false;
  bool copies_ = false;
  std::uint64_t forwards_ = 0;
  std::uint64_t arrays_ = 0;
  std::vector<Lent> lent_;
};

}  // namespace caffe::python

#endif  // PYTHON_BINDINGS_NET_USERS_HPP_
