#include "session.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <tuple>
#include <utility>

namespace caffe::python {
namespace {

thread_local SessionPtr current_session;

/// Whether this thread is in a Pause.
thread_local bool pausing = false;

/// The sessions of this thread's open Turns.
thread_local std::vector<const Session*> turns;

bool InTurn(const SessionPtr& session) {
  return std::any_of(turns.begin(), turns.end(),
                     [&](const Session* open) { return open->group == session->group; });
}

bool TryJoin(const SessionPtr& a, const SessionPtr& b) {
  const std::shared_ptr<TurnGroup> from = a->group, to = b->group;
  if (from == to) return true;
  std::unique_lock from_members(from->membership, std::try_to_lock);
  std::unique_lock to_members(to->membership, std::try_to_lock);
  std::unique_lock from_turn(from->turn, std::try_to_lock);
  std::unique_lock to_turn(to->turn, std::try_to_lock);
  if (!from_members || !to_members || !from_turn || !to_turn) return false;
  for (const auto& member : from->members) {
    const SessionPtr session = member.lock();
    if (!session) continue;
    session->group = to;
    to->members.push_back(session);
  }
  from->members.clear();
  return true;
}

}  // namespace

SessionPtr Session::Create() {
  auto session = std::make_shared<Session>();
  session->group = std::make_shared<TurnGroup>();
  session->group->members.push_back(session);
  return session;
}

void Join(const SessionPtr& a, const SessionPtr& b) {
  if (pausing) {
    throw RuntimeFailure(
        "share_with: cannot be called by a solver's action function or a signal handler");
  }
  if (a->group != b->group && (InTurn(a) || InTurn(b))) {
    throw RuntimeFailure(
        "share_with: cannot be called in a turn of one of the nets, which others wait "
        "for; share first, and take the turn then");
  }
  while (!TryJoin(a, b)) {
    // Somebody computes, perhaps waiting for us: hold nothing until the next attempt.
    nb::gil_scoped_release release;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Locked::Locked(const SessionPtr& session) {
  for (;;) {
    group_ = session->group;
    if (!group_->turn.try_lock()) {
      nb::gil_scoped_release release;
      group_->turn.lock();
    }
    if (group_ == session->group) return;
    group_->turn.unlock();  // it joined another group meanwhile
  }
}

Locked::~Locked() { group_->turn.unlock(); }

Turn::~Turn() {
  if (!locked_) return;
  if (thread_ == std::this_thread::get_id()) {
    Exit();
  } else {
    // Only its own thread could give it back: it stays taken.
    std::ignore = locked_.release();
  }
}

void Turn::Enter() {
  if (locked_) throw RuntimeFailure("turn: it is taken already; call net.turn() anew");
  locked_ = std::make_unique<Locked>(session_);
  thread_ = std::this_thread::get_id();
  turns.push_back(session_.get());
}

void Turn::Exit() {
  if (!locked_ || thread_ != std::this_thread::get_id()) {
    throw RuntimeFailure("turn: it ends in the thread that took it, and once");
  }
  turns.erase(std::find(turns.begin(), turns.end(), session_.get()));
  locked_.reset();
}

// While this thread has no turn, its group must not change. If somebody is just about
// to change it, there is no pause this time.
Pause::Pause(const SessionPtr& session)
    : group_(*session->group), paused_(group_.membership.try_lock()) {
  if (!paused_) return;
  pausing = true;
  group_.turn.unlock();
}

Pause::~Pause() {
  if (!paused_) return;
  group_.turn.lock();
  group_.membership.unlock();
  pausing = false;
}

SessionPtr CurrentSession() { return current_session; }

Computing::Computing(const SessionPtr& session)
    : locked_(session), previous_(std::exchange(current_session, session)) {}

Computing::~Computing() { current_session = previous_; }

}  // namespace caffe::python
