#ifndef CAFFE_SGD_SOLVERS_HPP_
#define CAFFE_SGD_SOLVERS_HPP_

#include <string>
#include <vector>

#include "caffe/solver.hpp"

namespace caffe {

template <typename Dtype>
struct FusedParam;
template <typename Dtype>
struct SolverStateFile;

/// Stochastic gradient descent with momentum, and the base of the others:
///
///     g = scale * diff + decay * w          (decay * sign(w) for L1)
///     V = momentum * V + rate * g
///     w = w - V
///
/// where scale is 1 / iter_size times the factor of clip_gradients and, in FP16, over the
/// loss scale, decay is weight_decay * decay_mult and rate is GetLearningRate() *
/// lr_mult. After the update a parameter's diff holds what was subtracted from it.
///
/// A parameter with lr_mult 0 is left alone. Differs from BVLC, where momentum
/// restored from a snapshot would go on moving it.
template <typename Dtype>
class SGDSolver : public Solver<Dtype> {
 public:
  explicit SGDSolver(const SolverParameter& param);
  explicit SGDSolver(const string& param_file);

  inline const char* type() const override { return "SGD"; }
  /// The update rule's arrays, as stored in a solverstate: one momentum per
  /// learnable parameter; AdaDelta and Adam append a second set.
  const vector<shared_ptr<Blob<Dtype>>>& history() { return history_; }

  void ApplyUpdate() override;
  /// The rate of the iteration that comes next; see lr_policy in caffe.proto.
  Dtype GetLearningRate();

 protected:
  void PreSolve();

  // The steps of an update in Caffe's form, each one pass over the memory of a
  // parameter. They run only for classes that derive from a built-in solver, which
  // may override any of them; the built-in solvers use FusedUpdate.

  /// diff /= iter_size
  virtual void Normalize(int param_id);
  /// diff += decay * w
  virtual void Regularize(int param_id);
  /// diff = what to subtract from w
  virtual void ComputeUpdateValue(int param_id, Dtype rate);
  /// Scales all diffs so that their joint L2 norm is at most clip_gradients.
  virtual void ClipGradients();

  /// Whether FusedUpdate does the same as the steps above: false for a class that
  /// derives from a built-in solver and does not say otherwise.
  virtual bool HasFusedUpdate() const;
  /// All steps and the subtraction in one pass over every parameter; `scale` is what the
  /// diffs are multiplied by.
  virtual void FusedUpdate(Dtype rate, Dtype scale);
  bool TakesScaledGradients() const override { return HasFusedUpdate(); }

  void SnapshotSolverState(const string& model_filename) override;
  virtual void SnapshotSolverStateToBinaryProto(const string& model_filename);
  virtual void SnapshotSolverStateToHDF5(const string& model_filename);
  void RestoreSolverStateFromHDF5(const string& state_file) override;
  void RestoreSolverStateFromBinaryProto(const string& state_file) override;

  /// The learnable parameter, its learning rate and its weight decay.
  Blob<Dtype>* Param(int param_id) const;
  Dtype LocalRate(int param_id, Dtype rate) const;
  Dtype LocalDecay(int param_id) const;
  /// What FusedUpdate works on: the parameters that learn.
  vector<FusedParam<Dtype>> FusedParams(Dtype rate, Dtype scale) const;
  /// Appends one zero blob per learnable parameter to the history.
  void AddHistory();

  // history_ goes into snapshots. update_ and temp_ are scratch for derived
  // classes, as in Caffe; they take no memory until used.
  vector<shared_ptr<Blob<Dtype>>> history_, update_, temp_;

 private:
  /// The factor that ClipGradients applies, 1 when the norm is small enough.
  Dtype ClipFactor() const;
  /// Goes on from a file that has been read, and is right, as a whole.
  void TakeState(const string& state_file, const SolverStateFile<Dtype>& file);

  DISABLE_COPY_AND_ASSIGN(SGDSolver);
};

/// Nesterov's accelerated gradient, in the form of Sutskever et al. (2013):
///     V' = momentum * V + rate * g;  w -= (1 + momentum) * V' - momentum * V
template <typename Dtype>
class NesterovSolver : public SGDSolver<Dtype> {
 public:
  explicit NesterovSolver(const SolverParameter& param) : SGDSolver<Dtype>(param) {}
  explicit NesterovSolver(const string& param_file) : SGDSolver<Dtype>(param_file) {}
  inline const char* type() const override { return "Nesterov"; }

 protected:
  void ComputeUpdateValue(int param_id, Dtype rate) override;
  bool HasFusedUpdate() const override;
  void FusedUpdate(Dtype rate, Dtype scale) override;

  DISABLE_COPY_AND_ASSIGN(NesterovSolver);
};

/// AdaGrad (Duchi et al., 2011): H += g^2;  w -= rate * g / (sqrt(H) + delta).
/// Takes no momentum.
template <typename Dtype>
class AdaGradSolver : public SGDSolver<Dtype> {
 public:
  explicit AdaGradSolver(const SolverParameter& param) : SGDSolver<Dtype>(param) {
    constructor_sanity_check();
  }
  explicit AdaGradSolver(const string& param_file) : SGDSolver<Dtype>(param_file) {
    constructor_sanity_check();
  }
  inline const char* type() const override { return "AdaGrad"; }

 protected:
  void ComputeUpdateValue(int param_id, Dtype rate) override;
  bool HasFusedUpdate() const override;
  void FusedUpdate(Dtype rate, Dtype scale) override;
  void constructor_sanity_check();

  DISABLE_COPY_AND_ASSIGN(AdaGradSolver);
};

/// RMSProp (Tieleman and Hinton, 2012):
///     H = rms_decay * H + (1 - rms_decay) * g^2;  w -= rate * g / (sqrt(H) + delta)
/// Takes no momentum.
template <typename Dtype>
class RMSPropSolver : public SGDSolver<Dtype> {
 public:
  explicit RMSPropSolver(const SolverParameter& param) : SGDSolver<Dtype>(param) {
    constructor_sanity_check();
  }
  explicit RMSPropSolver(const string& param_file) : SGDSolver<Dtype>(param_file) {
    constructor_sanity_check();
  }
  inline const char* type() const override { return "RMSProp"; }

 protected:
  void ComputeUpdateValue(int param_id, Dtype rate) override;
  bool HasFusedUpdate() const override;
  void FusedUpdate(Dtype rate, Dtype scale) override;
  void constructor_sanity_check();

  DISABLE_COPY_AND_ASSIGN(RMSPropSolver);
};

/// AdaDelta (Zeiler, 2012), with momentum m as its decay:
///     H = m * H + (1 - m) * g^2;  u = g * sqrt((U + delta) / (H + delta))
///     U = m * U + (1 - m) * u^2;  w -= rate * u
template <typename Dtype>
class AdaDeltaSolver : public SGDSolver<Dtype> {
 public:
  explicit AdaDeltaSolver(const SolverParameter& param) : SGDSolver<Dtype>(param) {
    AdaDeltaPreSolve();
  }
  explicit AdaDeltaSolver(const string& param_file) : SGDSolver<Dtype>(param_file) {
    AdaDeltaPreSolve();
  }
  inline const char* type() const override { return "AdaDelta"; }

 protected:
  void AdaDeltaPreSolve();
  void ComputeUpdateValue(int param_id, Dtype rate) override;
  bool HasFusedUpdate() const override;
  void FusedUpdate(Dtype rate, Dtype scale) override;

  DISABLE_COPY_AND_ASSIGN(AdaDeltaSolver);
};

/// Adam (Kingma and Ba, 2015), with momentum and momentum2 as b1 and b2:
///     m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2;  t = iter + 1
///     w -= rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + delta)
template <typename Dtype>
class AdamSolver : public SGDSolver<Dtype> {
 public:
  explicit AdamSolver(const SolverParameter& param) : SGDSolver<Dtype>(param) {
    AdamPreSolve();
  }
  explicit AdamSolver(const string& param_file) : SGDSolver<Dtype>(param_file) {
    AdamPreSolve();
  }
  inline const char* type() const override { return "Adam"; }

 protected:
  void AdamPreSolve();
  void ComputeUpdateValue(int param_id, Dtype rate) override;
  bool HasFusedUpdate() const override;
  void FusedUpdate(Dtype rate, Dtype scale) override;

  DISABLE_COPY_AND_ASSIGN(AdamSolver);
};

}  // namespace caffe

#endif  // CAFFE_SGD_SOLVERS_HPP_
