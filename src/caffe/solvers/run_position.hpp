#ifndef CAFFE_SOLVERS_RUN_POSITION_HPP_
#define CAFFE_SOLVERS_RUN_POSITION_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/parallel.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

// Where a run is, apart from its weights and its history: the random streams of all
// processes and the positions of layers such as Data, which a SolverState keeps in
// rng_state and layer_state.

/// The position as of now; every process of the group makes this call.
template <typename Dtype>
std::unique_ptr<SolverState> CapturePosition(
    const Net<Dtype>& net, const vector<shared_ptr<Net<Dtype>>>& test_nets,
    ProcessGroup* group);

/// Goes on from there, with a new stream if this rank has none in it. Warns of another
/// number of processes, and of positions of layers that the nets do not have.
template <typename Dtype>
void RestorePosition(const string& state_file, const SolverState& state,
                     const Net<Dtype>& net,
                     const vector<shared_ptr<Net<Dtype>>>& test_nets,
                     const ProcessGroup& group);

/// Throws FileError if the random streams in the state are damaged.
void CheckStreams(const string& state_file, const SolverState& state);

}  // namespace caffe

#endif  // CAFFE_SOLVERS_RUN_POSITION_HPP_
