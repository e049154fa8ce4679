#ifndef CAFFE_EMBED_LAYER_HPP_
#define CAFFE_EMBED_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// A row of a table for every index: y[..., :] = W[x[...], :] + b. An InnerProduct of
/// one-hot vectors that are not written out.
///
/// bottom: indices of any shape, whole numbers from 0 to input_dim - 1 (fractions are cut
/// off); another one is an error that names the sample. top: the bottom's shape and
/// num_output behind it. Blobs: W (input_dim, num_output) by weight_filler and, with
/// bias_term (default true), b (num_output) by bias_filler.
/// dW[k, :] += sum of dy over the places with index k, db += sum of dy over all. Indices
/// have no gradient.
template <typename Dtype>
class EmbedLayer : public Layer<Dtype> {
 public:
  explicit EmbedLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "Embed"; }
  virtual inline int ExactNumBottomBlobs() const { return 1; }
  virtual inline int ExactNumTopBlobs() const { return 1; }
  virtual inline bool AllowForceBackward(const int /*bottom_index*/) const {
    return false;
  }
  LayerTraits Traits() const override;

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

  int M_;  ///< indices
  int K_;  ///< input_dim
  int N_;  ///< num_output
  bool bias_term_;
  Blob<int> indices_;  ///< the bottom's, checked
};

}  // namespace caffe

#endif  // CAFFE_EMBED_LAYER_HPP_
