#include <vector>

#include "caffe/layers/depthwise_conv_layer.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

// Every image tap of one output, or every output of one image tap, in 2D.
struct DepthwiseShape {
  int channels, num_output, height, width, out_height, out_width, kernel_h, kernel_w,
      stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
};

template <typename Dtype>
__global__ void DepthwiseForward(const int nthreads, const DepthwiseShape p,
                                 const Dtype* const bottom_data,
                                 const Dtype* const weight, const Dtype* const bias,
                                 Dtype* const top_data) {
  CUDA_KERNEL_LOOP(index, nthreads) {
    const int ow = index % p.out_width;
    const int oh = (index / p.out_width) % p.out_height;
    const int o = (index / p.out_width / p.out_height) % p.num_output;
    const int n = index / p.out_width / p.out_height / p.num_output;
    const int c = o / (p.num_output / p.channels);
    const Dtype* const image = bottom_data + (n * p.channels + c) * p.height * p.width;
    const Dtype* const filter = weight + o * p.kernel_h * p.kernel_w;
    Dtype sum = bias == NULL ? Dtype(0) : bias[o];
    for (int kh = 0; kh < p.kernel_h; ++kh) {
      for (int kw = 0; kw < p.kernel_w; ++kw) {
        const int h = oh * p.stride_h - p.pad_h + kh * p.dilation_h;
        const int w = ow * p.stride_w - p.pad_w + kw * p.dilation_w;
        if (h >= 0 && h < p.height && w >= 0 && w < p.width) {
          sum += image[h * p.width + w] * filter[kh * p.kernel_w + kw];
        }
      }
    }
    top_data[index] = sum;
  }
}

template <typename Dtype>
__global__ void DepthwiseBackwardData(const int nthreads, const DepthwiseShape p,
                                      const Dtype* const top_diff,
                                      const Dtype* const weight,
                                      Dtype* const bottom_diff) {
  CUDA_KERNEL_LOOP(index, nthreads) {
    const int w = index % p.width;
    const int h = (index / p.width) % p.height;
    const int c = (index / p.width / p.height) % p.channels;
    const int n = index / p.width / p.height / p.channels;
    const int multiplier = p.num_output / p.channels;
    Dtype sum = 0;
    for (int o = c * multiplier; o < (c + 1) * multiplier; ++o) {
      const Dtype* const diff =
          top_diff + (n * p.num_output + o) * p.out_height * p.out_width;
      for (int kh = 0; kh < p.kernel_h; ++kh) {
        for (int kw = 0; kw < p.kernel_w; ++kw) {
          const int y = h + p.pad_h - kh * p.dilation_h;
          const int x = w + p.pad_w - kw * p.dilation_w;
          if (y % p.stride_h == 0 && x % p.stride_w == 0 && y >= 0 && x >= 0 &&
              y / p.stride_h < p.out_height && x / p.stride_w < p.out_width) {
            sum += diff[y / p.stride_h * p.out_width + x / p.stride_w] *
                   weight[(o * p.kernel_h + kh) * p.kernel_w + kw];
          }
        }
      }
    }
    bottom_diff[index] = sum;
  }
}

// One thread per weight: slow, and the same bits on every run.
template <typename Dtype>
__global__ void DepthwiseBackwardWeight(const int nthreads, const int num,
                                        const DepthwiseShape p,
                                        const Dtype* const bottom_data,
                                        const Dtype* const top_diff,
                                        Dtype* const weight_diff) {
  CUDA_KERNEL_LOOP(index, nthreads) {
    const int kw = index % p.kernel_w;
    const int kh = (index / p.kernel_w) % p.kernel_h;
    const int o = index / p.kernel_w / p.kernel_h;
    const int c = o / (p.num_output / p.channels);
    Dtype sum = 0;
    for (int n = 0; n < num; ++n) {
      const Dtype* const diff =
          top_diff + (n * p.num_output + o) * p.out_height * p.out_width;
      const Dtype* const image = bottom_data + (n * p.channels + c) * p.height * p.width;
      for (int oh = 0; oh < p.out_height; ++oh) {
        for (int ow = 0; ow < p.out_width; ++ow) {
          const int h = oh * p.stride_h - p.pad_h + kh * p.dilation_h;
          const int w = ow * p.stride_w - p.pad_w + kw * p.dilation_w;
          if (h >= 0 && h < p.height && w >= 0 && w < p.width) {
            sum += diff[oh * p.out_width + ow] * image[h * p.width + w];
          }
        }
      }
    }
    weight_diff[index] += sum;
  }
}

template <typename Dtype>
static DepthwiseShape MakeShape(const Blob<Dtype>& bottom, const Blob<Dtype>& top,
                                const int* kernel, const int* stride, const int* pad,
                                const int* dilation) {
  const DepthwiseShape shape = {bottom.channels(), top.channels(), bottom.height(),
                                bottom.width(),    top.height(),   top.width(),
                                kernel[0],         kernel[1],      stride[0],
                                stride[1],         pad[0],         pad[1],
                                dilation[0],       dilation[1]};
  return shape;
}

template <typename Dtype>
void DepthwiseConvolutionLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                                   const vector<Blob<Dtype>*>& top) {
  const Dtype* weight = this->blobs_[0]->gpu_data();
  const Dtype* bias = this->bias_term_ ? this->blobs_[1]->gpu_data() : NULL;
  for (int i = 0; i < bottom.size(); ++i) {
    const DepthwiseShape shape = MakeShape(
        *bottom[i], *top[i], this->kernel_shape_.cpu_data(), this->stride_.cpu_data(),
        this->pad_.cpu_data(), this->dilation_.cpu_data());
    const int count = top[i]->count();
    // NOLINT_NEXT_LINE(whitespace/operators)
    DepthwiseForward<Dtype><<<CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS>>>(
        count, shape, bottom[i]->gpu_data(), weight, bias, top[i]->mutable_gpu_data());
    CUDA_POST_KERNEL_CHECK;
  }
}

template <typename Dtype>
void DepthwiseConvolutionLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                                    const vector<bool>& propagate_down,
                                                    const vector<Blob<Dtype>*>& bottom) {
  const Dtype* weight = this->blobs_[0]->gpu_data();
  for (int i = 0; i < top.size(); ++i) {
    const DepthwiseShape shape = MakeShape(
        *bottom[i], *top[i], this->kernel_shape_.cpu_data(), this->stride_.cpu_data(),
        this->pad_.cpu_data(), this->dilation_.cpu_data());
    const Dtype* top_diff = top[i]->gpu_diff();
    if (this->bias_term_ && this->param_propagate_down_[1]) {
      Dtype* bias_diff = this->blobs_[1]->mutable_gpu_diff();
      for (int n = 0; n < this->num_; ++n) {
        this->backward_gpu_bias(bias_diff, top_diff + n * this->top_dim_);
      }
    }
    if (this->param_propagate_down_[0]) {
      const int count = this->blobs_[0]->count();
      // NOLINT_NEXT_LINE(whitespace/operators)
      DepthwiseBackwardWeight<Dtype><<<CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS>>>(
          count, this->num_, shape, bottom[i]->gpu_data(), top_diff,
          this->blobs_[0]->mutable_gpu_diff());
      CUDA_POST_KERNEL_CHECK;
    }
    if (propagate_down[i]) {
      const int count = bottom[i]->count();
      // NOLINT_NEXT_LINE(whitespace/operators)
      DepthwiseBackwardData<Dtype><<<CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS>>>(
          count, shape, top_diff, weight, bottom[i]->mutable_gpu_diff());
      CUDA_POST_KERNEL_CHECK;
    }
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(DepthwiseConvolutionLayer);

}  // namespace caffe
