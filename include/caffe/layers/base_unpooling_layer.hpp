#ifndef CAFFE_BASE_UNPOOLING_LAYER_HPP_
#define CAFFE_BASE_UNPOOLING_LAYER_HPP_

#include <utility>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// What puts values back where a MAX pooling has found them.
///
/// Bottoms: values (N, C, H, W), and the places h W' + w of the pooling's second top, of
/// the same shape. Top (N, C, H', W') is 0 but where a value was put; of several that
/// were found in one place the last stays. dvalues is dtop at their places, 0 for one
/// that did not stay. The places have no gradient.
template <typename Dtype>
class BaseUnpoolingLayer : public Layer<Dtype> {
 public:
  explicit BaseUnpoolingLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;

  inline int ExactNumTopBlobs() const override { return 1; }
  vector<string> BottomNames() const override {
    return {"values", "places, the second top of a MAX pooling"};
  }
  inline bool AllowForceBackward(const int bottom_index) const override {
    return bottom_index == 0;
  }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

  /// Height and width of the top.
  virtual pair<int64_t, int64_t> TopSize(int height, int width) const = 0;
  /// Rows and columns from one value to the next, where there are no places.
  virtual pair<int, int> Steps() const { return {1, 1}; }
  /// … and before the first.
  virtual pair<int, int> Pads() const { return {0, 0}; }

 private:
  /// bottom[1], or where the windows of a pooling begin.
  const Blob<Dtype>& Places(const vector<Blob<Dtype>*>& bottom) const;
  /// Throws: one of them is outside the top.
  [[noreturn]] void RefusePlace(const Blob<Dtype>& places) const;

  Blob<Dtype> starts_;
  Blob<int> source_;  ///< by element of the top: the value that it is, -1 for 0
};

}  // namespace caffe

#endif  // CAFFE_BASE_UNPOOLING_LAYER_HPP_
