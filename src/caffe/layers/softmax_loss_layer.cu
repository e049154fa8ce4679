#include <cmath>
#include <vector>

#include "caffe/gpu/buffer.hpp"
#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/labels.hpp"
#include "caffe/layers/softmax_loss_layer.hpp"
#include "caffe/ops/softmax.cuh"

namespace caffe {
namespace {

// Probabilities, class and loss of every position; the loss of one that does not count
// is 0.
template <typename T>
struct LossOfRows {
  int channels;
  LabelReader reader;
  double smoothing;
  const T *x, *labels;
  T* prob;
  int* classes;
  double* losses;

  template <typename Team>
  __device__ void operator()(const Team& team, int position, int first, int step) const {
    const softmax::Row<T> row = softmax::ReadRow(team, channels, x + first, step);
    double sum_x = 0;
    for (int c = team.rank(); c < channels; c += team.size()) {
      const T value = x[first + c * step];
      prob[first + c * step] = row.Output(value);
      sum_x += value - row.largest;
    }
    if (smoothing > 0) sum_x = team.Sum(sum_x);
    if (team.rank() > 0) return;
    const int label = reader.ClassOf(labels[position]);
    classes[position] = label;
    losses[position] = 0;
    if (label < 0) return;
    const double own = static_cast<double>(x[first + label * step]) - row.largest;
    double expected_x = own;
    // Not 0 * sum_x: a score may be -inf.
    if (smoothing > 0) expected_x = (1 - smoothing) * own + smoothing / channels * sum_x;
    losses[position] = std::log(row.sum) - expected_x;
  }
};

struct LossSums {
  double loss;
  int valid, outside;  ///< positions that count, and labels that are no class
};

LossSums SumLosses(int positions, const double* losses, const int* classes) {
  const auto [loss, valid, outside] =
      SumOverAll<3>(positions, [=] __device__(int i, int, double* sums) {
        sums[0] += losses[i];
        sums[1] += classes[i] >= 0 ? 1 : 0;
        sums[2] += classes[i] == LabelReader::kOutside ? 1 : 0;
      });
  return {loss, static_cast<int>(valid), static_cast<int>(outside)};
}

// dx = scale (prob - target), 0 at positions that do not count.
template <typename T>
void SubtractTargets(const softmax::Shape& shape, T scale, double smoothing,
                     const T* prob, const int* classes, T* dx) {
  const Divisor inner(shape.inner), channels(shape.channels);
  const T background = static_cast<T>(smoothing / shape.channels);
  const T foreground = static_cast<T>(1 - smoothing);
  Map(shape.outer * shape.channels * shape.inner, dx, [=] __device__(int i) {
    int within, channel;
    const int outer = channels.Quotient(inner.Quotient(i, &within), &channel);
    const int label = classes[outer * inner.divisor() + within];
    const T factor = label < 0 ? T(0) : scale;
    const T diff = factor * (prob[i] - background);
    return channel == label ? diff - factor * foreground : diff;
  });
}

}  // namespace

template <typename Dtype>
void SoftmaxWithLossLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                              const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]);
  const DeviceLayout layout = softmax::LayoutFor(softmax_axis_, from.layout());
  const softmax::Shape shape = softmax::ShapeOf(from.shape(), softmax_axis_, layout);
  const LabelReader reader{shape.channels, has_ignore_label_, ignore_label_};
  const int positions = labels_.count();
  const DeviceBuffer<double> losses(positions);
  int* classes = labels_.mutable_gpu_data();
  softmax::ForEachRow(
      shape,
      LossOfRows<Dtype>{shape.channels, reader, label_smoothing_, from.Read(layout),
                        DeviceDataOf(bottom[1]).Read(),
                        DeviceDataOf(&prob_).Write(layout), classes, losses.get()});
  const LossSums sums = SumLosses(positions, losses.get(), classes);
  if (sums.outside > 0) {
    // Throws, naming the first of them.
    ReadLabels(this->layer_param_, *bottom[1], {outer_num_, shape.channels, inner_num_},
               reader, labels_.mutable_cpu_data());
  }
  valid_count_ = sums.valid;
  top[0]->mutable_cpu_data()[0] =
      static_cast<Dtype>(sums.loss / this->LossNormalizer(normalization_, outer_num_,
                                                          inner_num_, valid_count_));
  if (top.size() > 1) top[1]->ShareData(prob_);
}

template <typename Dtype>
void SoftmaxWithLossLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                               const vector<bool>& propagate_down,
                                               const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("labels", this->layer_param_, propagate_down);
  if (!propagate_down[0]) return;
  const DeviceTensor<Dtype> prob = DeviceDataOf(&prob_);
  const DeviceLayout layout = softmax::LayoutFor(softmax_axis_, prob.layout());
  const Dtype scale =
      top[0]->cpu_diff()[0] /
      this->LossNormalizer(normalization_, outer_num_, inner_num_, valid_count_);
  SubtractTargets(softmax::ShapeOf(prob.shape(), softmax_axis_, layout), scale,
                  label_smoothing_, prob.Read(layout), labels_.gpu_data(),
                  DeviceDiffOf(bottom[0]).Write(layout));
}

INSTANTIATE_LAYER_GPU_FUNCS(SoftmaxWithLossLayer);

}  // namespace caffe
