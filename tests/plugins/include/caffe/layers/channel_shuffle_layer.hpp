#ifndef CAFFE_CHANNEL_SHUFFLE_LAYER_HPP_
#define CAFFE_CHANNEL_SHUFFLE_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/**
 * @brief Interleaves the channels of the groups of a grouped convolution, so that the
 *        next one sees all of them.
 *
 * convolution_param.group gives the number of groups: channel j of group i moves to
 * channel j * group + i.
 */
template <typename Dtype>
class ChannelShuffleLayer : public Layer<Dtype> {
 public:
  explicit ChannelShuffleLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "ChannelShuffle"; }
  virtual inline int ExactNumBottomBlobs() const { return 1; }
  virtual inline int ExactNumTopBlobs() const { return 1; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

  int group_;
};

}  // namespace caffe

#endif  // CAFFE_CHANNEL_SHUFFLE_LAYER_HPP_
