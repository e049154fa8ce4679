#ifndef CAFFE_RESHAPE_LAYER_HPP_
#define CAFFE_RESHAPE_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Gives the bottom another shape of the same count; values stay in their order.
///
/// reshape_param.shape replaces the axes [axis, axis + num_axes) of the bottom, by
/// default all. In it, 0 keeps the bottom's extent at that place and one -1 is worked
/// out from the count. The top shares data and diff with the bottom.
template <typename Dtype>
class ReshapeLayer : public Layer<Dtype> {
 public:
  explicit ReshapeLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "Reshape"; }
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

#endif  // CAFFE_RESHAPE_LAYER_HPP_
