#include <vector>

#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/im2col_layer.hpp"
#include "caffe/util/im2col.hpp"

namespace caffe {

template <typename Dtype>
void Im2colLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  const Dtype* x = DeviceDataOf(bottom[0]).Read();
  Dtype* y = DeviceDataOf(top[0]).Write();
  const int *kernel = kernel_shape_.cpu_data(), *pad = pad_.cpu_data(),
            *stride = stride_.cpu_data(), *dilation = dilation_.cpu_data(),
            *im = im_shape_.cpu_data();
  const bool flat = !force_nd_im2col_ && num_spatial_axes_ == 2;
  for (int n = 0; n < num_; ++n, x += bottom_dim_, y += top_dim_) {
    if (flat) {
      im2col_gpu(x, im[0], im[1], im[2], kernel[0], kernel[1], pad[0], pad[1], stride[0],
                 stride[1], dilation[0], dilation[1], y);
    } else {
      im2col_nd_gpu(x, num_spatial_axes_, top_dim_, im_shape_.gpu_data(),
                    col_shape_.gpu_data(), kernel_shape_.gpu_data(), pad_.gpu_data(),
                    stride_.gpu_data(), dilation_.gpu_data(), y);
    }
  }
}

template <typename Dtype>
void Im2colLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype* dy = DeviceDiffOf(top[0]).Read();
  Dtype* dx = DeviceDiffOf(bottom[0]).Write();
  const int *kernel = kernel_shape_.cpu_data(), *pad = pad_.cpu_data(),
            *stride = stride_.cpu_data(), *dilation = dilation_.cpu_data(),
            *im = im_shape_.cpu_data();
  const bool flat = !force_nd_im2col_ && num_spatial_axes_ == 2;
  for (int n = 0; n < num_; ++n, dx += bottom_dim_, dy += top_dim_) {
    if (flat) {
      col2im_gpu(dy, im[0], im[1], im[2], kernel[0], kernel[1], pad[0], pad[1], stride[0],
                 stride[1], dilation[0], dilation[1], dx);
    } else {
      col2im_nd_gpu(dy, num_spatial_axes_, bottom_dim_, im_shape_.gpu_data(),
                    col_shape_.gpu_data(), kernel_shape_.gpu_data(), pad_.gpu_data(),
                    stride_.gpu_data(), dilation_.gpu_data(), dx);
    }
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(Im2colLayer);

}  // namespace caffe
