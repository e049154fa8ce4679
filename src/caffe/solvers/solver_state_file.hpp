#ifndef CAFFE_SOLVERS_SOLVER_STATE_FILE_HPP_
#define CAFFE_SOLVERS_SOLVER_STATE_FILE_HPP_

#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

// The solverstate files of SGDSolver and its descendants: a SolverState and the arrays
// of the update rule.
//
// Binary: a SolverState. HDF5, as in BVLC: integers /iter and /current_step, string
// /learned_net, arrays /history/0, 1, …; of our own, /exact holds the text form of the
// SolverState's remaining fields.

template <typename Dtype>
struct SolverStateFile {
  SolverState state;  ///< without the history
  vector<shared_ptr<Blob<Dtype>>> history;

  void WriteBinary(const string& filename) const;
  void WriteHdf5(const string& filename) const;

  // Both return arrays of the shapes of `history`, which stays as it is. They throw
  // FileError or ValueError when the file is damaged, of another kind, or of another net
  // or type of solver than this.
  static SolverStateFile ReadBinary(const string& filename, const string& type,
                                    const vector<shared_ptr<Blob<Dtype>>>& history);
  static SolverStateFile ReadHdf5(const string& filename, const string& type,
                                  const vector<shared_ptr<Blob<Dtype>>>& history);
};

/// Which of the two a file is. Throws FileError if it is one of weights.
bool IsHdf5State(const string& filename);

}  // namespace caffe

#endif  // CAFFE_SOLVERS_SOLVER_STATE_FILE_HPP_
