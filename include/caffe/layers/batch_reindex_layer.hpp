#ifndef CAFFE_BATCH_REINDEX_LAYER_HPP_
#define CAFFE_BATCH_REINDEX_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Picks samples: y[i, ...] = x[index[i], ...]. They may be left out, repeated, and come
/// in any order.
///
/// bottom[0]: N x ...; bottom[1]: M indices from 0 to N - 1 on its only axis; another one
/// is an error. top: M x ....
/// dx[n] = sum of dy[i] over all i with index[i] = n. Indices have no gradient.
template <typename Dtype>
class BatchReindexLayer : public Layer<Dtype> {
 public:
  explicit BatchReindexLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "BatchReindex"; }
  virtual inline int ExactNumBottomBlobs() const { return 2; }
  virtual inline int ExactNumTopBlobs() const { return 1; }
  virtual inline bool AllowForceBackward(const int bottom_index) const {
    return bottom_index == 0;
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

  Blob<int> indices_;  ///< those of bottom[1], checked
};

}  // namespace caffe

#endif  // CAFFE_BATCH_REINDEX_LAYER_HPP_
