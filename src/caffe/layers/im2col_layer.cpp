#include "caffe/layers/im2col_layer.hpp"

#include <algorithm>
#include <cstdint>

#include "caffe/layers/convolution_window.hpp"
#include "caffe/util/im2col.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {
namespace {

void Store(const vector<int>& values, Blob<int>* blob) {
  blob->Reshape(vector<int>{std::max<int>(static_cast<int>(values.size()), 1)});
  std::copy(values.begin(), values.end(), blob->mutable_cpu_data());
}

}  // namespace

template <typename Dtype>
void Im2colLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& /*top*/) {
  const ConvolutionParameter& param = this->layer_param_.convolution_param();
  force_nd_im2col_ = param.force_nd_im2col();
  channel_axis_ = bottom[0]->CanonicalAxisIndex(param.axis());
  num_spatial_axes_ = bottom[0]->num_axes() - channel_axis_ - 1;
  if (num_spatial_axes_ < 1) {
    throw ValueError(Str("bottom[0] of shape ", ShapeText(bottom[0]->shape()),
                         " has no axis behind its channels on axis ", channel_axis_,
                         ", expected at least one spatial axis"));
  }
  const ConvolutionWindow window = ReadConvolutionWindow(param, num_spatial_axes_);
  Store(window.kernel, &kernel_shape_);
  Store(window.stride, &stride_);
  Store(window.pad, &pad_);
  Store(window.dilation, &dilation_);
}

template <typename Dtype>
void Im2colLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->num_axes() != channel_axis_ + 1 + num_spatial_axes_) {
    throw ValueError(Str("bottom[0] of shape ", ShapeText(bottom[0]->shape()), " has ",
                         bottom[0]->num_axes(), " axes, expected ",
                         channel_axis_ + 1 + num_spatial_axes_, " as at set-up"));
  }
  channels_ = bottom[0]->shape(channel_axis_);
  vector<int> im_shape = {channels_}, col_shape = {channels_};
  std::int64_t rows = channels_;
  for (int i = 0; i < num_spatial_axes_; ++i) {
    const std::int64_t size = bottom[0]->shape(channel_axis_ + 1 + i);
    const std::int64_t extent =
        std::int64_t{dilation_.cpu_data()[i]} * (kernel_shape_.cpu_data()[i] - 1) + 1;
    const std::int64_t room = size + 2 * std::int64_t{pad_.cpu_data()[i]} - extent;
    if (room < 0) {
      throw ValueError(Str("the kernel covers ", extent, " elements of spatial axis ", i,
                           ", but bottom[0] of shape ", ShapeText(bottom[0]->shape()),
                           " has, with its padding, ", room + extent));
    }
    rows *= kernel_shape_.cpu_data()[i];
    if (rows > INT_MAX || room / stride_.cpu_data()[i] >= INT_MAX) {
      throw ValueError("the unfolded image has more elements than a blob may have");
    }
    im_shape.push_back(static_cast<int>(size));
    col_shape.push_back(static_cast<int>(room / stride_.cpu_data()[i] + 1));
  }
  col_shape[0] = static_cast<int>(rows);
  vector<int> shape(bottom[0]->shape().begin(),
                    bottom[0]->shape().begin() + channel_axis_);
  shape.insert(shape.end(), col_shape.begin(), col_shape.end());
  top[0]->Reshape(shape);
  Store(im_shape, &im_shape_);
  Store(col_shape, &col_shape_);
  num_ = bottom[0]->count(0, channel_axis_);
  bottom_dim_ = bottom[0]->count(channel_axis_);
  top_dim_ = top[0]->count(channel_axis_);
}

template <typename Dtype>
LayerTraits Im2colLayer<Dtype>::Traits() const {
  return {.of = &typeid(Im2colLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void Im2colLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  const int *kernel = kernel_shape_.cpu_data(), *pad = pad_.cpu_data(),
            *stride = stride_.cpu_data(), *dilation = dilation_.cpu_data(),
            *im = im_shape_.cpu_data(), *col = col_shape_.cpu_data();
  ParallelTasks(num_, top[0]->count(), [=, this](std::int64_t n) {
    const Dtype* image = x + n * bottom_dim_;
    Dtype* matrix = y + n * top_dim_;
    if (!force_nd_im2col_ && num_spatial_axes_ == 2) {
      im2col_cpu(image, im[0], im[1], im[2], kernel[0], kernel[1], pad[0], pad[1],
                 stride[0], stride[1], dilation[0], dilation[1], matrix);
    } else {
      im2col_nd_cpu(image, num_spatial_axes_, im, col, kernel, pad, stride, dilation,
                    matrix);
    }
  });
}

template <typename Dtype>
void Im2colLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  const int *kernel = kernel_shape_.cpu_data(), *pad = pad_.cpu_data(),
            *stride = stride_.cpu_data(), *dilation = dilation_.cpu_data(),
            *im = im_shape_.cpu_data(), *col = col_shape_.cpu_data();
  ParallelTasks(num_, top[0]->count(), [=, this](std::int64_t n) {
    const Dtype* matrix = dy + n * top_dim_;
    Dtype* image = dx + n * bottom_dim_;
    if (!force_nd_im2col_ && num_spatial_axes_ == 2) {
      col2im_cpu(matrix, im[0], im[1], im[2], kernel[0], kernel[1], pad[0], pad[1],
                 stride[0], stride[1], dilation[0], dilation[1], image);
    } else {
      col2im_nd_cpu(matrix, num_spatial_axes_, im, col, kernel, pad, stride, dilation,
                    image);
    }
  });
}

INSTANTIATE_CLASS(Im2colLayer);
REGISTER_LAYER_CLASS(Im2col);

}  // namespace caffe
