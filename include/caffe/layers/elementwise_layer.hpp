#ifndef CAFFE_ELEMENTWISE_LAYER_HPP_
#define CAFFE_ELEMENTWISE_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/neuron_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// What a functor's Gradient(x, y, dy) goes by.
enum class GradientSource {
  kInput,   ///< x, perhaps y too; in place, the layer keeps a copy of the input
  kOutput,  ///< y alone: one array less to read, and in place needs no copy
  kSign,    ///< the sign of x, which y shares: x is the input or, in place, the output
};

/// y = f(x) for every element, with f and its derivative given by a functor:
///
///     template <typename Dtype>
///     struct SquareFunctor {
///       void Read(const LayerParameter& param);  // takes parameters; may throw
///       GradientSource Source() const { return GradientSource::kInput; }
///       CAFFE_HOST_DEVICE Dtype Value(Dtype x) const { return x * x; }
///       CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype /*y*/, Dtype dy) const {
///         return 2 * x * dy;
///       }
///     };
///
/// A functor is copied by value and serves CPU and GPU alike. In-place use is right
/// for all of them. All layouts are dense, so packed data is taken as it is.
///
/// The bodies are compiled into the library, for its own layers; a plugin derives from
/// NeuronLayer.
///
/// `Concrete` is the class that derives from it.
template <typename Dtype, template <typename> class Functor,
          template <typename> class Concrete>
class ElementwiseLayer : public NeuronLayer<Dtype> {
 public:
  explicit ElementwiseLayer(const LayerParameter& param) : NeuronLayer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  LayerTraits Traits() const override;

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

  Functor<Dtype> functor_;
  /// The input of an in-place Forward, when Backward needs it.
  Blob<Dtype> kept_input_;
};

}  // namespace caffe

#endif  // CAFFE_ELEMENTWISE_LAYER_HPP_
