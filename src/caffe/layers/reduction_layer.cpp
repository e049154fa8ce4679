#include "caffe/layers/reduction_layer.hpp"

#include <cmath>
#include <cstdint>

#include "caffe/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void ReductionLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                       const vector<Blob<Dtype>*>& /*top*/) {
  op_ = this->layer_param_.reduction_param().operation();
}

template <typename Dtype>
void ReductionLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const ReductionParameter& param = this->layer_param_.reduction_param();
  axis_ = bottom[0]->CanonicalAxisIndex(param.axis());
  const vector<int>& shape = bottom[0]->shape();
  top[0]->Reshape(vector<int>(shape.begin(), shape.begin() + axis_));
  num_ = bottom[0]->count(0, axis_);
  dim_ = bottom[0]->count(axis_);
  coeff_ = param.coeff();
  if (op_ == ReductionParameter_ReductionOp_MEAN) coeff_ /= dim_;
}

template <typename Dtype>
LayerTraits ReductionLayer<Dtype>::Traits() const {
  const bool reads = op_ == ReductionParameter_ReductionOp_ASUM ||
                     op_ == ReductionParameter_ReductionOp_SUMSQ;
  return {.of = &typeid(ReductionLayer),
          .bottom_use = {reads ? DataUse::kRead : DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void ReductionLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  const Dtype* bottom_data = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  // Every row is summed with one formula; ParallelSum shares a long row among threads
  // and leaves the rows to the outer loop when there are several.
  const auto reduce = [=, this](auto term) {
    const auto row = [=, this](std::int64_t n) {
      const Dtype* x = bottom_data + n * dim_;
      return [=](std::int64_t i) { return static_cast<double>(term(x[i])); };
    };
    if (num_ == 1) {
      y[0] = static_cast<Dtype>(coeff_ * ParallelSum(dim_, row(0)));
      return;
    }
    ParallelTasks(num_, bottom[0]->count(), [&](std::int64_t n) {
      y[n] = static_cast<Dtype>(coeff_ * SumOf(0, dim_, row(n)));
    });
  };
  switch (op_) {
    case ReductionParameter_ReductionOp_SUM:
    case ReductionParameter_ReductionOp_MEAN:
      return reduce([](double x) { return x; });
    case ReductionParameter_ReductionOp_ASUM:
      return reduce([](double x) { return std::fabs(x); });
    case ReductionParameter_ReductionOp_SUMSQ:
      return reduce([](double x) { return x * x; });
  }
}

template <typename Dtype>
void ReductionLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const bool needs_input = op_ == ReductionParameter_ReductionOp_ASUM ||
                           op_ == ReductionParameter_ReductionOp_SUMSQ;
  const Dtype* x = needs_input ? bottom[0]->cpu_data() : nullptr;
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  ParallelTasks(num_, bottom[0]->count(), [=, this](std::int64_t n) {
    const Dtype d = coeff_ * dy[n];
    for (std::int64_t i = n * dim_; i < (n + 1) * dim_; ++i) {
      switch (op_) {
        case ReductionParameter_ReductionOp_SUM:
        case ReductionParameter_ReductionOp_MEAN:
          dx[i] = d;
          break;
        case ReductionParameter_ReductionOp_ASUM:
          dx[i] = caffe_sign(x[i]) * d;
          break;
        case ReductionParameter_ReductionOp_SUMSQ:
          dx[i] = 2 * x[i] * d;
          break;
      }
    }
  });
}

INSTANTIATE_CLASS(ReductionLayer);
REGISTER_LAYER_CLASS(Reduction);

}  // namespace caffe
