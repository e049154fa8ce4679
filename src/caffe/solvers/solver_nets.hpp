#ifndef CAFFE_SOLVERS_SOLVER_NETS_HPP_
#define CAFFE_SOLVERS_SOLVER_NETS_HPP_

#include <vector>

#include "caffe/net.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

// The nets that a solver's definition asks for, with SolverParameter.weights in them.
// Both throw ValueError or FileError, naming the field or file that is wrong.

/// The net of net, net_param, train_net or train_net_param, of which one must be given.
template <typename Dtype>
shared_ptr<Net<Dtype>> BuildTrainNet(const SolverParameter& param);

/// First those of test_net_param and test_net; each test_iter left over makes one more
/// of net or net_param. They share the parameters of `trained` from the start.
template <typename Dtype>
vector<shared_ptr<Net<Dtype>>> BuildTestNets(const SolverParameter& param,
                                             const Net<Dtype>* trained);

}  // namespace caffe

#endif  // CAFFE_SOLVERS_SOLVER_NETS_HPP_
