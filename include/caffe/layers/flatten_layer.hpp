#ifndef CAFFE_FLATTEN_LAYER_HPP_
#define CAFFE_FLATTEN_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Makes one axis of the axes `axis` (default 1) to `end_axis` (default -1, the last),
/// both inclusive: (N, C, H, W) becomes (N, C H W).
///
/// The top shares data and diff with the bottom.
template <typename Dtype>
class FlattenLayer : public Layer<Dtype> {
 public:
  explicit FlattenLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "Flatten"; }
  virtual inline int ExactNumBottomBlobs() const { return 1; }
  virtual inline int ExactNumTopBlobs() const { return 1; }
  LayerTraits Traits() const override;

 protected:
  // Nothing to compute: the memory is shared.
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& /*bottom*/,
                           const vector<Blob<Dtype>*>& /*top*/) {}
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& /*top*/,
                            const vector<bool>& /*propagate_down*/,
                            const vector<Blob<Dtype>*>& /*bottom*/) {}
};

}  // namespace caffe

#endif  // CAFFE_FLATTEN_LAYER_HPP_
