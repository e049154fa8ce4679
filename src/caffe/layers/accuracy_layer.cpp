#include "caffe/layers/accuracy_layer.hpp"

#include "caffe/layers/labels.hpp"

namespace caffe {

template <typename Dtype>
void AccuracyLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                      const vector<Blob<Dtype>*>& /*top*/) {
  const AccuracyParameter& param = this->layer_param_.accuracy_param();
  top_k_ = param.top_k();
  has_ignore_label_ = param.has_ignore_label();
  ignore_label_ = param.ignore_label();
}

template <typename Dtype>
void AccuracyLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  label_axis_ = bottom[0]->CanonicalAxisIndex(this->layer_param_.accuracy_param().axis());
  const LabelledScores scores = CheckedScores(this->layer_param_, bottom, label_axis_);
  outer_num_ = scores.outer;
  inner_num_ = scores.inner;
  if (top_k_ < 1 || top_k_ > scores.classes) {
    throw ValueError(Str("top_k is ", this->layer_param_.accuracy_param().top_k(),
                         ", expected 1 to ", scores.classes,
                         ", the number of classes in bottom[0]"));
  }
  top[0]->Reshape(vector<int>());
  if (top.size() > 1) top[1]->Reshape({scores.classes});
}

template <typename Dtype>
void AccuracyLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->cpu_data();
  const LabelledScores scores{outer_num_, bottom[0]->shape(label_axis_), inner_num_};
  vector<int> labels(bottom[1]->count());
  const int valid =
      ReadLabels(this->layer_param_, *bottom[1], scores,
                 {scores.classes, has_ignore_label_, ignore_label_}, labels.data());
  vector<int> samples_of(scores.classes, 0), hits_of(scores.classes, 0);
  int hits = 0;
  for (int n = 0; n < outer_num_; ++n) {
    for (int s = 0; s < inner_num_; ++s) {
      const int label = labels[n * inner_num_ + s];
      if (label < 0) continue;
      const Dtype* row = x + static_cast<size_t>(n) * scores.classes * inner_num_ + s;
      const Dtype own = row[static_cast<size_t>(label) * inner_num_];
      // Classes that score no less; the label's own is one of them. Written so that
      // NaN counts as better: a net that diverged is not right about anything.
      int no_worse = 0;
      for (int c = 0; c < scores.classes && no_worse <= top_k_; ++c) {
        no_worse += !(row[static_cast<size_t>(c) * inner_num_] < own);
      }
      ++samples_of[label];
      if (no_worse > top_k_) continue;
      ++hits;
      ++hits_of[label];
    }
  }
  top[0]->mutable_cpu_data()[0] = valid == 0 ? Dtype(0) : Dtype(hits) / valid;
  if (top.size() == 1) return;
  Dtype* per_class = top[1]->mutable_cpu_data();
  for (int c = 0; c < scores.classes; ++c) {
    per_class[c] = samples_of[c] == 0 ? Dtype(0) : Dtype(hits_of[c]) / samples_of[c];
  }
}

template <typename Dtype>
void AccuracyLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& /*top*/,
                                        const vector<bool>& propagate_down,
                                        const vector<Blob<Dtype>*>& /*bottom*/) {
  if (!propagate_down[0] && !propagate_down[1]) return;
  throw NotImplementedFailure("it has no gradient; set propagate_down: false twice");
}

INSTANTIATE_CLASS(AccuracyLayer);
REGISTER_LAYER_CLASS(Accuracy);

}  // namespace caffe
