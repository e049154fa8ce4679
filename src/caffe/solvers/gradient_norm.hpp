#ifndef CAFFE_SOLVERS_GRADIENT_NORM_HPP_
#define CAFFE_SOLVERS_GRADIENT_NORM_HPP_

#include "caffe/net.hpp"

namespace caffe {

/// Sum of the squares of the gradients of all learnable parameters, in double: the same
/// for any number of threads. Computed where the gradients are, on the host or a GPU.
template <typename Dtype>
double SumOfSquaredGradients(const Net<Dtype>& net);

}  // namespace caffe

#endif  // CAFFE_SOLVERS_GRADIENT_NORM_HPP_
