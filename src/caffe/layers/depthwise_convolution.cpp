// The layers that forks of Caffe have for convolutions with one filter a channel: other
// names of Convolution with `group` equal to the number of channels. The sources in
// circulation agree in that, in the formula, and in the shapes of the blobs.

#include <memory>
#include <vector>

#include "caffe/layer_factory.hpp"
#include "caffe/layers/conv_layer.hpp"

namespace caffe {
namespace {

// A plugin may have a caffe::DepthwiseConvolutionLayer: no symbol here may be its.
template <typename Dtype>
class DepthwiseSpelling : public ConvolutionLayer<Dtype> {
 public:
  explicit DepthwiseSpelling(const LayerParameter& param)
      : ConvolutionLayer<Dtype>(param) {}

  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override {
    LayerParameter& layer = this->layer_param_;
    ConvolutionParameter* param = layer.mutable_convolution_param();
    const int channels = bottom[0]->shape(bottom[0]->CanonicalAxisIndex(param->axis()));
    // Both may be left out; one of the forks ignores them.
    if (param->has_group()) Check("group", param->group(), channels);
    if (param->has_num_output()) Check("num_output", param->num_output(), channels);
    param->set_group(static_cast<uint32_t>(channels));
    param->set_num_output(static_cast<uint32_t>(channels));
    // What is saved can be read by every Caffe.
    layer.set_type("Convolution");
    ConvolutionLayer<Dtype>::LayerSetUp(bottom, top);
  }

  LayerTraits Traits() const override {
    LayerTraits traits = ConvolutionLayer<Dtype>::Traits();
    traits.computes_as = traits.of;
    traits.of = &typeid(DepthwiseSpelling);
    return traits;
  }

 private:
  void Check(const char* what, uint32_t got, int channels) const {
    if (static_cast<int64_t>(got) == channels) return;
    throw ValueError(Str(what, " is ", got, ", expected ", channels,
                         ", the channels of bottom[0], or nothing; write type "
                         "Convolution for another number"));
  }
};

template <typename Dtype>
shared_ptr<Layer<Dtype>> Create(const LayerParameter& param) {
  return std::make_shared<DepthwiseSpelling<Dtype>>(param);
}

struct AddSpellings {
  AddSpellings() {
    for (const char* type : {"ConvolutionDepthwise", "DepthwiseConvolution"}) {
      LayerRegistry<float>::AddSpelling(type, Create<float>);
      LayerRegistry<double>::AddSpelling(type, Create<double>);
    }
  }
} const add_spellings;

}  // namespace
}  // namespace caffe
