#ifndef CAFFE_ARGMAX_LAYER_HPP_
#define CAFFE_ARGMAX_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Indices of the top_k (default 1) largest values, largest first; of equal values
/// the one with the larger index comes first, as in Caffe. NaN counts as smallest.
///
/// With `axis`: along that axis; the top has the bottom's shape with top_k in place
/// of it, and holds the indices or, with out_max_val, the values.
/// Without: over everything behind axis 0; the top is N x 1 x top_k, or with
/// out_max_val N x 2 x top_k with the indices first and the values second.
/// There is no gradient.
template <typename Dtype>
class ArgMaxLayer : public Layer<Dtype> {
 public:
  explicit ArgMaxLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "ArgMax"; }
  virtual inline int ExactNumBottomBlobs() const { return 1; }
  virtual inline int ExactNumTopBlobs() const { return 1; }
  LayerTraits Traits() const override;
  virtual inline bool AllowForceBackward(const int /*bottom_index*/) const {
    return false;
  }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

  bool out_max_val_;
  size_t top_k_;
  bool has_axis_;
  int axis_;
};

}  // namespace caffe

#endif  // CAFFE_ARGMAX_LAYER_HPP_
