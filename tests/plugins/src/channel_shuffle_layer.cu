#include <vector>

#include "caffe/layers/channel_shuffle_layer.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
__global__ void ShuffleChannels(const int nthreads, const Dtype* const src,
                                const int channels, const int spatial_dim,
                                const int group, const bool forward, Dtype* const dst) {
  CUDA_KERNEL_LOOP(index, nthreads) {
    const int s = index % spatial_dim;
    const int c = (index / spatial_dim) % channels;
    const int n = index / spatial_dim / channels;
    const int group_channels = channels / group;
    const int shuffled = (c % group_channels) * group + c / group_channels;
    const int other = (n * channels + shuffled) * spatial_dim + s;
    if (forward) {
      dst[other] = src[index];
    } else {
      dst[index] = src[other];
    }
  }
}

template <typename Dtype>
void ChannelShuffleLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  const int count = bottom[0]->count();
  const int spatial_dim = bottom[0]->height() * bottom[0]->width();
  // NOLINT_NEXT_LINE(whitespace/operators)
  ShuffleChannels<Dtype><<<CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS>>>(
      count, bottom[0]->gpu_data(), bottom[0]->channels(), spatial_dim, group_, true,
      top[0]->mutable_gpu_data());
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void ChannelShuffleLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                              const vector<bool>& propagate_down,
                                              const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) {
    return;
  }
  const int count = bottom[0]->count();
  const int spatial_dim = bottom[0]->height() * bottom[0]->width();
  // NOLINT_NEXT_LINE(whitespace/operators)
  ShuffleChannels<Dtype><<<CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS>>>(
      count, top[0]->gpu_diff(), bottom[0]->channels(), spatial_dim, group_, false,
      bottom[0]->mutable_gpu_diff());
  CUDA_POST_KERNEL_CHECK;
}

INSTANTIATE_LAYER_GPU_FUNCS(ChannelShuffleLayer);

}  // namespace caffe
