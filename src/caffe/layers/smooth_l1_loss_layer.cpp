#include "caffe/layers/smooth_l1_loss_layer.hpp"

#include <cstdint>

#include "caffe/layers/smooth_l1_functor.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void SmoothL1LossLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::LayerSetUp(bottom, top);
  const float sigma = this->layer_param_.smooth_l1_loss_param().sigma();
  if (!(sigma > 0)) {
    throw ValueError(
        Str("smooth_l1_loss_param.sigma is ", sigma, ", expected a number above 0"));
  }
}

template <typename Dtype>
void SmoothL1LossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::Reshape(bottom, top);
  for (size_t i = 1; i < bottom.size(); ++i) {
    if (bottom[i]->count() == bottom[0]->count()) continue;
    throw ValueError(Str(NameOfBottom(this->layer_param_, static_cast<int>(i)),
                         ": shape ", ShapeText(bottom[i]->shape()),
                         ", expected as many elements as bottom[0] of shape ",
                         ShapeText(bottom[0]->shape())));
  }
}

namespace {

template <typename Dtype>
SmoothL1Functor<Dtype> FunctorOf(const LayerParameter& param,
                                 const vector<Blob<Dtype>*>& bottom) {
  const double sigma = param.smooth_l1_loss_param().sigma();
  return {sigma * sigma, bottom[0]->cpu_data(), bottom[1]->cpu_data(),
          bottom.size() > 2 ? bottom[2]->cpu_data() : nullptr,
          bottom.size() > 3 ? bottom[3]->cpu_data() : nullptr};
}

}  // namespace

template <typename Dtype>
void SmoothL1LossLayer<Dtype>::CheckGradients(const vector<bool>& propagate_down) const {
  for (size_t i = 2; i < propagate_down.size(); ++i) {
    if (!propagate_down[i]) continue;
    throw ValueError(Str(NameOfBottom(this->layer_param_, static_cast<int>(i)),
                         ": weights have no gradient; set propagate_down: false for "
                         "them"));
  }
}

template <typename Dtype>
void SmoothL1LossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  const auto f = FunctorOf(this->layer_param_, bottom);
  const double sum =
      ParallelSum(bottom[0]->count(), [=](std::int64_t i) { return f.Value(i); });
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(sum / bottom[0]->shape(0));
}

template <typename Dtype>
void SmoothL1LossLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                            const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  CheckGradients(propagate_down);
  const auto f = FunctorOf(this->layer_param_, bottom);
  const double scale = static_cast<double>(top[0]->cpu_diff()[0]) / bottom[0]->shape(0);
  for (int which = 0; which < 2; ++which) {
    if (!propagate_down[which]) continue;
    Dtype* to = bottom[which]->mutable_cpu_diff();
    const double factor = which == 0 ? scale : -scale;
    ParallelChunks(bottom[0]->count(), [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        to[i] = static_cast<Dtype>(factor * f.Gradient(i));
      }
    });
  }
}

INSTANTIATE_CLASS(SmoothL1LossLayer);
REGISTER_LAYER_CLASS(SmoothL1Loss);

}  // namespace caffe
