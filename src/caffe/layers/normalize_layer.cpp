#include "caffe/layers/normalize_layer.hpp"

#include <memory>

#include "caffe/filler.hpp"
#include "caffe/layers/normalize_arithmetic.hpp"

namespace caffe {

template <typename Dtype>
void NormalizeLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& /*top*/) {
  const NormalizeParameter& param = this->layer_param_.norm_param();
  if (!(param.eps() >= 0)) {
    throw ValueError(Str("norm_param.eps is ", param.eps(), ", expected 0 or more"));
  }
  if (bottom[0]->num_axes() < 2) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         ", expected (N, C, ...)"));
  }
  if (this->blobs_.empty()) {
    FillerParameter filler = param.scale_filler();
    if (!param.has_scale_filler()) filler.set_value(1);  // of the constant filler
    const vector<int> shape =
        param.channel_shared() ? vector<int>() : vector<int>{bottom[0]->shape(1)};
    this->blobs_.push_back(std::make_shared<Blob<Dtype>>(shape));
    shared_ptr<Filler<Dtype>>(GetFiller<Dtype>(filler))->Fill(this->blobs_[0].get());
  }
  this->param_propagate_down_.resize(this->blobs_.size(), true);
}

template <typename Dtype>
NormGroups NormalizeLayer<Dtype>::Groups(const Blob<Dtype>& bottom) const {
  return {bottom.shape(0), bottom.shape(1), bottom.count(2),
          this->layer_param_.norm_param().across_spatial()};
}

template <typename Dtype>
void NormalizeLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const bool shared = this->layer_param_.norm_param().channel_shared();
  const int expected = shared || bottom[0]->num_axes() < 2 ? 1 : bottom[0]->shape(1);
  if (bottom[0]->num_axes() < 2 || this->blobs_[0]->count() != expected) {
    throw ValueError(Str(
        "a scale of shape ", ShapeText(this->blobs_[0]->shape()),
        " does not fit bottom[0] of shape ", ShapeText(bottom[0]->shape()), ", expected ",
        expected,
        shared ? " value for all channels" : " values, one for each channel on axis 1"));
  }
  top[0]->ReshapeLike(*bottom[0]);
  inverse_norm_.Reshape({Groups(*bottom[0]).groups()});
}

template <typename Dtype>
LayerTraits NormalizeLayer<Dtype>::Traits() const {
  return {.of = &typeid(NormalizeLayer),
          .bottom_use = {DataUse::kRead},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void NormalizeLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  NormalizeForward(Groups(*bottom[0]), this->layer_param_.norm_param().eps(),
                   this->blobs_[0]->cpu_data(), scale_step(), bottom[0]->cpu_data(),
                   top[0]->mutable_cpu_data(), inverse_norm_.mutable_cpu_data());
}

template <typename Dtype>
void NormalizeLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  const NormGroups groups = Groups(*bottom[0]);
  const Dtype *x = bottom[0]->cpu_data(), *dy = top[0]->cpu_diff();
  if (this->param_propagate_down_[0]) {
    NormalizeScaleGradient(groups, inverse_norm_.cpu_data(), scale_step(), x, dy,
                           this->blobs_[0]->mutable_cpu_diff());
  }
  if (propagate_down[0]) {
    NormalizeBackward(groups, inverse_norm_.cpu_data(), this->blobs_[0]->cpu_data(),
                      scale_step(), x, dy, bottom[0]->mutable_cpu_diff());
  }
}

INSTANTIATE_CLASS(NormalizeLayer);
REGISTER_LAYER_CLASS(Normalize);

}  // namespace caffe
