#include "caffe/layers/hinge_loss_layer.hpp"

#include <cstdint>

#include "caffe/layers/hinge_functor.hpp"
#include "caffe/layers/labels.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void HingeLossLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::LayerSetUp(bottom, top);
  squared_ = this->layer_param_.hinge_loss_param().norm() == HingeLossParameter_Norm_L2;
}

template <typename Dtype>
void HingeLossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::Reshape(bottom, top);
  labels_.Reshape({CheckedRows(this->layer_param_, bottom).outer});
}

template <typename Dtype>
void HingeLossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  const LabelledScores rows = CheckedRows(this->layer_param_, bottom);
  ReadLabels(this->layer_param_, *bottom[1], rows, {rows.classes, false, 0},
             labels_.mutable_cpu_data());
  const int* labels = labels_.cpu_data();
  const Dtype* x = bottom[0]->cpu_data();
  const Hinge<Dtype> hinge{squared_};
  const int classes = rows.classes;
  const double loss = ParallelSum(bottom[0]->count(), [=](std::int64_t i) {
    return hinge.Loss(x[i], labels[i / classes] == i % classes);
  });
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(loss / rows.outer);
}

template <typename Dtype>
void HingeLossLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("labels", this->layer_param_, propagate_down);
  if (!propagate_down[0]) return;
  const int classes = bottom[0]->count(1);
  const int* labels = labels_.cpu_data();
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  const Dtype scale = top[0]->cpu_diff()[0] / bottom[0]->shape(0);
  const Hinge<Dtype> hinge{squared_};
  ParallelChunks(bottom[0]->count(), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      dx[i] = hinge.Gradient(x[i], labels[i / classes] == i % classes, scale);
    }
  });
}

INSTANTIATE_CLASS(HingeLossLayer);
REGISTER_LAYER_CLASS(HingeLoss);

}  // namespace caffe
