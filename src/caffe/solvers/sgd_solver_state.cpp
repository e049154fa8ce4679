#include <string>
#include <vector>

#include <google/protobuf/text_format.h>

#include "caffe/sgd_solvers.hpp"
#include "caffe/util/hdf5.hpp"
#include "caffe/util/io.hpp"

// The solverstate files of SGDSolver and its descendants.
//
// Binary: a SolverState. HDF5, as in BVLC: integers /iter and /current_step, string
// /learned_net, arrays /history/0, 1, …; of our own, /exact holds the text form of the
// SolverState's remaining fields.

namespace caffe {
namespace {

constexpr char kExact[] = "exact";

string HistoryMismatch(const string& state_file, size_t got, size_t expected,
                       const char* type) {
  return Str("'", state_file, "' has ", got, " history blobs, expected ", expected,
             " for this net and a solver of type '", type,
             "'; it belongs to another net or another type of solver");
}

}  // namespace

template <typename Dtype>
void SGDSolver<Dtype>::SnapshotSolverState(const string& model_filename) {
  if (this->param_.snapshot_format() == SolverParameter_SnapshotFormat_HDF5) {
    SnapshotSolverStateToHDF5(model_filename);
  } else {
    SnapshotSolverStateToBinaryProto(model_filename);
  }
}

template <typename Dtype>
void SGDSolver<Dtype>::SnapshotSolverStateToBinaryProto(const string& model_filename) {
  const string filename = this->SnapshotFilename(".solverstate");
  LOG(INFO) << "Snapshotting solver state to binary proto file " << filename;
  SolverState state;
  this->ExportState(model_filename, &state);
  for (const auto& blob : history_) blob->ToProto(state.add_history());
  WriteProtoToBinaryFile(state, filename);
}

template <typename Dtype>
void SGDSolver<Dtype>::RestoreSolverStateFromBinaryProto(const string& state_file) {
  SolverState state;
  ReadProtoFromBinaryFileOrDie(state_file, &state);
  this->CheckState(state_file, state);
  if (static_cast<size_t>(state.history_size()) != history_.size()) {
    throw ValueError(
        HistoryMismatch(state_file, state.history_size(), history_.size(), this->type()));
  }
  // All is checked, on copies, before anything of the solver changes.
  vector<shared_ptr<Blob<Dtype>>> loaded;
  for (int i = 0; i < state.history_size(); ++i) {
    loaded.push_back(std::make_shared<Blob<Dtype>>(history_[i]->shape()));
    try {
      loaded[i]->FromProto(state.history(i), false);
    } catch (Error& error) {
      error.Prefix(Str("'", state_file, "', history blob ", i));
      throw;
    }
  }
  this->ImportState(state_file, state);
  LOG(INFO) << "SGDSolver: restoring history";
  for (size_t i = 0; i < history_.size(); ++i) history_[i]->CopyFrom(*loaded[i]);
}

template <typename Dtype>
void SGDSolver<Dtype>::SnapshotSolverStateToHDF5(const string& model_filename) {
  const string filename = this->SnapshotFilename(".solverstate.h5");
  LOG(INFO) << "Snapshotting solver state to HDF5 file " << filename;
  SolverState state;
  this->ExportState(model_filename, &state);
  Hdf5Writer writer(filename);
  hdf5_save_int(writer.id(), "iter", state.iter());
  hdf5_save_string(writer.id(), "learned_net", state.learned_net());
  hdf5_save_int(writer.id(), "current_step", state.current_step());
  {
    const Hdf5Group group(hdf5_create_group(writer.id(), "history"));
    for (size_t i = 0; i < history_.size(); ++i) {
      hdf5_save_nd_dataset<Dtype>(group.id(), std::to_string(i), *history_[i]);
    }
  }
  state.clear_iter();
  state.clear_learned_net();
  state.clear_current_step();
  string text;
  google::protobuf::TextFormat::PrintToString(state, &text);
  hdf5_save_string(writer.id(), kExact, text);
  writer.Commit();
}

template <typename Dtype>
void SGDSolver<Dtype>::RestoreSolverStateFromHDF5(const string& state_file) {
  const Hdf5File file = Hdf5File::Open(state_file);
  if (!hdf5_has_link(file.id(), "iter") && hdf5_has_link(file.id(), "data")) {
    throw FileError(Str("'", state_file,
                        "' is a file of weights, expected a solverstate; "
                        "-weights or Net.copy_from() takes weights alone"));
  }
  SolverState state;
  if (hdf5_has_link(file.id(), kExact)) {
    ParseProtoTextOrDie(hdf5_load_string(file.id(), kExact), state_file + "/" + kExact,
                        &state);
  }
  state.set_iter(hdf5_load_int(file.id(), "iter"));
  state.set_current_step(hdf5_load_int(file.id(), "current_step"));
  if (hdf5_has_link(file.id(), "learned_net")) {
    state.set_learned_net(hdf5_load_string(file.id(), "learned_net"));
  }
  this->CheckState(state_file, state);
  const Hdf5Group group(hdf5_open_group(file.id(), "history"));
  const size_t stored = hdf5_get_num_links(group.id());
  if (stored != history_.size()) {
    throw ValueError(HistoryMismatch(state_file, stored, history_.size(), this->type()));
  }
  vector<shared_ptr<Blob<Dtype>>> loaded;
  for (size_t i = 0; i < history_.size(); ++i) {
    loaded.push_back(std::make_shared<Blob<Dtype>>(history_[i]->shape()));
    hdf5_load_nd_dataset(group.id(), std::to_string(i).c_str(), 0, kMaxBlobAxes,
                         loaded[i].get());
  }
  this->ImportState(state_file, state);
  LOG(INFO) << "SGDSolver: restoring history";
  for (size_t i = 0; i < history_.size(); ++i) history_[i]->CopyFrom(*loaded[i]);
}

#define INSTANTIATE_SGD_SOLVER_STATE(Dtype)                                        \
  template void SGDSolver<Dtype>::SnapshotSolverState(const string&);              \
  template void SGDSolver<Dtype>::SnapshotSolverStateToBinaryProto(const string&); \
  template void SGDSolver<Dtype>::SnapshotSolverStateToHDF5(const string&);        \
  template void SGDSolver<Dtype>::RestoreSolverStateFromHDF5(const string&);       \
  template void SGDSolver<Dtype>::RestoreSolverStateFromBinaryProto(const string&)
INSTANTIATE_SGD_SOLVER_STATE(float);
INSTANTIATE_SGD_SOLVER_STATE(double);

}  // namespace caffe
