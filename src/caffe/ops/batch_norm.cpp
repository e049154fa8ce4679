#include "caffe/ops/batch_norm.hpp"

#include "caffe/ops/for_block.hpp"

namespace caffe {
namespace {

template <typename T>
ChannelShape ShapeOf(Tensor<T> tensor) {
  const std::vector<int>& shape = tensor.shape();
  ChannelShape seen{shape[0], shape.size() > 1 ? shape[1] : 1, 1};
  for (size_t i = 2; i < shape.size(); ++i) seen.spatial *= shape[i];
  return seen;
}

}  // namespace

template <typename T>
void BatchNormStatistics(Tensor<T> src, std::vector<double>* mean,
                         std::vector<double>* variance) {
  const int block = src.block();
  const T* x = src.Read(block);
  ForBlock<T>(block,
              [&]<int K>() { BatchNormStatistics<K>(ShapeOf(src), x, mean, variance); });
}

template <typename T>
void BatchNormApply(Tensor<T> src, const std::vector<T>& multiplier,
                    const std::vector<T>& shift, bool relu, Tensor<T> dst) {
  const int block = src.block();
  const T* x = src.Read(block);
  T* y = dst.WriteFrom(src, block);
  ForBlock<T>(block, [&]<int K>() {
    BatchNormApply<K>(ShapeOf(src), x, multiplier, shift, relu, y);
  });
}

template <typename T>
void BatchNormBackwardSums(Tensor<T> x, Tensor<T> diff_dst,
                           const Normalization<T>& normalization, const ReluMask<T>* mask,
                           std::vector<double>* sum_dy, std::vector<double>* sum_dy_x) {
  const int block = diff_dst.block();
  const T* dy = diff_dst.Read(block);
  const T* in = x.Read(block);
  ForBlock<T>(block, [&]<int K>() {
    BatchNormBackwardSums<K>(ShapeOf(x), in, dy, normalization, mask, sum_dy, sum_dy_x);
  });
}

template <typename T>
void BatchNormBackwardData(Tensor<T> x, Tensor<T> diff_dst, const std::vector<T>& on_dy,
                           const std::vector<T>& on_x, const std::vector<T>& constant,
                           const ReluMask<T>* mask, Tensor<T> diff_src) {
  const int block = diff_dst.block();
  const T* dy = diff_dst.Read(block);
  const T* in = x.Read(block);
  T* dx = diff_src.WriteFrom(diff_dst, block);
  ForBlock<T>(block, [&]<int K>() {
    BatchNormBackwardData<K>(ShapeOf(x), in, dy, on_dy, on_x, constant, mask, dx);
  });
}

#define INSTANTIATE_BATCH_NORM(T)                                                       \
  template void BatchNormStatistics(Tensor<T>, std::vector<double>*,                    \
                                    std::vector<double>*);                              \
  template void BatchNormApply(Tensor<T>, const std::vector<T>&, const std::vector<T>&, \
                               bool, Tensor<T>);                                        \
  template void BatchNormBackwardSums(Tensor<T>, Tensor<T>, const Normalization<T>&,    \
                                      const ReluMask<T>*, std::vector<double>*,         \
                                      std::vector<double>*);                            \
  template void BatchNormBackwardData(Tensor<T>, Tensor<T>, const std::vector<T>&,      \
                                      const std::vector<T>&, const std::vector<T>&,     \
                                      const ReluMask<T>*, Tensor<T>)
INSTANTIATE_BATCH_NORM(float);
INSTANTIATE_BATCH_NORM(double);

}  // namespace caffe
