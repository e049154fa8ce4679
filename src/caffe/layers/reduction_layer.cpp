#include "caffe/layers/reduction_layer.hpp"

#include <cstdint>

#include "caffe/layers/reduction_functors.hpp"
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
  WithReduction(op_, [=, this](auto reduction) {
    const auto row = [=, this](std::int64_t n) {
      const Dtype* x = bottom_data + n * dim_;
      return [=](std::int64_t i) { return reduction.Value(x[i]); };
    };
    if (num_ == 1) {
      y[0] = static_cast<Dtype>(coeff_ * ParallelSum(dim_, row(0)));
      return;
    }
    ParallelTasks(num_, static_cast<std::int64_t>(num_) * dim_, [&](std::int64_t n) {
      y[n] = static_cast<Dtype>(coeff_ * SumOf(0, dim_, row(n)));
    });
  });
}

template <typename Dtype>
void ReductionLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype* dy = top[0]->cpu_diff();
  WithReduction(op_, [=, this](auto reduction) {
    // The values stay where they are if nothing is read of them.
    const Dtype* x = reduction.kNeedsInput ? bottom[0]->cpu_data() : nullptr;
    Dtype* dx = bottom[0]->mutable_cpu_diff();
    ParallelTasks(num_, bottom[0]->count(), [=, this](std::int64_t n) {
      const Dtype d = coeff_ * dy[n];
      for (std::int64_t i = n * dim_; i < (n + 1) * dim_; ++i) {
        dx[i] = reduction.Gradient(reduction.kNeedsInput ? x[i] : Dtype(0), d);
      }
    });
  });
}

INSTANTIATE_CLASS(ReductionLayer);
REGISTER_LAYER_CLASS(Reduction);

}  // namespace caffe
