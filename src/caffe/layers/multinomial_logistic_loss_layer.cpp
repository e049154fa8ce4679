#include "caffe/layers/multinomial_logistic_loss_layer.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "caffe/layers/labels.hpp"

namespace caffe {

template <typename Dtype>
void MultinomialLogisticLossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                                  const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::Reshape(bottom, top);
  labels_.Reshape({CheckedRows(this->layer_param_, bottom).outer});
}

template <typename Dtype>
void MultinomialLogisticLossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                                      const vector<Blob<Dtype>*>& top) {
  const LabelledScores rows = CheckedRows(this->layer_param_, bottom);
  ReadLabels(this->layer_param_, *bottom[1], rows, {rows.classes, false, 0},
             labels_.mutable_cpu_data());
  const int* labels = labels_.cpu_data();
  const Dtype* p = bottom[0]->cpu_data();
  double loss = 0;
  for (std::int64_t n = 0; n < rows.outer; ++n) {
    loss -= std::log(
        std::max<double>(p[n * rows.classes + labels[n]], Dtype(kLOG_THRESHOLD)));
  }
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(loss / rows.outer);
}

template <typename Dtype>
void MultinomialLogisticLossLayer<Dtype>::Backward_cpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("labels", this->layer_param_, propagate_down);
  if (!propagate_down[0]) return;
  const int* labels = labels_.cpu_data();
  const Dtype* p = bottom[0]->cpu_data();
  Dtype* dp = bottom[0]->mutable_cpu_diff();
  caffe_set(bottom[0]->count(), Dtype(0), dp);
  const Dtype scale = -top[0]->cpu_diff()[0] / bottom[0]->shape(0);
  const std::int64_t classes = bottom[0]->count(1);
  for (std::int64_t n = 0; n < bottom[0]->shape(0); ++n) {
    const std::int64_t i = n * classes + labels[n];
    dp[i] = scale / std::max(p[i], Dtype(kLOG_THRESHOLD));
  }
}

INSTANTIATE_CLASS(MultinomialLogisticLossLayer);
REGISTER_LAYER_CLASS(MultinomialLogisticLoss);

}  // namespace caffe
