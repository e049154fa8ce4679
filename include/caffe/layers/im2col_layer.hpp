#ifndef CAFFE_IM2COL_LAYER_HPP_
#define CAFFE_IM2COL_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Unfolds images: the matrix that a convolution multiplies its weights with.
///
/// bottom: (..., C, spatial...) with the channels on convolution_param.axis (default 1).
/// top: (..., C * taps of the kernel, output spatial...), of which row (c, tap) holds
/// what this tap sees in every position of the window; outside of the image it sees 0.
/// kernel_size, stride, pad, dilation (and their _h, _w forms) are those of Convolution,
/// force_nd_im2col, too; output sizes round down.
/// dx adds up dy where windows overlap.
template <typename Dtype>
class Im2colLayer : public Layer<Dtype> {
 public:
  explicit Im2colLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "Im2col"; }
  virtual inline int ExactNumBottomBlobs() const { return 1; }
  virtual inline int ExactNumTopBlobs() const { return 1; }
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

  Blob<int> kernel_shape_;  ///< by spatial axis, as are the next three
  Blob<int> stride_;
  Blob<int> pad_;
  Blob<int> dilation_;
  int num_spatial_axes_;
  int bottom_dim_;  ///< elements of an image
  int top_dim_;
  int channel_axis_;
  int num_;
  int channels_;
  bool force_nd_im2col_;

 private:
  Blob<int> im_shape_, col_shape_;  ///< without the axes before the channels
};

}  // namespace caffe

#endif  // CAFFE_IM2COL_LAYER_HPP_
