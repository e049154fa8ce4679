#include "caffe/solvers/run_position.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "caffe/resumable.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {
namespace {

/// SolverState.rng_state: for every rank seed, stream and number of draws, 8
/// little-endian bytes each.
constexpr int kStreamBytes = 24;

string EncodeStream(const rng_t& stream) {
  string bytes;
  for (const std::uint64_t value : {stream.seed(), stream.stream(), stream.counter()}) {
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  }
  return bytes;
}

rng_t DecodeStream(const string& bytes, int rank) {
  std::uint64_t values[3] = {};
  for (int i = 0; i < kStreamBytes; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[rank * kStreamBytes + i]);
    values[i / 8] |= std::uint64_t{byte} << (8 * (i % 8));
  }
  rng_t stream(values[0], values[1]);
  stream.Seek(values[2]);
  return stream;
}

}  // namespace

void CheckStreams(const string& state_file, const SolverState& state) {
  const size_t bytes = state.rng_state().size();
  if (!state.has_rng_state() || (bytes > 0 && bytes % kStreamBytes == 0)) return;
  throw FileError(Str("'", state_file, "' is damaged: the random streams have ", bytes,
                      " bytes, expected ", kStreamBytes,
                      " for every process that wrote it"));
}

template <typename Dtype>
std::unique_ptr<SolverState> CapturePosition(
    const Net<Dtype>& net, const vector<shared_ptr<Net<Dtype>>>& test_nets,
    ProcessGroup* group) {
  auto state = std::make_unique<SolverState>();
  for (int rank = 0; rank < group->size(); ++rank) {
    string stream = EncodeStream(*caffe_rng());
    group->Broadcast(stream.data(), stream.size(), rank);
    state->mutable_rng_state()->append(stream);
  }
  for (int i = -1; i < static_cast<int>(test_nets.size()); ++i) {
    const Net<Dtype>& from = i < 0 ? net : *test_nets[i];
    for (size_t j = 0; j < from.layers().size(); ++j) {
      LayerState layer_state;
      const auto* layer = dynamic_cast<const Resumable*>(from.layers()[j].get());
      if (layer == nullptr || !layer->SaveState(&layer_state)) continue;
      layer_state.set_layer(from.layer_names()[j]);
      layer_state.set_net(i);
      *state->add_layer_state() = layer_state;
    }
  }
  return state;
}

template <typename Dtype>
void RestorePosition(const string& state_file, const SolverState& state,
                     const Net<Dtype>& net,
                     const vector<shared_ptr<Net<Dtype>>>& test_nets,
                     const ProcessGroup& group) {
  // The stream first: a layer may derive its own draws from the seed.
  if (state.has_rng_state()) {
    const int rank = group.rank();
    const int streams = static_cast<int>(state.rng_state().size() / kStreamBytes);
    LOG_IF(WARNING, streams != group.size() && Caffe::root_solver())
        << "'" << state_file << "' was written by " << streams
        << " process(es) and goes on in " << group.size()
        << ": if batch_size times processes is what it was, iterations get the samples "
           "that would have come, else another number of them, of which the last few "
           "may come again; Dropout and the like draw other numbers";
    const rng_t saved = DecodeStream(state.rng_state(), std::min(rank, streams - 1));
    *caffe_rng() = rng_t(saved.seed(), rank < streams ? saved.stream() : rank);
    caffe_rng()->Seek(saved.counter());
  }
  for (const LayerState& layer_state : state.layer_state()) {
    const int index = layer_state.net();
    const Net<Dtype>* to = index == -1 ? &net : nullptr;
    if (index >= 0 && index < static_cast<int>(test_nets.size())) {
      to = test_nets[index].get();
    }
    if (to == nullptr || !to->has_layer(layer_state.layer())) {
      LOG(WARNING) << "The snapshot has the position of layer '" << layer_state.layer()
                   << "' of the " << (index < 0 ? "train" : "test")
                   << " net, which this solver does not have";
      continue;
    }
    auto* layer = dynamic_cast<Resumable*>(to->layer_by_name(layer_state.layer()).get());
    if (layer) layer->RestoreState(layer_state);
  }
}

#define INSTANTIATE_RUN_POSITION(Dtype)                                         \
  template std::unique_ptr<SolverState> CapturePosition<Dtype>(                 \
      const Net<Dtype>&, const vector<shared_ptr<Net<Dtype>>>&, ProcessGroup*); \
  template void RestorePosition<Dtype>(                                         \
      const string&, const SolverState&, const Net<Dtype>&,                     \
      const vector<shared_ptr<Net<Dtype>>>&, const ProcessGroup&)
INSTANTIATE_RUN_POSITION(float);
INSTANTIATE_RUN_POSITION(double);

}  // namespace caffe
