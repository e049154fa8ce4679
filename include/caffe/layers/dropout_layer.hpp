#ifndef CAFFE_DROPOUT_LAYER_HPP_
#define CAFFE_DROPOUT_LAYER_HPP_

#include <cstdint>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/neuron_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// In TRAIN, sets each element to 0 with probability dropout_ratio (default 0.5) and
/// multiplies the others by 1 / (1 - dropout_ratio); in TEST, copies.
///
/// dx = dy times the same factor. In place works. The ratio is in [0, 1).
/// Whether element i is dropped depends only on the state of caffe_rng() and i, never
/// on the number of threads or the memory layout; Backward draws the mask again
/// instead of storing it.
/// Source: Srivastava et al., JMLR 2014.
template <typename Dtype>
class DropoutLayer : public NeuronLayer<Dtype> {
 public:
  explicit DropoutLayer(const LayerParameter& param) : NeuronLayer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "Dropout"; }
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

  /// Takes `count` draws from the thread's stream for the mask of this Forward.
  void Draw(int count);
  /// A draw is below this with probability threshold_.
  std::uint32_t dropped_below() const {
    return static_cast<std::uint32_t>(threshold_ * 0x1p32);
  }
  /// dst = mask * src / (1 - ratio), both in layout `block`, which may be one memory.
  void Apply(const Blob<Dtype>& blob, int block, const Dtype* src, Dtype* dst) const;

  Dtype threshold_;       ///< probability of dropping an element
  Dtype scale_;           ///< factor of the kept ones
  std::uint64_t seed_;    ///< with the two below: where the mask of the last
  std::uint64_t stream_;  ///< Forward begins in the random stream
  std::uint64_t first_draw_;
};

}  // namespace caffe

#endif  // CAFFE_DROPOUT_LAYER_HPP_
