#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/list.hpp"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/crop_layer.hpp"
#include "caffe/layers/crop_window.hpp"

namespace caffe {
namespace {

struct AxisOnDevice {
  Divisor extent;
  int stride = 0;
};

// A CropWindow as kernels see it; valid while its list lives.
struct Places {
  Divisor row;
  int first;
  DeviceList<AxisOnDevice>::View axes;

  // Of element i of the window.
  __device__ int Of(int i) const {
    int place;
    int r = row.Quotient(i, &place);
    place += first;
    for (int a = 0; a < axes.size(); ++a) {
      int at;
      r = axes[a].extent.Quotient(r, &at);
      place += at * axes[a].stride;
    }
    return place;
  }
};

DeviceList<AxisOnDevice> AxesOf(const CropWindow& window) {
  vector<AxisOnDevice> axes;
  for (const CropWindow::Axis& axis : window.axes) {
    axes.push_back({Divisor(axis.extent), axis.stride});
  }
  return DeviceList<AxisOnDevice>(axes);
}

template <typename T>
void Cut(int count, const Places& places, const T* x, T* y) {
  Map(count, y, [=] __device__(int i) { return x[places.Of(i)]; });
}

template <typename T>
void PutBack(int count, const Places& places, const T* dy, T* dx) {
  ForEach(count, [=] __device__(int i) { dx[places.Of(i)] = dy[i]; });
}

}  // namespace

template <typename Dtype>
void CropLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  if (top[0]->count() == 0) return;
  const CropWindow window(bottom[0]->shape(), top[0]->shape(), offsets.cpu_data());
  const DeviceList<AxisOnDevice> axes = AxesOf(window);
  Cut(top[0]->count(), {Divisor(window.row), window.first, axes.view()},
      DeviceDataOf(bottom[0]).Read(), DeviceDataOf(top[0]).Write());
}

template <typename Dtype>
void CropLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  if (propagate_down[1]) {
    caffe_gpu_set(bottom[1]->count(), Dtype(0), DeviceDiffOf(bottom[1]).Write());
  }
  if (!propagate_down[0]) return;
  Dtype* dx = DeviceDiffOf(bottom[0]).Write();
  caffe_gpu_set(bottom[0]->count(), Dtype(0), dx);
  if (top[0]->count() == 0) return;
  const CropWindow window(bottom[0]->shape(), top[0]->shape(), offsets.cpu_data());
  const DeviceList<AxisOnDevice> axes = AxesOf(window);
  PutBack(top[0]->count(), {Divisor(window.row), window.first, axes.view()},
          DeviceDiffOf(top[0]).Read(), dx);
}

INSTANTIATE_LAYER_GPU_FUNCS(CropLayer);

}  // namespace caffe
