#ifndef CAFFE_SOLVERS_NOT_FINITE_HPP_
#define CAFFE_SOLVERS_NOT_FINITE_HPP_

#include <string>

#include "caffe/net.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {

// Where numbers that are not finite (NaN, infinities) come from, and what is done about
// them; see SolverParameter.on_nan.

/// The first output of a net that is not finite in the batch whose loss is not, as in
/// "layer 'fc1' (InnerProduct) is the first whose output is not finite: 3 of 64 values of
/// 'fc1'"; and what of its parameters is not, which is the cause then. Runs the layers
/// behind the data again, from `stream`, the random stream as it was before. It takes the
/// memory that Forward does, and moves the running statistics of batch norms once more.
template <typename Dtype>
std::string FirstNotFinite(Net<Dtype>* net, const rng_t& stream);

/// "layer 'conv1' (Convolution), parameter 0: 3 of 9408 values" of the first parameter
/// that is not finite; empty if there is none.
template <typename Dtype>
std::string FirstParameterNotFinite(const Net<Dtype>& net);

/// For a loss that is not finite: throws RuntimeFailure, or warns if training may go on.
/// `cause` is of FirstNotFinite, `last_good` says where to go on from.
// Differs from BVLC, which trains on in silence and saves the ruins.
void StopAtLoss(const SolverParameter& param, int iter, double loss, std::string cause,
                const std::string& last_good);

/// Throws RuntimeFailure if weights are not to be saved because one is not finite.
template <typename Dtype>
void StopAtWeights(const SolverParameter& param, int iter, const Net<Dtype>& net,
                   const std::string& last_good);

}  // namespace caffe

#endif  // CAFFE_SOLVERS_NOT_FINITE_HPP_
