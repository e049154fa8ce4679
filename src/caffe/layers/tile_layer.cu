#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/element.cuh"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/strips.cuh"
#include "caffe/layers/tile_layer.hpp"

namespace caffe {
namespace {

// to (rows, tiles, length) = from (rows, length)
template <typename S>
void CopyTiles(const Strips& strips, int tiles, const S* from, S* to) {
  const Divisor length(strips.length), by_tiles(tiles);
  Map(strips.rows * tiles * strips.length, to, [=] __device__(int i) {
    int at;
    const int row = by_tiles.Quotient(length.Quotient(i, &at));
    return from[row * length.divisor() + at];
  });
}

// The sum over the copies.
template <typename T, typename S>
void AddTiles(const Strips& strips, int tiles, const S* dy, S* dx) {
  const Divisor length(strips.length);
  Map(strips.rows * strips.length, dx, [=] __device__(int i) {
    int at;
    const int row = length.Quotient(i, &at);
    const S* copy = dy + row * tiles * length.divisor() + at;
    T sum = static_cast<T>(copy[0]);
    for (int t = 1; t < tiles; ++t) sum += static_cast<T>(copy[t * length.divisor()]);
    return sum;
  });
}

}  // namespace

template <typename Dtype>
void TileLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]);
  const DeviceFormat format = from.format();
  const int axis = bottom[0]->CanonicalAxisIndex(this->layer_param_.tile_param().axis());
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    CopyTiles(StripsOf(from.shape(), axis, format.layout), tiles_,
              ReadElements<S>(from, format),
              WriteElements<S>(DeviceDataOf(top[0]), format));
  });
}

template <typename Dtype>
void TileLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const DeviceTensor<Dtype> from = DeviceDiffOf(top[0]);
  const DeviceFormat format = from.format();
  const int axis = bottom[0]->CanonicalAxisIndex(this->layer_param_.tile_param().axis());
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    AddTiles<Dtype>(StripsOf(bottom[0]->shape(), axis, format.layout), tiles_,
                    ReadElements<S>(from, format),
                    WriteElements<S>(DeviceDiffOf(bottom[0]), format));
  });
}

INSTANTIATE_LAYER_GPU_FUNCS(TileLayer);

}  // namespace caffe
