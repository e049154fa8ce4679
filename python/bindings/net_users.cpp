#include "net_users.hpp"

#include <atomic>
#include <map>
#include <unordered_map>
#include <utility>

namespace caffe::python {
namespace {

std::uint64_t NextNumber() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

// Not the system's number: it gives those of ended threads to new ones.
thread_local const std::uint64_t this_thread = NextNumber();

// By the number of the net; what a thread knows of it ends with the thread.
thread_local std::unordered_map<std::uint64_t, NetUsers::Marks> marks;

}  // namespace

NetUsers::NetUsers(std::string net)
    : net_(std::move(net)), id_(NextNumber()), maker_(this_thread) {}

NetUsers::~NetUsers() { marks.erase(id_); }

NetUsers::Marks& NetUsers::Mine() const { return marks[id_]; }

void NetUsers::BeginForward(bool from_first_layer) {
  Marks& mine = Mine();
  if (mine.arrays && mine.arrays != arrays_) {
    throw RuntimeFailure(
        Str("net '", net_,
            "': another thread has called set_input_arrays since this one did, and its "
            "arrays would be run; call set_input_arrays and forward in one `with "
            "net.turn():`"));
  }
  if (!from_first_layer && mine.forward && mine.forward != forwards_) {
    throw RuntimeFailure(
        Str("net '", net_,
            "': another thread has run it since this one ran the layers before `start`, "
            "and its values would be used; run both parts in one `with net.turn():`"));
  }
  CountThread();
  mine.forward = ++forwards_;
}

void NetUsers::BeginBackward() {
  const Marks& mine = Mine();
  if (mine.forward && mine.forward != forwards_) {
    throw RuntimeFailure(
        Str("net '", net_,
            "': another thread has run forward since this one did, and backward would "
            "use its values; run forward and backward in one `with net.turn():`"));
  }
  CountThread();
}

void NetUsers::SetArrays() { Mine().arrays = ++arrays_; }

void NetUsers::BeginAnew() {
  CountThread();
  Mine().forward = ++forwards_;
}

void NetUsers::TakeOver() { Mine() = {forwards_, arrays_}; }

void NetUsers::CountThread() {
  if (!first_) first_ = this_thread;
  several_ = several_ || first_ != this_thread;
  if (copies_ || this_thread == maker_) return;
  LeaveLentBuffers();
  copies_ = true;
}

void NetUsers::LeaveLentBuffers() {
  struct Holders {
    std::shared_ptr<Pin> one;
    std::string blob;
    int count = 0;
  };
  std::map<const SyncedMemory*, Holders> lent;
  for (const Lent& entry : lent_) {
    if (auto pin = entry.pin.lock()) {
      Holders& holders = lent[&pin->memory()];
      ++holders.count;
      holders.blob = entry.blob;
      holders.one = std::move(pin);
    }
  }
  for (const auto& [memory, holders] : lent) {
    // An array got from the blob itself shows every run, one got from forward its own.
    if (memory->pins() == holders.count && memory->owns_cpu_data()) continue;
    throw RuntimeFailure(Str(
        "net '", net_, "', blob '", holders.blob,
        "': this run of another thread would overwrite a result that the thread which "
        "made the net still holds, beside an array of the blob itself; keep a copy of "
        "the result there, as by forward(...)['",
        holders.blob, "'].copy(), and drop the other"));
  }
  for (const auto& [memory, holders] : lent) holders.one->memory().LeaveBuffer();
  lent_.clear();
}

nb::object NetUsers::Result(const BlobHandle& blob, bool data, const std::string& name) {
  if (blob.WrittenOnDevice(data)) return blob.Copy(data);
  std::shared_ptr<Pin> pin;
  nb::object array = blob.View(data, &pin);
  if (copies_) return array.attr("copy")();
  std::erase_if(lent_, [](const Lent& entry) { return entry.pin.expired(); });
  if (pin) lent_.push_back({pin, name});
  return array;
}

}  // namespace caffe::python
