#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/layers/labels.hpp"
#include "caffe/layers/roi_cells.hpp"
#include "caffe/layers/roi_pooling_layer.hpp"

namespace caffe {
namespace {

template <typename T>
void FindLargest(int count, int channels, const RoiCells<T>& cells, const T* maps,
                 const T* regions, T* to, int* places) {
  const Divisor by_width(cells.pooled_width), by_height(cells.pooled_height),
      by_channel(channels);
  const int plane = cells.height * cells.width;
  ForEach(count, [=] __device__(int k) {
    int j, i, c;
    const int row = by_width.Quotient(k, &j);
    const int r = by_channel.Quotient(by_height.Quotient(row, &i), &c);
    const T* region = regions + r * 5;
    const T* map = maps + (static_cast<int>(region[0]) * channels + c) * plane;
    const int at = cells.Largest(map, cells.Rows(region, i), cells.Columns(region, j));
    places[k] = at;
    to[k] = at < 0 ? T(0) : map[at];
  });
}

// Every pixel adds up, in their order, the cells that it is the largest of.
template <typename T>
void CollectGradients(int count, int channels, int num_regions, const RoiCells<T>& cells,
                      const T* regions, const int* places, const T* dy, T* dx) {
  const Divisor by_plane(cells.height * cells.width), by_channel(channels);
  const int grid = cells.pooled_height * cells.pooled_width;
  Map(count, dx, [=] __device__(int e) {
    int at, c;
    const int n = by_channel.Quotient(by_plane.Quotient(e, &at), &c);
    T sum = 0;
    for (int r = 0; r < num_regions; ++r) {
      if (static_cast<int>(regions[r * 5]) != n) continue;
      const int first = (r * channels + c) * grid;
      for (int k = first; k < first + grid; ++k) {
        if (places[k] == at) sum += dy[k];
      }
    }
    return sum;
  });
}

}  // namespace

template <typename Dtype>
void ROIPoolingLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                         const vector<Blob<Dtype>*>& top) {
  CheckRegions(*bottom[0], *bottom[1]);
  const RoiCells<Dtype> cells = {bottom[0]->height(), bottom[0]->width(), pooled_height_,
                                 pooled_width_, spatial_scale_};
  FindLargest(top[0]->count(), bottom[0]->shape(1), cells, bottom[0]->gpu_data(),
              bottom[1]->gpu_data(), top[0]->mutable_gpu_data(),
              max_idx_.mutable_gpu_data());
}

template <typename Dtype>
void ROIPoolingLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                          const vector<bool>& propagate_down,
                                          const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("regions", this->layer_param_, propagate_down);
  if (!propagate_down[0]) return;
  const RoiCells<Dtype> cells = {bottom[0]->height(), bottom[0]->width(), pooled_height_,
                                 pooled_width_, spatial_scale_};
  CollectGradients(bottom[0]->count(), bottom[0]->shape(1), bottom[1]->shape(0), cells,
                   bottom[1]->gpu_data(), max_idx_.gpu_data(), top[0]->gpu_diff(),
                   bottom[0]->mutable_gpu_diff());
}

INSTANTIATE_LAYER_GPU_FUNCS(ROIPoolingLayer);

}  // namespace caffe
