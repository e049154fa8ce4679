#include "caffe/solvers/solver_state_file.hpp"

#include <memory>
#include <string>
#include <vector>

#include <google/protobuf/text_format.h>

#include "caffe/solvers/loss_scale.hpp"
#include "caffe/solvers/run_position.hpp"
#include "caffe/util/hdf5.hpp"
#include "caffe/util/input_file.hpp"
#include "caffe/util/io.hpp"

namespace caffe {
namespace {

constexpr char kExact[] = "exact";

void CheckHistorySize(const string& filename, const string& type, size_t got,
                      size_t expected) {
  if (got == expected) return;
  throw ValueError(Str("'", filename, "' has ", got, " history blobs, expected ",
                       expected, " for this net and a solver of type '", type,
                       "'; it belongs to another net or another type of solver"));
}

/// Throws unless `state` was written by this type of solver and is sane.
void CheckState(const string& filename, const string& type, const SolverState& state) {
  if (state.has_solver_type() && state.solver_type() != type) {
    throw ValueError(Str("'", filename, "' was written by a solver of type '",
                         state.solver_type(), "', expected '", type,
                         "'; use the solver definition it was made with"));
  }
  if (state.iter() < 0 || state.current_step() < 0) {
    throw FileError(Str("'", filename, "' is damaged: iteration ", state.iter(),
                        ", step ", state.current_step(), ", expected at least 0"));
  }
  if (state.has_loss_scale() && !LossScale::IsSane(state.loss_scale())) {
    throw FileError(Str("'", filename, "' is damaged: loss scale ",
                        state.loss_scale().ShortDebugString()));
  }
  // Fields are written in the order of their numbers, and ours end with the digest.
  const bool is_ours =
      state.layer_state_size() > 0 || state.has_rng_state() || state.has_solver_type();
  if (is_ours && !state.has_learned_net_digest()) {
    throw FileError(Str("'", filename, "' is truncated; resume from another snapshot"));
  }
  CheckStreams(filename, state);
}

}  // namespace

bool IsHdf5State(const string& filename) {
  const Contents contents = GuessContents(InputFile(filename).Head());
  if (contents != Contents::kWeights) return contents == Contents::kHdf5;
  throw FileError(Str("'", filename,
                      "' is a caffemodel (weights), expected a "
                      "solverstate; -weights or Net.copy_from() takes weights alone"));
}

template <typename Dtype>
void SolverStateFile<Dtype>::WriteBinary(const string& filename) const {
  SolverState whole = state;
  for (const auto& blob : history) blob->ToProto(whole.add_history());
  WriteProtoToBinaryFile(whole, filename);
}

template <typename Dtype>
void SolverStateFile<Dtype>::WriteHdf5(const string& filename) const {
  Hdf5Writer writer(filename);
  hdf5_save_int(writer.id(), "iter", state.iter());
  hdf5_save_string(writer.id(), "learned_net", state.learned_net());
  hdf5_save_int(writer.id(), "current_step", state.current_step());
  {
    const Hdf5Group group(hdf5_create_group(writer.id(), "history"));
    for (size_t i = 0; i < history.size(); ++i) {
      hdf5_save_nd_dataset<Dtype>(group.id(), std::to_string(i), *history[i]);
    }
  }
  SolverState rest = state;
  rest.clear_iter();
  rest.clear_learned_net();
  rest.clear_current_step();
  string text;
  google::protobuf::TextFormat::PrintToString(rest, &text);
  hdf5_save_string(writer.id(), kExact, text);
  writer.Commit();
}

template <typename Dtype>
SolverStateFile<Dtype> SolverStateFile<Dtype>::ReadBinary(
    const string& filename, const string& type,
    const vector<shared_ptr<Blob<Dtype>>>& history) {
  SolverStateFile file;
  ReadProtoFromBinaryFileOrDie(filename, &file.state);
  CheckState(filename, type, file.state);
  CheckHistorySize(filename, type, file.state.history_size(), history.size());
  for (size_t i = 0; i < history.size(); ++i) {
    file.history.push_back(std::make_shared<Blob<Dtype>>(history[i]->shape()));
    try {
      file.history[i]->FromProto(file.state.history(static_cast<int>(i)), false);
    } catch (Error& error) {
      error.Prefix(Str("'", filename, "', history blob ", i));
      throw;
    }
  }
  file.state.clear_history();
  return file;
}

template <typename Dtype>
SolverStateFile<Dtype> SolverStateFile<Dtype>::ReadHdf5(
    const string& filename, const string& type,
    const vector<shared_ptr<Blob<Dtype>>>& history) {
  const Hdf5File input = Hdf5File::Open(filename);
  if (!hdf5_has_link(input.id(), "iter") && hdf5_has_link(input.id(), "data")) {
    throw FileError(Str("'", filename,
                        "' is a file of weights, expected a solverstate; "
                        "-weights or Net.copy_from() takes weights alone"));
  }
  SolverStateFile file;
  SolverState& state = file.state;
  if (hdf5_has_link(input.id(), kExact)) {
    ParseProtoTextOrDie(hdf5_load_string(input.id(), kExact), filename + "/" + kExact,
                        &state);
  }
  state.set_iter(hdf5_load_int(input.id(), "iter"));
  state.set_current_step(hdf5_load_int(input.id(), "current_step"));
  if (hdf5_has_link(input.id(), "learned_net")) {
    state.set_learned_net(hdf5_load_string(input.id(), "learned_net"));
  }
  CheckState(filename, type, state);
  const Hdf5Group group(hdf5_open_group(input.id(), "history"));
  CheckHistorySize(filename, type, hdf5_get_num_links(group.id()), history.size());
  for (size_t i = 0; i < history.size(); ++i) {
    file.history.push_back(std::make_shared<Blob<Dtype>>(history[i]->shape()));
    hdf5_load_nd_dataset(group.id(), std::to_string(i).c_str(), 0, kMaxBlobAxes,
                         file.history[i].get());
  }
  return file;
}

template struct SolverStateFile<float>;
template struct SolverStateFile<double>;

}  // namespace caffe
