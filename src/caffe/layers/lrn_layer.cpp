#include "caffe/layers/lrn_layer.hpp"

#include <vector>

#include "caffe/ops/lrn.hpp"

namespace caffe {

template <typename Dtype>
void LRNLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&,
                                 const vector<Blob<Dtype>*>&) {
  const LRNParameter& param = this->layer_param_.lrn_param();
  size_ = param.local_size();
  if (size_ % 2 != 1) {
    throw ValueError(
        Str("local_size is ", param.local_size(), ", expected an odd number"));
  }
  pre_pad_ = (size_ - 1) / 2;
  alpha_ = param.alpha();
  beta_ = param.beta();
  k_ = param.k();
}

template <typename Dtype>
void LRNLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                              const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->num_axes() != 4) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         ", expected 4 axes (N, C, H, W)"));
  }
  top[0]->ReshapeLike(*bottom[0]);
  scale_.ReshapeLike(*bottom[0]);
}

template <typename Dtype>
LrnProblem LRNLayer<Dtype>::Problem(const Blob<Dtype>& bottom) const {
  const LRNParameter& param = this->layer_param_.lrn_param();
  return {bottom.num(),    bottom.channels(),
          bottom.height(), bottom.width(),
          size_,           param.norm_region() == LRNParameter_NormRegion_ACROSS_CHANNELS,
          param.alpha(),   param.beta(),
          param.k()};
}

template <typename Dtype>
LayerTraits LRNLayer<Dtype>::Traits() const {
  return {.of = &typeid(LRNLayer),
          .bottom_use = {DataUse::kRead},
          .top_use = {DataUse::kRead},
          .device_only = true};
}

template <typename Dtype>
void LRNLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  LrnForward(Problem(*bottom[0]), bottom[0]->cpu_data(), scale_.mutable_cpu_data(),
             top[0]->mutable_cpu_data());
}

template <typename Dtype>
void LRNLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                   const vector<bool>& propagate_down,
                                   const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  LrnBackward(Problem(*bottom[0]), bottom[0]->cpu_data(), top[0]->cpu_data(),
              scale_.cpu_data(), top[0]->cpu_diff(), bottom[0]->mutable_cpu_diff());
}

INSTANTIATE_CLASS(LRNLayer);
REGISTER_LAYER_CLASS(LRN);

}  // namespace caffe
