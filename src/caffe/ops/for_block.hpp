#ifndef CAFFE_OPS_FOR_BLOCK_HPP_
#define CAFFE_OPS_FOR_BLOCK_HPP_

#include <type_traits>

#include "caffe/common.hpp"

namespace caffe {

/// Calls kernel.template operator()<K>() with the block size as a constant.
template <typename T, typename Kernel>
void ForBlock(int block, Kernel kernel) {
  if constexpr (std::is_same_v<T, float>) {
    if (block == 16) return kernel.template operator()<16>();
    if (block == 8) return kernel.template operator()<8>();
  }
  CHECK_EQ(block, 1) << "no kernel for this channel block";
  kernel.template operator()<1>();
}

}  // namespace caffe

#endif  // CAFFE_OPS_FOR_BLOCK_HPP_
