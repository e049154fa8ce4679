#ifndef CAFFE_SOLVERS_SNAPSHOT_FILES_HPP_
#define CAFFE_SOLVERS_SNAPSHOT_FILES_HPP_

#include <string>

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Makes the folder of snapshot_prefix, and throws ValueError or FileError unless a file
/// of this name could be written.
void CheckSnapshotPrefix(const SolverParameter& param, const std::string& probe);

/// The weights that belong to a state: where it says or, when the snapshot has been
/// moved, beside it. Throws FileError if there are none, or those of another run.
std::string FindWeights(const std::string& state_file, const SolverState& state);

/// "; the one before is 's_iter_4.solverstate'" and how to go on from it, for the error
/// of a solverstate that cannot be used; empty if there is none beside it.
std::string AdviceOnSnapshotBefore(const std::string& state_file);

/// The snapshots of a run as far as its messages name them. A snapshot is good once the
/// weights in it have had a finite loss.
class SnapshotRecord {
 public:
  void Written(const std::string& state_file) {
    newest_ = state_file;
    last_failed_ = false;
  }
  void Failed() {
    ++failures_;
    last_failed_ = true;
  }
  /// The run goes on from this one.
  void Restored(const std::string& state_file) { newest_ = state_file; }
  /// The loss of the weights as they are now is finite.
  void LossIsFinite();

  int failures() const { return failures_; }
  bool last_failed() const { return last_failed_; }
  /// "the last good snapshot is 's_iter_4.solverstate', go on from there".
  std::string LastGood() const;
  /// "the last snapshot is 's_iter_4.solverstate'", for when another cannot be written.
  std::string Last() const;

 private:
  int failures_ = 0;
  bool last_failed_ = false;
  std::string good_;
  std::string newest_;  ///< empty once it is good
};

}  // namespace caffe

#endif  // CAFFE_SOLVERS_SNAPSHOT_FILES_HPP_
