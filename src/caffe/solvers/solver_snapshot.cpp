#include <algorithm>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "caffe/parallel.hpp"
#include "caffe/solver.hpp"
#include "caffe/solvers/file_digest.hpp"
#include "caffe/util/atomic_file.hpp"
#include "caffe/util/input_file.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"

// Snapshots: what they hold apart from an update rule's history, and how a run goes on
// from one.

namespace caffe {
namespace {

namespace fs = std::filesystem;

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

int NumStreams(const SolverState& state) {
  return static_cast<int>(state.rng_state().size() / kStreamBytes);
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

bool IsFile(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

/// The weights that belong to a state: where it says or, when the snapshot has been
/// moved, beside it. The name comes from a file, so it may be anything: it is only
/// ever read, and never if it is a pipe or a device.
string FindWeights(const string& state_file, const SolverState& state) {
  const fs::path named(state.learned_net());
  const fs::path beside = fs::path(state_file).parent_path() / named.filename();
  string other;
  for (const fs::path& path : {named, beside}) {
    if (!IsFile(path)) continue;
    if (!state.has_learned_net_digest() ||
        FileDigest(path.string()) == state.learned_net_digest()) {
      return path.string();
    }
    other = path.string();
  }
  if (!other.empty()) {
    throw FileError(Str("'", other, "' is not the file that was saved with '", state_file,
                        "': another run has replaced it, or it is damaged; resume from "
                        "another snapshot, or start from these weights alone"));
  }
  throw FileError(Str("'", state_file, "' needs the weights '", named.string(),
                      "', which are neither there nor beside it as '", beside.string(),
                      "'; put the file there"));
}

}  // namespace

template <typename Dtype>
string Solver<Dtype>::SnapshotFilename(const string& extension) {
  return Str(param_.snapshot_prefix(), "_iter_", iter_, extension);
}

template <typename Dtype>
void Solver<Dtype>::CheckSnapshotWritePermissions() {
  if (!Caffe::root_solver()) return;
  if (param_.snapshot() && !param_.has_snapshot_prefix()) {
    throw ValueError(
        "solver: snapshot is given without snapshot_prefix, expected the path and the "
        "start of the name for the snapshots");
  }
  const string who = Str("solver: snapshot_prefix '", param_.snapshot_prefix(), "'");
  // Differs from BVLC, which wants the folder made beforehand.
  const fs::path folder = fs::path(param_.snapshot_prefix()).parent_path();
  std::error_code problem;
  if (!folder.empty()) fs::create_directories(folder, problem);
  if (problem) {
    throw FileError(who, Str("the folder '", folder.string(),
                             "' is not there and cannot be made: ", problem.message()));
  }
  try {
    const AtomicFile probe(SnapshotFilename(".tempfile"));
  } catch (Error& error) {
    error.SetWho(who);
    throw;
  }
}

template <typename Dtype>
void Solver<Dtype>::Snapshot() {
  ProcessGroup::Join();
  CHECK(TakesPart()) << "only the root solver writes snapshots";
  CheckWeightsFinite();
  AverageStatistics();
  const bool in_test = position_ != nullptr;
  if (!in_test) position_ = CapturePosition();
  std::exception_ptr error;
  try {
    if (Caffe::root_solver()) WriteSnapshot();
  } catch (...) {
    error = std::current_exception();
  }
  if (!in_test) position_.reset();
  // The others wait until the files are there, or not.
  const bool failed = AnyOfGroup(error != nullptr);
  if (error) std::rethrow_exception(error);
  if (failed) throw FileError("rank 0 could not write the snapshot, and says why");
  const bool hdf5 = param_.snapshot_format() == SolverParameter_SnapshotFormat_HDF5;
  untried_snapshot_ = SnapshotFilename(hdf5 ? ".solverstate.h5" : ".solverstate");
}

template <typename Dtype>
void Solver<Dtype>::WriteSnapshot() {
  const bool hdf5 = param_.snapshot_format() == SolverParameter_SnapshotFormat_HDF5;
  // The state, which names the weights, comes last: where it is, both are complete.
  SnapshotSolverState(hdf5 ? SnapshotToHDF5() : SnapshotToBinaryProto());
}

template <typename Dtype>
void Solver<Dtype>::TrySnapshot() {
  try {
    Snapshot();
    last_snapshot_failed_ = false;
  } catch (const RuntimeFailure&) {
    throw;  // weights that are not finite, a process that is lost: training ends
  } catch (const std::exception& error) {
    last_snapshot_failed_ = true;
    ++snapshot_failures_;
    LOG_IF(ERROR, Caffe::root_solver())
        << "Iteration " << iter_
        << ": no snapshot was written, training goes on: " << error.what() << "; "
        << LastSnapshot();
  }
}

template <typename Dtype>
string Solver<Dtype>::LastGoodSnapshot() const {
  const string untried =
      untried_snapshot_.empty()
          ? ""
          : Str("the snapshot '", untried_snapshot_, "' is of the same iteration, ");
  if (last_good_snapshot_.empty()) {
    return untried + (untried.empty() ? "there is no snapshot of this run, begin again"
                                      : "and there is none from before, begin again");
  }
  return Str(untried, "the last good snapshot is '", last_good_snapshot_,
             "', go on from there");
}

template <typename Dtype>
string Solver<Dtype>::LastSnapshot() const {
  const string& last =
      untried_snapshot_.empty() ? last_good_snapshot_ : untried_snapshot_;
  return last.empty() ? "there is no snapshot of this run"
                      : Str("the last snapshot is '", last, "'");
}

template <typename Dtype>
string Solver<Dtype>::SnapshotToBinaryProto() {
  const string filename = SnapshotFilename(".caffemodel");
  LOG(INFO) << "Snapshotting to binary proto file " << filename;
  NetParameter net_param;
  net_->ToProto(&net_param, param_.snapshot_diff());
  WriteProtoToBinaryFile(net_param, filename);
  return filename;
}

template <typename Dtype>
string Solver<Dtype>::SnapshotToHDF5() {
  const string filename = SnapshotFilename(".caffemodel.h5");
  LOG(INFO) << "Snapshotting to HDF5 file " << filename;
  net_->ToHDF5(filename, param_.snapshot_diff());
  return filename;
}

template <typename Dtype>
void Solver<Dtype>::Restore(const char* resume_file) {
  CHECK(resume_file) << "a solverstate file is needed";
  ProcessGroup::Join();
  const string state_file(resume_file);
  const Contents contents = GuessContents(InputFile(state_file).Head());
  if (contents == Contents::kWeights) {
    throw FileError(Str("'", state_file,
                        "' is a caffemodel (weights), expected a "
                        "solverstate; -weights or Net.copy_from() takes weights alone"));
  }
  if (contents == Contents::kHdf5) {
    RestoreSolverStateFromHDF5(state_file);
  } else {
    RestoreSolverStateFromBinaryProto(state_file);
  }
  position_.reset();
  weights_match_ = false;
  untried_snapshot_ = state_file;
}

template <typename Dtype>
std::unique_ptr<SolverState> Solver<Dtype>::CapturePosition() const {
  auto state = std::make_unique<SolverState>();
  for (int rank = 0; rank < group_->size(); ++rank) {
    string stream = EncodeStream(*caffe_rng());
    group_->Broadcast(stream.data(), stream.size(), rank);
    state->mutable_rng_state()->append(stream);
  }
  for (int i = -1; i < static_cast<int>(test_nets_.size()); ++i) {
    const Net<Dtype>& net = i < 0 ? *net_ : *test_nets_[i];
    for (size_t j = 0; j < net.layers().size(); ++j) {
      LayerState layer_state;
      if (!net.layers()[j]->SaveState(&layer_state)) continue;
      layer_state.set_layer(net.layer_names()[j]);
      layer_state.set_net(i);
      *state->add_layer_state() = layer_state;
    }
  }
  return state;
}

template <typename Dtype>
void Solver<Dtype>::RestorePosition(const SolverState& state) {
  // The stream first: a layer may derive its own draws from the seed.
  if (state.has_rng_state()) {
    const int rank = group_->rank();
    const rng_t saved =
        DecodeStream(state.rng_state(), std::min(rank, NumStreams(state) - 1));
    *caffe_rng() = rng_t(saved.seed(), rank < NumStreams(state) ? saved.stream() : rank);
    caffe_rng()->Seek(saved.counter());
  }
  for (const LayerState& layer_state : state.layer_state()) {
    const int index = layer_state.net();
    const Net<Dtype>* net = index == -1 ? net_.get() : nullptr;
    if (index >= 0 && index < static_cast<int>(test_nets_.size())) {
      net = test_nets_[index].get();
    }
    if (net == nullptr || !net->has_layer(layer_state.layer())) {
      LOG(WARNING) << "The snapshot has the position of layer '" << layer_state.layer()
                   << "' of the " << (index < 0 ? "train" : "test")
                   << " net, which this solver does not have";
      continue;
    }
    net->layer_by_name(layer_state.layer())->RestoreState(layer_state);
  }
}

template <typename Dtype>
void Solver<Dtype>::ExportState(const string& model_filename, SolverState* state) const {
  *state = *position_;
  state->set_iter(iter_);
  state->set_learned_net(model_filename);
  state->set_learned_net_digest(FileDigest(model_filename));
  state->set_current_step(current_step_);
  state->set_solver_type(type());
  for (const Dtype loss : losses_) state->add_losses(loss);
  state->set_smoothed_loss(smoothed_loss_);
}

template <typename Dtype>
void Solver<Dtype>::CheckState(const string& state_file, const SolverState& state) const {
  if (state.has_solver_type() && state.solver_type() != type()) {
    throw ValueError(Str("'", state_file, "' was written by a solver of type '",
                         state.solver_type(), "', expected '", type(),
                         "'; use the solver definition it was made with"));
  }
  if (state.iter() < 0 || state.current_step() < 0) {
    throw FileError(Str("'", state_file, "' is damaged: iteration ", state.iter(),
                        ", step ", state.current_step(), ", expected at least 0"));
  }
  // Fields are written in the order of their numbers, and ours end with the digest.
  const bool is_ours =
      state.layer_state_size() > 0 || state.has_rng_state() || state.has_solver_type();
  if (is_ours && !state.has_learned_net_digest()) {
    throw FileError(Str("'", state_file, "' is truncated; resume from another snapshot"));
  }
  const size_t stream_bytes = state.rng_state().size();
  if (state.has_rng_state() && (stream_bytes == 0 || stream_bytes % kStreamBytes != 0)) {
    throw FileError(Str("'", state_file, "' is damaged: the random streams have ",
                        stream_bytes, " bytes, expected ", kStreamBytes,
                        " for every process that wrote it"));
  }
}

template <typename Dtype>
void Solver<Dtype>::ImportState(const string& state_file, const SolverState& state) {
  if (state.has_learned_net()) {
    net_->CopyTrainedLayersFrom(FindWeights(state_file, state));
  } else {
    LOG(WARNING) << "'" << state_file << "' names no weights; the net keeps those it has";
  }
  iter_ = state.iter();
  current_step_ = state.current_step();
  losses_.assign(state.losses().begin(), state.losses().end());
  if (losses_.size() > static_cast<size_t>(param_.average_loss())) {
    losses_.erase(losses_.begin(), losses_.end() - param_.average_loss());
  }
  smoothed_loss_ = state.smoothed_loss();
  LOG_IF(WARNING, state.has_rng_state() && NumStreams(state) != group_->size() &&
                      Caffe::root_solver())
      << "'" << state_file << "' was written by " << NumStreams(state)
      << " process(es) and goes on in " << group_->size()
      << ": if batch_size times processes is what it was, iterations get the samples "
         "that would have come, else another number of them, of which the last few may "
         "come again; Dropout and the like draw other numbers";
  RestorePosition(state);
}

#define INSTANTIATE_SOLVER_SNAPSHOT(Dtype)                                          \
  template string Solver<Dtype>::SnapshotFilename(const string&);                   \
  template void Solver<Dtype>::CheckSnapshotWritePermissions();                     \
  template void Solver<Dtype>::Snapshot();                                          \
  template void Solver<Dtype>::WriteSnapshot();                                     \
  template void Solver<Dtype>::TrySnapshot();                                       \
  template string Solver<Dtype>::LastGoodSnapshot() const;                          \
  template string Solver<Dtype>::LastSnapshot() const;                              \
  template string Solver<Dtype>::SnapshotToBinaryProto();                           \
  template string Solver<Dtype>::SnapshotToHDF5();                                  \
  template void Solver<Dtype>::Restore(const char*);                                \
  template std::unique_ptr<SolverState> Solver<Dtype>::CapturePosition() const;     \
  template void Solver<Dtype>::RestorePosition(const SolverState&);                 \
  template void Solver<Dtype>::ExportState(const string&, SolverState*) const;      \
  template void Solver<Dtype>::CheckState(const string&, const SolverState&) const; \
  template void Solver<Dtype>::ImportState(const string&, const SolverState&)
INSTANTIATE_SOLVER_SNAPSHOT(float);
INSTANTIATE_SOLVER_SNAPSHOT(double);

}  // namespace caffe
