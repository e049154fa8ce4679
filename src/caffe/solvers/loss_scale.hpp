#ifndef CAFFE_SOLVERS_LOSS_SCALE_HPP_
#define CAFFE_SOLVERS_LOSS_SCALE_HPP_

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// What the loss is multiplied by before the backward pass of a net in float16, whose
/// numbers end at 65504 and lose digits below 6.1e-5: as much as its gradients bear.
///
/// It starts with 65536, is halved when a gradient is not finite, and doubled after 2000
/// updates in a row that went well; its range is [1, 2^24], for gradients that are 0 or
/// NaN whatever it is.
class LossScale {
 public:
  LossScale();
  static bool IsSane(const LossScaleState& state);
  /// As a snapshot has it.
  explicit LossScale(const LossScaleState& state) : state_(state) {}

  double value() const { return state_.scale(); }
  int skipped_updates() const { return state_.skipped_updates(); }
  const LossScaleState& state() const { return state_; }

  /// Takes note of the gradients' sum of squares; false if it is not finite, and thus the
  /// update is to be skipped.
  bool Take(double sum_of_squares);

 private:
  LossScaleState state_;
};

}  // namespace caffe

#endif  // CAFFE_SOLVERS_LOSS_SCALE_HPP_
