#include "caffe/layers/loss_layer.hpp"

#include <algorithm>

namespace caffe {

template <typename Dtype>
void LossLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                  const vector<Blob<Dtype>*>& top) {
  if (this->layer_param_.loss_weight_size() > 0) return;
  for (size_t i = 0; i < top.size(); ++i) this->layer_param_.add_loss_weight(i == 0);
}

template <typename Dtype>
void LossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                               const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->num_axes() < 1 || bottom[1]->num_axes() < 1 ||
      bottom[0]->shape(0) != bottom[1]->shape(0)) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         " and bottom[1] ", ShapeText(bottom[1]->shape()),
                         ", expected the same number of samples on axis 0"));
  }
  top[0]->Reshape(vector<int>());
}

template <typename Dtype>
LossParameter_NormalizationMode LossLayer<Dtype>::NormalizationMode(
    LossParameter_NormalizationMode otherwise) const {
  const LossParameter& param = this->layer_param_.loss_param();
  if (param.has_normalization()) return param.normalization();
  if (!param.has_normalize()) return otherwise;
  return param.normalize() ? LossParameter_NormalizationMode_VALID
                           : LossParameter_NormalizationMode_BATCH_SIZE;
}

template <typename Dtype>
Dtype LossLayer<Dtype>::LossNormalizer(LossParameter_NormalizationMode mode,
                                       int outer_num, int inner_num, int valid_count) {
  Dtype normalizer = 1;
  switch (mode) {
    case LossParameter_NormalizationMode_FULL:
      normalizer = Dtype(outer_num) * inner_num;
      break;
    case LossParameter_NormalizationMode_VALID:
      normalizer = valid_count;
      break;
    case LossParameter_NormalizationMode_BATCH_SIZE:
      normalizer = outer_num;
      break;
    case LossParameter_NormalizationMode_NONE:
      break;
  }
  // Never 0: a batch in which every label is ignored has loss 0.
  return std::max(Dtype(1), normalizer);
}

INSTANTIATE_CLASS(LossLayer);

}  // namespace caffe
