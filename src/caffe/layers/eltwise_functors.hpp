#ifndef CAFFE_LAYERS_ELTWISE_FUNCTORS_HPP_
#define CAFFE_LAYERS_ELTWISE_FUNCTORS_HPP_

#include "caffe/common.hpp"

namespace caffe {

/// Whether the value of bottom b, from 1 on, wins over the largest of the earlier ones in
/// an Eltwise MAX.
template <typename T>
CAFFE_HOST_DEVICE bool Wins(int b, T value, T largest) {
  return b == 1 ? !(largest > value) : value > largest;
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_ELTWISE_FUNCTORS_HPP_
