#include "caffe/ops/finish_pixels.hpp"

#include "caffe/gpu/for_each.cuh"

namespace caffe {

template <typename T>
void FinishPixelsOnDevice(int count, const PixelFinish<T>& finish, T* out) {
  Map(count, out, finish);
}

template void FinishPixelsOnDevice(int, const PixelFinish<float>&, float*);
template void FinishPixelsOnDevice(int, const PixelFinish<double>&, double*);

}  // namespace caffe
