#include "caffe/layers/inner_product_layer.hpp"

#include <memory>
#include <vector>

#include "caffe/filler.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
void InnerProductLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>&) {
  const InnerProductParameter& param = this->layer_param_.inner_product_param();
  if (param.num_output() < 1 || param.num_output() > INT_MAX) {
    throw ValueError("num_output must be positive");
  }
  N_ = static_cast<int>(param.num_output());
  bias_term_ = param.bias_term();
  transpose_ = param.transpose();
  K_ = bottom[0]->count(bottom[0]->CanonicalAxisIndex(param.axis()));
  this->param_propagate_down_.resize(1 + bias_term_, true);
  const vector<int> weight_shape = transpose_ ? vector<int>{K_, N_} : vector<int>{N_, K_};
  if (!this->blobs_.empty()) {
    if (this->blobs_.size() != size_t{1} + bias_term_ ||
        this->blobs_[0]->count() != K_ * N_ ||
        (bias_term_ && this->blobs_[1]->count() != N_)) {
      throw ValueError(Str("the weights given with the layer do not fit, expected ",
                           ShapeText(weight_shape), bias_term_ ? " and a bias" : ""));
    }
    return;
  }
  this->blobs_.resize(1 + bias_term_);
  this->blobs_[0] = std::make_shared<Blob<Dtype>>(weight_shape);
  std::unique_ptr<Filler<Dtype>>(GetFiller<Dtype>(param.weight_filler()))
      ->Fill(this->blobs_[0].get());
  if (bias_term_) {
    this->blobs_[1] = std::make_shared<Blob<Dtype>>(vector<int>{N_});
    std::unique_ptr<Filler<Dtype>>(GetFiller<Dtype>(param.bias_filler()))
        ->Fill(this->blobs_[1].get());
  }
}

template <typename Dtype>
void InnerProductLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  const int axis =
      bottom[0]->CanonicalAxisIndex(this->layer_param_.inner_product_param().axis());
  const int inputs = bottom[0]->count(axis);
  if (inputs != K_) {
    throw ValueError(Str(
        "bottom[0] has shape ", ShapeText(bottom[0]->shape()), ", which is ", inputs,
        " inputs for each sample, expected ", K_,
        " as the weights have; an image of another size needs a global pooling before "
        "this layer (pooling_param { global_pooling: true }, without kernel_size)"));
  }
  M_ = bottom[0]->count(0, axis);
  vector<int> top_shape(bottom[0]->shape().begin(), bottom[0]->shape().begin() + axis);
  top_shape.push_back(N_);
  top[0]->Reshape(top_shape);
}

template <typename Dtype>
LayerTraits InnerProductLayer<Dtype>::Traits() const {
  return {.of = &typeid(InnerProductLayer),
          .bottom_use = {DataUse::kRead},
          .top_use = {DataUse::kNone},
          .device_only = true};
}

template <typename Dtype>
void InnerProductLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  Dtype* y = static_cast<Dtype*>(top[0]->data()->overwrite_cpu_data());
  if (bias_term_) {
    const Dtype* bias = this->blobs_[1]->cpu_data();
    for (int m = 0; m < M_; ++m) caffe_copy(N_, bias, y + static_cast<int64_t>(m) * N_);
  }
  caffe_cpu_gemm<Dtype>(CblasNoTrans, transpose_ ? CblasNoTrans : CblasTrans, M_, N_, K_,
                        Dtype(1), bottom[0]->cpu_data(), this->blobs_[0]->cpu_data(),
                        bias_term_ ? Dtype(1) : Dtype(0), y);
}

template <typename Dtype>
void InnerProductLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                            const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  const Dtype* dy = top[0]->cpu_diff();
  if (this->param_propagate_down_[0]) {
    const Dtype* x = bottom[0]->cpu_data();
    Dtype* dw = this->blobs_[0]->mutable_cpu_diff();
    if (transpose_) {
      caffe_cpu_gemm<Dtype>(CblasTrans, CblasNoTrans, K_, N_, M_, Dtype(1), x, dy,
                            Dtype(1), dw);
    } else {
      caffe_cpu_gemm<Dtype>(CblasTrans, CblasNoTrans, N_, K_, M_, Dtype(1), dy, x,
                            Dtype(1), dw);
    }
  }
  if (bias_term_ && this->param_propagate_down_[1]) {
    Dtype* db = this->blobs_[1]->mutable_cpu_diff();
    for (int m = 0; m < M_; ++m) {
      caffe_axpy(N_, Dtype(1), dy + static_cast<int64_t>(m) * N_, db);
    }
  }
  if (propagate_down[0]) {
    caffe_cpu_gemm<Dtype>(CblasNoTrans, transpose_ ? CblasTrans : CblasNoTrans, M_, K_,
                          N_, Dtype(1), dy, this->blobs_[0]->cpu_data(), Dtype(0),
                          bottom[0]->mutable_cpu_diff());
  }
}

INSTANTIATE_CLASS(InnerProductLayer);
REGISTER_LAYER_CLASS(InnerProduct);

}  // namespace caffe
