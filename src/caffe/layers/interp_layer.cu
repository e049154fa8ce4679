#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/interp_layer.hpp"

namespace caffe {
namespace {

// Images as (outer, height, width, lanes): plain data has planes outside and one lane,
// data with the channels last has images outside and the channels as lanes.
class Pixels {
 public:
  Pixels(const std::vector<int>& shape, DeviceLayout layout)
      : count_(shape[0] * shape[1] * shape[2] * shape[3]),
        by_lanes_(layout == DeviceLayout::kPlain ? 1 : shape[1]),
        by_height_(shape[2]),
        by_width_(shape[3]) {}

  struct Place {
    int outer, y, x, lane;
  };

  int count() const { return count_; }
  CAFFE_HOST_DEVICE Place PlaceOf(int i) const {
    Place place;
    const int pixel = by_lanes_.Quotient(i, &place.lane);
    const int row = by_width_.Quotient(pixel, &place.x);
    place.outer = by_height_.Quotient(row, &place.y);
    return place;
  }
  CAFFE_HOST_DEVICE int IndexOf(int outer, int y, int x, int lane) const {
    const int row = outer * by_height_.divisor() + y;
    return (row * by_width_.divisor() + x) * by_lanes_.divisor() + lane;
  }

 private:
  int count_;
  Divisor by_lanes_, by_height_, by_width_;
};

template <typename T>
void Interpolate(const Pixels& in, const Pixels& out, const InterpTap<T>* rows,
                 const InterpTap<T>* columns, const T* src, T* dst) {
  Map(out.count(), dst, [=] __device__(int i) {
    const Pixels::Place to = out.PlaceOf(i);
    const InterpTap<T> row = rows[to.y], column = columns[to.x];
    const T* upper = src + in.IndexOf(to.outer, row.first, 0, to.lane);
    const T* lower = src + in.IndexOf(to.outer, row.second, 0, to.lane);
    const int first = in.IndexOf(0, 0, column.first, 0);
    const int second = in.IndexOf(0, 0, column.second, 0);
    return row.first_weight * (column.first_weight * upper[first] +
                               column.second_weight * upper[second]) +
           row.second_weight * (column.first_weight * lower[first] +
                                column.second_weight * lower[second]);
  });
}

// Σ over the outputs that have this pixel as a neighbour, in their order: what the host
// adds to it, without two threads that write one element.
template <typename T>
void CollectGradients(const Pixels& in, const Pixels& out, const InterpTap<T>* rows,
                      const InterpTap<T>* columns, const InterpUses* rows_of,
                      const InterpUses* columns_of, const T* dy, T* dx) {
  Map(in.count(), dx, [=] __device__(int i) {
    const Pixels::Place at = in.PlaceOf(i);
    const InterpUses used_rows = rows_of[at.y], used_columns = columns_of[at.x];
    T sum = 0;
    for (int y = used_rows.begin; y < used_rows.end; ++y) {
      const InterpTap<T> row = rows[y];
      for (int x = used_columns.begin; x < used_columns.end; ++x) {
        const InterpTap<T> column = columns[x];
        const T diff = dy[out.IndexOf(at.outer, y, x, at.lane)];
        for (int lower = 0; lower < 2; ++lower) {
          if ((lower ? row.second : row.first) != at.y) continue;
          const T to_row = (lower ? row.second_weight : row.first_weight) * diff;
          if (column.first == at.x) sum += column.first_weight * to_row;
          if (column.second == at.x) sum += column.second_weight * to_row;
        }
      }
    }
    return sum;
  });
}

template <typename T>
const T* OnDevice(const shared_ptr<SyncedMemory>& memory) {
  return static_cast<const T*>(memory->gpu_data());
}

}  // namespace

template <typename Dtype>
void InterpLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]);
  const DeviceLayout layout = from.layout();
  Interpolate(Pixels(from.shape(), layout), Pixels(top[0]->shape(), layout),
              OnDevice<InterpTap<Dtype>>(rows_.taps),
              OnDevice<InterpTap<Dtype>>(columns_.taps), from.Read(layout),
              DeviceDataOf(top[0]).Write(layout));
}

template <typename Dtype>
void InterpLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const DeviceTensor<Dtype> from = DeviceDiffOf(top[0]);
  const DeviceLayout layout = from.layout();
  CollectGradients(
      Pixels(bottom[0]->shape(), layout), Pixels(from.shape(), layout),
      OnDevice<InterpTap<Dtype>>(rows_.taps), OnDevice<InterpTap<Dtype>>(columns_.taps),
      OnDevice<InterpUses>(rows_.used_by), OnDevice<InterpUses>(columns_.used_by),
      from.Read(layout), DeviceDiffOf(bottom[0]).Write(layout));
}

INSTANTIATE_LAYER_GPU_FUNCS(InterpLayer);

}  // namespace caffe
