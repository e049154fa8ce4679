// CUDA graphs.

#include <memory>
#include <utility>

#include "caffe/common.hpp"
#include "caffe/device_graph.hpp"
#include "caffe/gpu/memory_cache.hpp"
#include "caffe/gpu/owned.hpp"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace device {
namespace {

using Stream = Owned<cudaStream_t, cudaStreamDestroy>;
using Recorded = Owned<cudaGraph_t, cudaGraphDestroy>;

// The default stream cannot be recorded: meanwhile the thread's work starts on another.
// Other threads go on as they are, and this one may allocate (relaxed).
class Recording {
 public:
  explicit Recording(cudaStream_t stream, RecordedMemory* memory) : stream_(stream) {
    CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    LaunchStream() = stream;
    MemoryCache::OfSelected().Record(memory);
  }
  ~Recording() {
    if (!stream_) return;
    Stop();
    cudaGraph_t dropped = nullptr;
    cudaStreamEndCapture(stream_, &dropped);
    if (dropped) cudaGraphDestroy(dropped);
    cudaGetLastError();  // what spoilt it has been told
  }
  Recorded End() {
    Stop();
    cudaGraph_t graph = nullptr;
    const cudaError_t error =
        cudaStreamEndCapture(std::exchange(stream_, nullptr), &graph);
    if (error != cudaSuccess) cudaGetLastError();  // forgets it
    CUDA_CHECK(error);
    return Recorded(graph);
  }

 private:
  void Stop() {
    MemoryCache::OfSelected().Record(nullptr);
    LaunchStream() = nullptr;
  }
  cudaStream_t stream_;
};

Stream MakeStream() {
  cudaStream_t stream = nullptr;
  CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return Stream(stream);
}

}  // namespace

struct Graph::State {
  State() : cache(MemoryCache::OfSelected()) { cache.Register(&memory); }
  ~State() { cache.Unregister(&memory); }
  MemoryCache& cache;
  RecordedMemory memory;
  Owned<cudaGraphExec_t, cudaGraphExecDestroy> exec;
  std::size_t size = 0;
};

Graph::Graph(const std::function<void()>& work) : state_(std::make_unique<State>()) {
  const Stream stream = MakeStream();
  Recording recording(stream.get(), &state_->memory);
  work();
  const Recorded graph = recording.End();
  CUDA_CHECK(cudaGraphGetNodes(graph.get(), nullptr, &state_->size));
  cudaGraphExec_t exec = nullptr;
  CUDA_CHECK(cudaGraphInstantiate(&exec, graph.get(), 0));
  state_->exec.reset(exec);
}

Graph::~Graph() = default;

bool Graph::Launch() {
  return state_->cache.With(state_->memory, [&] {
    CUDA_CHECK(cudaGraphLaunch(state_->exec.get(), LaunchStream()));
  });
}

std::size_t Graph::size() const { return state_->size; }

}  // namespace device
}  // namespace caffe
