#include "caffe/layers/parameter_layer.hpp"

#include <memory>

namespace caffe {

template <typename Dtype>
void ParameterLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                       const vector<Blob<Dtype>*>& /*top*/) {
  this->param_propagate_down_.resize(1, true);
  Blob<Dtype> wanted;
  wanted.Reshape(this->layer_param_.parameter_param().shape());
  if (this->blobs_.empty()) {
    this->blobs_.push_back(std::make_shared<Blob<Dtype>>(wanted.shape()));
  } else if (this->blobs_.size() != 1 || this->blobs_[0]->shape() != wanted.shape()) {
    throw ValueError(Str("the values given with the layer do not fit, expected one blob ",
                         "of shape ", ShapeText(wanted.shape())));
  }
}

template <typename Dtype>
void ParameterLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& /*bottom*/,
                                    const vector<Blob<Dtype>*>& top) {
  top[0]->ReshapeLike(*this->blobs_[0]);
}

template <typename Dtype>
LayerTraits ParameterLayer<Dtype>::Traits() const {
  return {.of = &typeid(ParameterLayer), .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void ParameterLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& /*bottom*/,
                                        const vector<Blob<Dtype>*>& top) {
  caffe_copy(top[0]->count(), this->blobs_[0]->cpu_data(), top[0]->mutable_cpu_data());
}

template <typename Dtype>
void ParameterLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& /*propagate_down*/,
                                         const vector<Blob<Dtype>*>& /*bottom*/) {
  if (!this->param_propagate_down_[0]) return;
  caffe_axpy(top[0]->count(), Dtype(1), top[0]->cpu_diff(),
             this->blobs_[0]->mutable_cpu_diff());
}

INSTANTIATE_CLASS(ParameterLayer);
REGISTER_LAYER_CLASS(Parameter);

}  // namespace caffe
