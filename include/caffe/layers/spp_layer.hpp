#ifndef CAFFE_SPP_LAYER_HPP_
#define CAFFE_SPP_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Spatial pyramid pooling: poolings of the whole image into 1, 4, 16, ... windows, one
/// behind the other, so that images of every size give vectors of one length.
///
/// bottom: N x C x H x W. top: N x C (4^pyramid_height - 1) / 3; with pyramid_height 1 it
/// is N x C x 1 x 1. Level l has 2^l by 2^l windows of ceil(H / 2^l) by ceil(W / 2^l), as
/// many apart, padded by half of what they overhang, rounded up. An image too small for a
/// level is an error. spp_param.pool: MAX (default) or AVE; STOCHASTIC where Pooling has
/// it.
/// The gradient is that of the poolings, added up.
/// Source: He et al., ECCV 2014.
template <typename Dtype>
class SPPLayer : public Layer<Dtype> {
 public:
  explicit SPPLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "SPP"; }
  virtual inline int ExactNumBottomBlobs() const { return 1; }
  virtual inline int ExactNumTopBlobs() const { return 1; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

  /// A Pooling of `bottom_h` x `bottom_w` into 4^pyramid_level windows.
  virtual LayerParameter GetPoolingParam(const int pyramid_level, const int bottom_h,
                                         const int bottom_w,
                                         const SPPParameter spp_param);

  int pyramid_height_;
  int bottom_h_, bottom_w_;
  int num_;
  int channels_;

  /// Copies of the bottom, one for each level.
  shared_ptr<Layer<Dtype>> split_layer_;
  vector<Blob<Dtype>*> split_top_vec_;
  vector<vector<Blob<Dtype>*>> pooling_bottom_vecs_;
  vector<shared_ptr<Layer<Dtype>>> pooling_layers_;
  vector<vector<Blob<Dtype>*>> pooling_top_vecs_;
  vector<shared_ptr<Layer<Dtype>>> flatten_layers_;
  vector<vector<Blob<Dtype>*>> flatten_top_vecs_;
  vector<Blob<Dtype>*> concat_bottom_vec_;
  shared_ptr<Layer<Dtype>> concat_layer_;

 private:
  Blob<Dtype>* NewBlob();
  vector<shared_ptr<Blob<Dtype>>> blobs_between_;
};

}  // namespace caffe

#endif  // CAFFE_SPP_LAYER_HPP_
