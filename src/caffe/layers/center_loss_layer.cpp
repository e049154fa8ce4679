#include "caffe/layers/center_loss_layer.hpp"

#include <cstdint>
#include <memory>

#include "caffe/filler.hpp"
#include "caffe/layers/labels.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void CenterLossLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::LayerSetUp(bottom, top);
  const CenterLossParameter& param = this->layer_param_.center_loss_param();
  if (param.num_output() == 0 || param.num_output() > INT_MAX) {
    throw ValueError(Str("center_loss_param.num_output is ",
                         param.has_num_output() ? Str(param.num_output()) : "missing",
                         ", expected the number of classes"));
  }
  classes_ = static_cast<int>(param.num_output());
  length_ = bottom[0]->count(bottom[0]->CanonicalAxisIndex(param.axis()));
  if (this->blobs_.empty()) {
    this->blobs_.push_back(std::make_shared<Blob<Dtype>>(vector<int>{classes_, length_}));
    shared_ptr<Filler<Dtype>>(GetFiller<Dtype>(param.center_filler()))
        ->Fill(this->blobs_[0].get());
  }
  if (this->blobs_[0]->shape() != vector<int>{classes_, length_}) {
    throw ValueError(Str("centres of shape ", ShapeText(this->blobs_[0]->shape()),
                         ", expected ", ShapeText({classes_, length_}),
                         ": classes and the length of a feature vector"));
  }
  this->param_propagate_down_.resize(1, true);
}

template <typename Dtype>
void CenterLossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::Reshape(bottom, top);
  const int axis =
      bottom[0]->CanonicalAxisIndex(this->layer_param_.center_loss_param().axis());
  if (bottom[0]->count(axis) != length_) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 0), ": shape ",
                         ShapeText(bottom[0]->shape()), ", expected ", length_,
                         " values from axis ", axis, " on, like the centres"));
  }
  samples_ = bottom[0]->count(0, axis);
  if (bottom[1]->count() != samples_) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 1), ": shape ",
                         ShapeText(bottom[1]->shape()), ", expected ", samples_,
                         " labels for bottom[0] of shape ",
                         ShapeText(bottom[0]->shape())));
  }
  class_of_.Reshape({samples_});
}

template <typename Dtype>
void CenterLossLayer<Dtype>::ReadClasses(const Blob<Dtype>& labels) {
  const LabelReader reader = {classes_, false, 0};
  int* classes = class_of_.mutable_cpu_data();
  for (int i = 0; i < samples_; ++i) {
    const Dtype label = labels.cpu_data()[i];
    classes[i] = reader.ClassOf(label);
    if (classes[i] >= 0) continue;
    throw ValueError(Str(NameOfBottom(this->layer_param_, 1), ": sample ", i,
                         " has label ", label, ", expected 0 to ", classes_ - 1,
                         "; check the labels and num_output"));
  }
}

template <typename Dtype>
void CenterLossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                         const vector<Blob<Dtype>*>& top) {
  ReadClasses(*bottom[1]);
  const int* classes = class_of_.cpu_data();
  const Dtype *x = bottom[0]->cpu_data(), *centres = this->blobs_[0]->cpu_data();
  const std::int64_t length = length_;
  const double sum = ParallelSum(bottom[0]->count(), [=](std::int64_t i) {
    const double d =
        static_cast<double>(x[i]) - centres[classes[i / length] * length + i % length];
    return d * d;
  });
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(sum / bottom[0]->shape(0) / 2);
}

template <typename Dtype>
void CenterLossLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                          const vector<bool>& propagate_down,
                                          const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("labels", this->layer_param_, propagate_down);
  const int* classes = class_of_.cpu_data();
  const Dtype *x = bottom[0]->cpu_data(), *centres = this->blobs_[0]->cpu_data();
  const std::int64_t length = length_;
  if (this->param_propagate_down_[0]) {
    vector<int> members(classes_, 0);
    for (int n = 0; n < samples_; ++n) ++members[classes[n]];
    Dtype* dc = this->blobs_[0]->mutable_cpu_diff();
    for (int n = 0; n < samples_; ++n) {
      const Dtype share = Dtype(1) / (1 + members[classes[n]]);
      const Dtype* centre = centres + classes[n] * length;
      for (std::int64_t k = 0; k < length; ++k) {
        dc[classes[n] * length + k] += share * (centre[k] - x[n * length + k]);
      }
    }
  }
  if (!propagate_down[0]) return;
  const Dtype scale = top[0]->cpu_diff()[0] / bottom[0]->shape(0);
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  ParallelTasks(samples_, bottom[0]->count(), [=](std::int64_t n) {
    const Dtype* centre = centres + classes[n] * length;
    for (std::int64_t k = 0; k < length; ++k) {
      dx[n * length + k] = scale * (x[n * length + k] - centre[k]);
    }
  });
}

INSTANTIATE_CLASS(CenterLossLayer);
REGISTER_LAYER_CLASS(CenterLoss);

}  // namespace caffe
