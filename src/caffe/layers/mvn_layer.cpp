#include "caffe/layers/mvn_layer.hpp"

#include <cmath>
#include <cstdint>

#include "caffe/layers/mvn_formulas.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void MVNLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                              const vector<Blob<Dtype>*>& top) {
  const MVNParameter& param = this->layer_param_.mvn_param();
  const int before = param.across_channels() ? 1 : 2;
  if (bottom[0]->num_axes() < before) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         ", expected (N, C, ...)",
                         before == 1 ? ", at least its first axis" : ""));
  }
  if (bottom[0] != top[0]) top[0]->ReshapeLike(*bottom[0]);
  mean_.Reshape({bottom[0]->count(0, before)});
  variance_.Reshape({bottom[0]->count(0, before)});
}

template <typename Dtype>
LayerTraits MVNLayer<Dtype>::Traits() const {
  return {.of = &typeid(MVNLayer),
          .in_place = {InPlace::kChanges},
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kRead}};
}

template <typename Dtype>
void MVNLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const MVNFormulas<Dtype> f(this->layer_param_.mvn_param());
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  Dtype* means = mean_.mutable_cpu_data();
  Dtype* variances = variance_.mutable_cpu_data();
  const int groups = mean_.count();
  const std::int64_t length = groups == 0 ? 0 : bottom[0]->count() / groups;
  if (length == 0) return;
  ParallelTasks(groups, bottom[0]->count(), [=](std::int64_t g) {
    const std::int64_t begin = g * length, end = begin + length;
    const double mean =
        SumOf(begin, end, [=](std::int64_t i) { return static_cast<double>(x[i]); }) /
        length;
    double variance = 0;
    if (f.divides) {
      variance = SumOf(begin, end,
                       [=](std::int64_t i) {
                         const double distance = x[i] - mean;
                         return distance * distance;
                       }) /
                 length;
    }
    means[g] = static_cast<Dtype>(mean);
    variances[g] = static_cast<Dtype>(variance);
    const Dtype factor = f.Factor(variances[g]), shift = means[g];
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = (x[i] - shift) * factor;
  });
}

template <typename Dtype>
void MVNLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                   const vector<bool>& propagate_down,
                                   const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const MVNFormulas<Dtype> f(this->layer_param_.mvn_param());
  const Dtype* y = top[0]->cpu_data();
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  const Dtype* variances = variance_.cpu_data();
  const int groups = mean_.count();
  const std::int64_t length = groups == 0 ? 0 : bottom[0]->count() / groups;
  if (length == 0) return;
  ParallelTasks(groups, bottom[0]->count(), [=](std::int64_t g) {
    const std::int64_t begin = g * length, end = begin + length;
    const double mean =
        SumOf(begin, end, [=](std::int64_t i) { return static_cast<double>(dy[i]); }) /
        length;
    double slope = 0;
    if (f.divides) {
      slope = SumOf(begin, end,
                    [=](std::int64_t i) { return static_cast<double>(dy[i]) * y[i]; }) /
              length;
    }
    const Dtype factor = f.Factor(variances[g]), shift = static_cast<Dtype>(mean),
                along = static_cast<Dtype>(slope * f.Stretch(variances[g]));
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      dx[i] = (dy[i] - shift - y[i] * along) * factor;
    }
  });
}

INSTANTIATE_CLASS(MVNLayer);
REGISTER_LAYER_CLASS(MVN);

}  // namespace caffe
