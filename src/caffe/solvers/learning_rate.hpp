#ifndef CAFFE_SOLVERS_LEARNING_RATE_HPP_
#define CAFFE_SOLVERS_LEARNING_RATE_HPP_

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Throws ValueError if lr_policy is unknown or its parameters make no sense.
void CheckLearningRatePolicy(const SolverParameter& param);

/// The learning rate of iteration `iter`, warm-up included; see caffe.proto for the
/// formulas. A function of `iter` alone: differs from BVLC, whose multistep counts
/// steps as they come, so that a run resumed with other stepvalues kept the old count.
double LearningRate(const SolverParameter& param, int iter);

/// How often the policies step and multistep have lowered the rate before `iter`.
int LearningRateSteps(const SolverParameter& param, int iter);

}  // namespace caffe

#endif  // CAFFE_SOLVERS_LEARNING_RATE_HPP_
