#include <vector>

#include "caffe/layers/channel_shuffle_layer.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
void ChannelShuffleLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) {
  CHECK_NE(top[0], bottom[0]) << this->type() << " Layer does not "
                              << "allow in-place computation.";
  group_ = this->layer_param_.convolution_param().group();
  CHECK_GT(group_, 0) << "group must be positive.";
}

template <typename Dtype>
void ChannelShuffleLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                         const vector<Blob<Dtype>*>& top) {
  CHECK_EQ(bottom[0]->channels() % group_, 0)
      << "The number of channels must be a multiple of group.";
  top[0]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
void ChannelShuffleLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  const Dtype* bottom_data = bottom[0]->cpu_data();
  Dtype* top_data = top[0]->mutable_cpu_data();
  const int num = bottom[0]->num();
  const int channels = bottom[0]->channels();
  const int spatial_dim = bottom[0]->height() * bottom[0]->width();
  const int group_channels = channels / group_;
  for (int n = 0; n < num; ++n) {
    for (int c = 0; c < channels; ++c) {
      const int to = (c % group_channels) * group_ + c / group_channels;
      caffe_copy(spatial_dim, bottom_data + (n * channels + c) * spatial_dim,
                 top_data + (n * channels + to) * spatial_dim);
    }
  }
}

template <typename Dtype>
void ChannelShuffleLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                              const vector<bool>& propagate_down,
                                              const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) {
    return;
  }
  const Dtype* top_diff = top[0]->cpu_diff();
  Dtype* bottom_diff = bottom[0]->mutable_cpu_diff();
  const int num = bottom[0]->num();
  const int channels = bottom[0]->channels();
  const int spatial_dim = bottom[0]->height() * bottom[0]->width();
  const int group_channels = channels / group_;
  for (int n = 0; n < num; ++n) {
    for (int c = 0; c < channels; ++c) {
      const int from = (c % group_channels) * group_ + c / group_channels;
      caffe_copy(spatial_dim, top_diff + (n * channels + from) * spatial_dim,
                 bottom_diff + (n * channels + c) * spatial_dim);
    }
  }
}

#ifdef CPU_ONLY
STUB_GPU(ChannelShuffleLayer);
#endif

INSTANTIATE_CLASS(ChannelShuffleLayer);
REGISTER_LAYER_CLASS(ChannelShuffle);

}  // namespace caffe
