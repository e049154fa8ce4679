#include <vector>

#include "caffe/layers/depthwise_conv_layer.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
void DepthwiseConvolutionLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                                  const vector<Blob<Dtype>*>& top) {
  BaseConvolutionLayer<Dtype>::LayerSetUp(bottom, top);
  CHECK_EQ(this->group_, this->channels_)
      << "DepthwiseConvolution needs as many groups as channels.";
  CHECK_EQ(this->num_spatial_axes_, 2) << "DepthwiseConvolution takes 4D blobs.";
}

template <typename Dtype>
void DepthwiseConvolutionLayer<Dtype>::compute_output_shape() {
  const int* kernel_shape_data = this->kernel_shape_.cpu_data();
  const int* stride_data = this->stride_.cpu_data();
  const int* pad_data = this->pad_.cpu_data();
  const int* dilation_data = this->dilation_.cpu_data();
  this->output_shape_.clear();
  for (int i = 0; i < this->num_spatial_axes_; ++i) {
    // i + 1 to skip channel axis
    const int input_dim = this->input_shape(i + 1);
    const int kernel_extent = dilation_data[i] * (kernel_shape_data[i] - 1) + 1;
    const int output_dim =
        (input_dim + 2 * pad_data[i] - kernel_extent) / stride_data[i] + 1;
    this->output_shape_.push_back(output_dim);
  }
}

namespace {

// Calls visit(input offset, weight offset) for every tap of one output that lies
// inside the image.
struct Window {
  int height, width, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h,
      dilation_w;

  template <typename Visit>
  void ForEachTap(int oh, int ow, Visit visit) const {
    for (int kh = 0; kh < kernel_h; ++kh) {
      const int h = oh * stride_h - pad_h + kh * dilation_h;
      if (h < 0 || h >= height) {
        continue;
      }
      for (int kw = 0; kw < kernel_w; ++kw) {
        const int w = ow * stride_w - pad_w + kw * dilation_w;
        if (w < 0 || w >= width) {
          continue;
        }
        visit(h * width + w, kh * kernel_w + kw);
      }
    }
  }
};

template <typename Dtype>
Window MakeWindow(const Blob<Dtype>& image, const Blob<int>& kernel,
                  const Blob<int>& stride, const Blob<int>& pad,
                  const Blob<int>& dilation) {
  Window window;
  window.height = image.height();
  window.width = image.width();
  window.kernel_h = kernel.cpu_data()[0];
  window.kernel_w = kernel.cpu_data()[1];
  window.stride_h = stride.cpu_data()[0];
  window.stride_w = stride.cpu_data()[1];
  window.pad_h = pad.cpu_data()[0];
  window.pad_w = pad.cpu_data()[1];
  window.dilation_h = dilation.cpu_data()[0];
  window.dilation_w = dilation.cpu_data()[1];
  return window;
}

}  // namespace

template <typename Dtype>
void DepthwiseConvolutionLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                                   const vector<Blob<Dtype>*>& top) {
  const Dtype* weight = this->blobs_[0]->cpu_data();
  const int kernel_dim = this->blobs_[0]->count(1);
  const int multiplier = this->num_output_ / this->channels_;
  for (int i = 0; i < bottom.size(); ++i) {
    const Window window = MakeWindow(*bottom[i], this->kernel_shape_, this->stride_,
                                     this->pad_, this->dilation_);
    const Dtype* bottom_data = bottom[i]->cpu_data();
    Dtype* top_data = top[i]->mutable_cpu_data();
    for (int n = 0; n < this->num_; ++n) {
      for (int o = 0; o < this->num_output_; ++o) {
        const Dtype* image = bottom_data + bottom[i]->offset(n, o / multiplier);
        const Dtype* filter = weight + o * kernel_dim;
        Dtype* out = top_data + top[i]->offset(n, o);
        for (int oh = 0; oh < top[i]->height(); ++oh) {
          for (int ow = 0; ow < top[i]->width(); ++ow) {
            Dtype sum = 0;
            window.ForEachTap(oh, ow, [&](int x, int k) { sum += image[x] * filter[k]; });
            *out++ = sum;
          }
        }
      }
      if (this->bias_term_) {
        const Dtype* bias = this->blobs_[1]->cpu_data();
        this->forward_cpu_bias(top_data + n * this->top_dim_, bias);
      }
    }
  }
}

template <typename Dtype>
void DepthwiseConvolutionLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                                    const vector<bool>& propagate_down,
                                                    const vector<Blob<Dtype>*>& bottom) {
  const Dtype* weight = this->blobs_[0]->cpu_data();
  Dtype* weight_diff = this->blobs_[0]->mutable_cpu_diff();
  const int kernel_dim = this->blobs_[0]->count(1);
  const int multiplier = this->num_output_ / this->channels_;
  for (int i = 0; i < top.size(); ++i) {
    const Window window = MakeWindow(*bottom[i], this->kernel_shape_, this->stride_,
                                     this->pad_, this->dilation_);
    const Dtype* top_diff = top[i]->cpu_diff();
    const Dtype* bottom_data = bottom[i]->cpu_data();
    Dtype* bottom_diff = NULL;
    if (propagate_down[i]) {
      bottom_diff = bottom[i]->mutable_cpu_diff();
      caffe_set(bottom[i]->count(), Dtype(0), bottom_diff);
    }
    // Bias gradient, if necessary.
    if (this->bias_term_ && this->param_propagate_down_[1]) {
      Dtype* bias_diff = this->blobs_[1]->mutable_cpu_diff();
      for (int n = 0; n < this->num_; ++n) {
        this->backward_cpu_bias(bias_diff, top_diff + n * this->top_dim_);
      }
    }
    for (int n = 0; n < this->num_; ++n) {
      for (int o = 0; o < this->num_output_; ++o) {
        const int image = bottom[i]->offset(n, o / multiplier);
        const int filter = o * kernel_dim;
        const Dtype* out = top_diff + top[i]->offset(n, o);
        for (int oh = 0; oh < top[i]->height(); ++oh) {
          for (int ow = 0; ow < top[i]->width(); ++ow) {
            const Dtype diff = *out++;
            window.ForEachTap(oh, ow, [&](int x, int k) {
              if (this->param_propagate_down_[0]) {
                weight_diff[filter + k] += diff * bottom_data[image + x];
              }
              if (bottom_diff) {
                bottom_diff[image + x] += diff * weight[filter + k];
              }
            });
          }
        }
      }
    }
  }
}

#ifdef CPU_ONLY
STUB_GPU(DepthwiseConvolutionLayer);
#endif

INSTANTIATE_CLASS(DepthwiseConvolutionLayer);
REGISTER_LAYER_CLASS(DepthwiseConvolution);

}  // namespace caffe
