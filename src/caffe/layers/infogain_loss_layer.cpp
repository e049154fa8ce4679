#include "caffe/layers/infogain_loss_layer.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "caffe/layers/labels.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void InfogainLossLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::LayerSetUp(bottom, top);
  const InfogainLossParameter& param = this->layer_param_.infogain_loss_param();
  LayerParameter softmax(this->layer_param_);
  softmax.set_type("Softmax");
  softmax.mutable_softmax_param()->set_axis(param.axis());
  softmax.clear_loss_weight();
  softmax_layer_ = LayerRegistry<Dtype>::CreateLayer(softmax);
  softmax_bottom_vec_ = {bottom[0]};
  softmax_top_vec_ = {&prob_};
  softmax_layer_->SetUp(softmax_bottom_vec_, softmax_top_vec_);

  const LossParameter& loss = this->layer_param_.loss_param();
  has_ignore_label_ = loss.has_ignore_label();
  ignore_label_ = loss.ignore_label();
  if (loss.has_normalize()) {
    throw ValueError(
        "loss_param.normalize is not for this layer; write normalization: VALID for "
        "true, BATCH_SIZE for false");
  }
  normalization_ = loss.normalization();
  if (bottom.size() > 2) return;
  if (param.source().empty()) {
    throw ValueError(
        "infogain_loss_param.source is missing, expected the path of the matrix H, or H "
        "as a third bottom");
  }
  BlobProto proto;
  ReadProtoFromBinaryFileOrDie(param.source(), &proto);
  try {
    infogain_.FromProto(proto);
  } catch (Error& error) {
    error.Prefix(Str("'", param.source(), "'"));
    throw;
  }
}

template <typename Dtype>
void InfogainLossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::Reshape(bottom, top);
  infogain_axis_ =
      bottom[0]->CanonicalAxisIndex(this->layer_param_.infogain_loss_param().axis());
  const LabelledScores scores = CheckedScores(this->layer_param_, bottom, infogain_axis_);
  outer_num_ = scores.outer;
  inner_num_ = scores.inner;
  num_labels_ = scores.classes;
  softmax_bottom_vec_ = {bottom[0]};
  softmax_layer_->Reshape(softmax_bottom_vec_, softmax_top_vec_);
  labels_.Reshape({outer_num_, inner_num_});
  const Blob<Dtype>& H = matrix(bottom);
  if (H.count() != std::int64_t{num_labels_} * num_labels_) {
    throw ValueError(Str(bottom.size() < 3
                             ? Str("the matrix of '",
                                   this->layer_param_.infogain_loss_param().source(), "'")
                             : NameOfBottom(this->layer_param_, 2),
                         " has shape ", ShapeText(H.shape()), ", expected ",
                         ShapeText({num_labels_, num_labels_}), " for the ", num_labels_,
                         " classes of bottom[0]"));
  }
  sum_rows_H_.Reshape({num_labels_});
  // That of a bottom changes from batch to batch.
  if (bottom.size() < 3) sum_rows_of_H(&infogain_);
  if (top.size() > 1) top[1]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
Dtype InfogainLossLayer<Dtype>::get_normalizer(
    LossParameter_NormalizationMode normalization_mode, int valid_count) {
  return this->LossNormalizer(normalization_mode, outer_num_, inner_num_, valid_count);
}

template <typename Dtype>
void InfogainLossLayer<Dtype>::sum_rows_of_H(const Blob<Dtype>* H) {
  const Dtype* h = H->cpu_data();
  Dtype* sums = sum_rows_H_.mutable_cpu_data();
  for (std::int64_t row = 0; row < num_labels_; ++row) {
    sums[row] = static_cast<Dtype>(
        SumOf(row * num_labels_, (row + 1) * num_labels_,
              [=](std::int64_t i) { return static_cast<double>(h[i]); }));
  }
}

template <typename Dtype>
void InfogainLossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  softmax_layer_->Forward(softmax_bottom_vec_, softmax_top_vec_);
  const LabelledScores scores{outer_num_, num_labels_, inner_num_};
  valid_count_ = ReadLabels(this->layer_param_, *bottom[1], scores,
                            {num_labels_, has_ignore_label_, ignore_label_},
                            labels_.mutable_cpu_data());
  const int* labels = labels_.cpu_data();
  const Dtype* prob = prob_.cpu_data();
  const Dtype* h = matrix(bottom).cpu_data();
  const std::int64_t classes = num_labels_, inner = inner_num_;
  vector<double> losses(labels_.count(), 0);
  ParallelTasks(labels_.count(), prob_.count(), [&](std::int64_t position) {
    if (labels[position] < 0) return;
    const Dtype* p = prob + position / inner * classes * inner + position % inner;
    const Dtype* price = h + labels[position] * classes;
    double loss = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      loss -= price[c] * std::log(std::max(p[c * inner], Dtype(kLOG_THRESHOLD)));
    }
    losses[position] = loss;
  });
  double loss = 0;
  for (const double l : losses) loss += l;
  top[0]->mutable_cpu_data()[0] =
      static_cast<Dtype>(loss / get_normalizer(normalization_, valid_count_));
  if (top.size() > 1) top[1]->ShareData(prob_);
}

template <typename Dtype>
void InfogainLossLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                            const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("labels", this->layer_param_, propagate_down);
  CheckNoGradientOf("prices", this->layer_param_, propagate_down, 2);
  if (!propagate_down[0]) return;
  if (bottom.size() > 2) sum_rows_of_H(bottom[2]);
  const int* labels = labels_.cpu_data();
  const Dtype* prob = prob_.cpu_data();
  const Dtype* h = matrix(bottom).cpu_data();
  const Dtype* sums = sum_rows_H_.cpu_data();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  const Dtype scale =
      top[0]->cpu_diff()[0] / get_normalizer(normalization_, valid_count_);
  const std::int64_t classes = num_labels_, inner = inner_num_;
  ParallelTasks(outer_num_ * classes, prob_.count(), [=](std::int64_t row) {
    const int* own = labels + row / classes * inner;
    const std::int64_t c = row % classes;
    for (std::int64_t s = 0; s < inner; ++s) {
      const std::int64_t i = row * inner + s;
      const int label = own[s];
      dx[i] =
          label < 0 ? Dtype(0) : scale * (prob[i] * sums[label] - h[label * classes + c]);
    }
  });
}

INSTANTIATE_CLASS(InfogainLossLayer);
REGISTER_LAYER_CLASS(InfogainLoss);

}  // namespace caffe
