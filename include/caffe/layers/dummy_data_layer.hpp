#ifndef CAFFE_DUMMY_DATA_LAYER_HPP_
#define CAFFE_DUMMY_DATA_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/filler.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Tops filled with constants, once, or with random values, anew in every Forward.
///
/// dummy_data_param.data_filler: none (zeros), one for all tops, or one each;
/// shape: one for all tops or one each (old form: num, channels, height, width).
template <typename Dtype>
class DummyDataLayer : public Layer<Dtype> {
 public:
  explicit DummyDataLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  // The shapes are set once, so that a caller may change them.
  virtual void Reshape(const vector<Blob<Dtype>*>& /*bottom*/,
                       const vector<Blob<Dtype>*>& /*top*/) {}

  virtual inline const char* type() const { return "DummyData"; }
  virtual inline int ExactNumBottomBlobs() const { return 0; }
  virtual inline int MinTopBlobs() const { return 1; }
  void Prepare(const LayerOptions& options) override { options_ = options; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& /*top*/,
                            const vector<bool>& /*propagate_down*/,
                            const vector<Blob<Dtype>*>& /*bottom*/) {}

  void Fill(size_t i, Blob<Dtype>* top);

  vector<shared_ptr<Filler<Dtype>>> fillers_;  ///< one per top
  vector<bool> refill_;                        ///< whether its values are random
  vector<int> filled_count_;                   ///< elements filled, for constants
  LayerOptions options_;
};

}  // namespace caffe

#endif  // CAFFE_DUMMY_DATA_LAYER_HPP_
