#ifndef PYTHON_BINDINGS_SESSION_HPP_
#define PYTHON_BINDINGS_SESSION_HPP_

#include <nanobind/nanobind.h>

#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "caffe/net.hpp"

namespace nb = nanobind;

namespace caffe::python {

struct Session;

/// Sessions whose nets share weights, and of which one computes at a time.
struct TurnGroup {
  /// Held by whoever computes with the nets or looks into their blobs. Recursive,
  /// because callbacks and Python layers look into the blobs of the running net.
  std::recursive_mutex turn;
  /// Held to change `members`, or to keep them while `turn` is given away.
  std::mutex membership;
  std::vector<std::weak_ptr<Session>> members;
};

/// What a net, or a solver with its nets, shares with everything Python got out
/// of it. Its members are read and written with Python's global lock held.
struct Session {
  /// A session alone in its group.
  static std::shared_ptr<Session> Create();

  std::shared_ptr<TurnGroup> group;
  std::vector<std::weak_ptr<Net<float>>> nets;
};
using SessionPtr = std::shared_ptr<Session>;

/// Puts two sessions into one group.
void Join(const SessionPtr& a, const SessionPtr& b);

/// Takes a session's turn. Python's global lock is released while waiting, so that
/// the thread waited for can run callbacks; it is held again when the constructor
/// returns.
class Locked {
 public:
  explicit Locked(const SessionPtr& session);
  ~Locked();
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  std::shared_ptr<TurnGroup> group_;
};

/// A turn that Python takes with a `with` statement, around several calls.
class Turn {
 public:
  explicit Turn(SessionPtr session) : session_(std::move(session)) {}
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  void Enter();
  void Exit();

 private:
  SessionPtr session_;
  std::unique_ptr<Locked> locked_;
  std::thread::id thread_;
};

/// Gives the turn away for a moment, so that a waiting thread gets its own. For
/// threads in a Computing, with Python's global lock released.
class Pause {
 public:
  explicit Pause(const SessionPtr& session);
  ~Pause();
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;

 private:
  TurnGroup& group_;
  const bool paused_;
};

/// The session this thread computes in; Python layers hand it to their blobs.
SessionPtr CurrentSession();

/// Takes a session's turn for a computation, makes the session the current one and
/// releases Python's global lock.
class Computing {
 public:
  explicit Computing(const SessionPtr& session);
  ~Computing();
  Computing(const Computing&) = delete;
  Computing& operator=(const Computing&) = delete;

 private:
  Locked locked_;
  SessionPtr previous_;
  nb::gil_scoped_release released_;
};

}  // namespace caffe::python

#endif  // PYTHON_BINDINGS_SESSION_HPP_
