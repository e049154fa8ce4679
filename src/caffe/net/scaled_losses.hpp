#ifndef CAFFE_NET_SCALED_LOSSES_HPP_
#define CAFFE_NET_SCALED_LOSSES_HPP_

#include "caffe/graph.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

/// While it lives, the diff of every blob that counts in the loss holds `scale` times the
/// loss weight, so that a backward pass gives gradients times that.
template <typename Dtype>
class ScaledLosses {
 public:
  ScaledLosses(const Graph<Dtype>& graph, Dtype scale) : graph_(graph), scale_(scale) {
    if (scale_ != Dtype(1)) Fill(scale_);
  }
  ~ScaledLosses() {
    if (scale_ != Dtype(1)) Fill(1);
  }
  ScaledLosses(const ScaledLosses&) = delete;
  ScaledLosses& operator=(const ScaledLosses&) = delete;

 private:
  void Fill(Dtype scale) const {
    for (size_t i = 0; i < graph_.blobs.size(); ++i) {
      const Dtype weight = graph_.blob_loss_weights[i];
      if (weight == Dtype(0)) continue;
      Blob<Dtype>& blob = *graph_.blobs[i];
      caffe_set(blob.count(), weight * scale,
                static_cast<Dtype*>(blob.diff()->overwrite_cpu_data()));
    }
  }

  const Graph<Dtype>& graph_;
  const Dtype scale_;
};

}  // namespace caffe

#endif  // CAFFE_NET_SCALED_LOSSES_HPP_
