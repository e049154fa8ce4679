#include <cmath>
#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/infogain_loss_layer.hpp"
#include "caffe/layers/labels.hpp"

namespace caffe {
namespace {

// Where element i of (outer, classes, inner) is.
struct Place {
  Divisor classes, inner;

  __device__ int Position(int i, int* c) const {
    int s;
    const int outer = classes.Quotient(inner.Quotient(i, &s), c);
    return outer * inner.divisor() + s;
  }
};

template <typename T>
double SumOfPrices(int count, const Place place, T least, const T* prob, const T* h,
                   const int* labels) {
  return SumOverAll<1>(count, [=] __device__(int i, int, double* sums) {
    int c;
    const int label = labels[place.Position(i, &c)];
    if (label < 0) return;
    const T p = prob[i] < least ? least : prob[i];
    sums[0] -= static_cast<double>(h[label * place.classes.divisor() + c]) * std::log(p);
  })[0];
}

template <typename T>
void ApplyGradient(int count, const Place place, T scale, const T* prob, const T* h,
                   const T* row_sums, const int* labels, T* dx) {
  Map(count, dx, [=] __device__(int i) {
    int c;
    const int label = labels[place.Position(i, &c)];
    if (label < 0) return T(0);
    return scale * (prob[i] * row_sums[label] - h[label * place.classes.divisor() + c]);
  });
}

}  // namespace

template <typename Dtype>
void InfogainLossLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  softmax_layer_->Forward(softmax_bottom_vec_, softmax_top_vec_);
  // On the host a wrong label can be named.
  valid_count_ = ReadLabels(
      this->layer_param_, *bottom[1], {outer_num_, num_labels_, inner_num_},
      {num_labels_, has_ignore_label_, ignore_label_}, labels_.mutable_cpu_data());
  const double loss = SumOfPrices(
      prob_.count(), {Divisor(num_labels_), Divisor(inner_num_)}, Dtype(kLOG_THRESHOLD),
      DeviceDataOf(&prob_).Read(), matrix(bottom).gpu_data(), labels_.gpu_data());
  top[0]->mutable_cpu_data()[0] =
      static_cast<Dtype>(loss / get_normalizer(normalization_, valid_count_));
  if (top.size() > 1) top[1]->ShareData(prob_);
}

template <typename Dtype>
void InfogainLossLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                            const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("labels", this->layer_param_, propagate_down);
  CheckNoGradientOf("prices", this->layer_param_, propagate_down, 2);
  if (!propagate_down[0]) return;
  if (bottom.size() > 2) sum_rows_of_H(bottom[2]);
  ApplyGradient(prob_.count(), {Divisor(num_labels_), Divisor(inner_num_)},
                top[0]->cpu_diff()[0] / get_normalizer(normalization_, valid_count_),
                DeviceDataOf(&prob_).Read(), matrix(bottom).gpu_data(),
                sum_rows_H_.gpu_data(), labels_.gpu_data(),
                DeviceDiffOf(bottom[0]).Write());
}

INSTANTIATE_LAYER_GPU_FUNCS(InfogainLossLayer);

}  // namespace caffe
