#ifndef CAFFE_NET_RECORDED_STEPS_HPP_
#define CAFFE_NET_RECORDED_STEPS_HPP_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "caffe/device_graph.hpp"
#include "caffe/graph.hpp"
#include "caffe/net/step.hpp"

namespace caffe {

/// Steps of inference as recorded work of a GPU. Where several steps in a row only start
/// such work (LayerTraits::device_only), the third equal run of them is recorded, and
/// later ones are a single call. Equal are runs by one thread on one device with the same
/// shapes, parameters and memory of the blobs; another one is run step by step, and
/// recording begins anew. So it does where the device took the memory for something else.
///
/// A replay leaves blobs as the steps would: what is newest, and what is freed. What
/// comes in may be anywhere, and is brought to where it was when the steps were recorded.
template <typename Dtype>
class RecordedSteps {
 public:
  RecordedSteps(const Graph<Dtype>& graph, const vector<Step>& steps);
  ~RecordedSteps();

  /// What CAFFE_CUDA_GRAPHS of the environment says; true if nothing.
  static bool AreWanted();

  /// Runs steps from `first` on and returns how many; 0 where the caller has to run
  /// `first` itself. `run` does all of a step, `after` only what comes after its work.
  int Run(int first, const std::function<void(int)>& run,
          const std::function<void(int)>& after);
  /// For changes that no blob shows.
  void Forget() {
    for (Span& span : spans_) Forget(&span);
  }

 private:
  /// A memory that is there after the steps.
  struct Kept {
    shared_ptr<SyncedMemory> memory;
    bool is_input = false, is_written = false;
    /// Before and after the steps.
    SyncedMemory::DeviceCopies before = {}, after = {};
  };
  struct Span {
    int begin, end;  ///< steps
    vector<Layer<Dtype>*> layers;
    vector<Blob<Dtype>*> blobs;       ///< that those read and write, in that order
    vector<bool> is_top;              ///< of `blobs`
    vector<std::uint64_t> condition;  ///< of the last run
    int equal_runs = 0;
    bool failed = false;  ///< it cannot be recorded
    std::unique_ptr<device::Graph> recorded;
    vector<const SyncedMemory*> memories;  ///< of the blobs, then
    vector<Kept> kept;
  };

  bool IsDeviceOnly(const Step& step) const;
  void AddSpan(int begin, int end, const vector<Step>& steps);
  vector<std::uint64_t> ConditionOf(const Span& span) const;
  vector<const SyncedMemory*> MemoriesOf(const Span& span) const;
  vector<Kept> InputsOf(const Span& span) const;
  static void Forget(Span* span);
  bool Record(const std::function<void(int)>& run, Span* span);
  bool Replay(const std::function<void(int)>& after, Span* span);
  string NamesOf(const Span& span) const;

  const Graph<Dtype>& graph_;
  vector<Span> spans_;
  vector<int> starts_;  ///< by step: the span that begins there, or -1
  vector<int> first_layers_, last_layers_;  ///< by step
};

}  // namespace caffe

#endif  // CAFFE_NET_RECORDED_STEPS_HPP_
