#ifndef CAFFE_SOLVERS_FUSED_UPDATE_HPP_
#define CAFFE_SOLVERS_FUSED_UPDATE_HPP_

#include <typeinfo>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/solvers/device_update.hpp"
#include "caffe/solvers/update_rules.hpp"

namespace caffe {

/// Below this many elements a parallel region costs more than it saves.
constexpr int kParallelUpdateGrain = 1 << 14;

/// diff = rule(diff): the last of Caffe's four passes before the subtraction.
template <typename Dtype, typename Rule>
void ApplyRule(Blob<Dtype>* param, const Rule& rule) {
  const int count = param->count();
  Dtype* diff = param->mutable_cpu_diff();
#pragma omp parallel for simd schedule(static) if (count > kParallelUpdateGrain)
  for (int i = 0; i < count; ++i) diff[i] = rule(i, diff[i]);
}

/// A learnable parameter whose update is one pass.
template <typename Dtype>
struct FusedParam {
  int id;
  Blob<Dtype>* blob;
  Dtype rate;
  GradientTerms<Dtype> terms;
};

/// Where an update runs, and thus where the arrays of its rule lie.
enum class UpdateOn { kHost, kDevice };

template <typename Dtype>
Dtype* UpdatedArray(const shared_ptr<Blob<Dtype>>& blob, UpdateOn on) {
  return on == UpdateOn::kDevice ? blob->mutable_gpu_data() : blob->mutable_cpu_data();
}

namespace fused_update_internal {

template <typename Dtype, typename Gradient, typename Rule>
void Pass(Blob<Dtype>* param, const Gradient& gradient, const Rule& rule) {
  const int count = param->count();
  Dtype* data = param->mutable_cpu_data();
  Dtype* diff = param->mutable_cpu_diff();
#pragma omp parallel for simd schedule(static) if (count > kParallelUpdateGrain)
  for (int i = 0; i < count; ++i) {
    const Dtype step = rule(i, gradient(diff[i], data[i]));
    // Stored for those who look at the diff after an update, as in Caffe.
    diff[i] = step;
    data[i] -= step;
  }
}

// A pass for each form of the terms, so that none is asked for at every element.
template <typename Dtype, typename Rule>
void OnHost(Blob<Dtype>* param, const GradientTerms<Dtype>& terms, const Rule& rule) {
  const Dtype scale = terms.scale;
  const Dtype decay = terms.decay;
  if (decay == Dtype(0)) {
    Pass(param, [=](Dtype diff, Dtype) { return scale * diff; }, rule);
  } else if (terms.l1) {
    Pass(
        param,
        [=](Dtype diff, Dtype w) {
          return scale * diff + decay * static_cast<Dtype>((w > 0) - (w < 0));
        },
        rule);
  } else {
    Pass(param, [=](Dtype diff, Dtype w) { return scale * diff + decay * w; }, rule);
  }
}

}  // namespace fused_update_internal

/// Normalises, clips, regularises, applies the rule and updates: one pass a parameter on
/// the host, one launch for all of them on a GPU. `make_rule(param, on)` gives a
/// parameter's rule.
template <typename Dtype, typename MakeRule>
void ApplyFused(const std::vector<FusedParam<Dtype>>& params, const MakeRule& make_rule) {
  if (Caffe::mode() == Caffe::CPU) {
    for (const FusedParam<Dtype>& param : params) {
      fused_update_internal::OnHost(param.blob, param.terms,
                                    make_rule(param, UpdateOn::kHost));
    }
    return;
  }
  using Rule = decltype(make_rule(params[0], UpdateOn::kDevice));
  std::vector<DeviceUpdate<Dtype, Rule>> updates;
  for (const FusedParam<Dtype>& param : params) {
    updates.push_back({param.blob->mutable_gpu_data(), param.blob->mutable_gpu_diff(),
                       param.blob->count(), param.terms,
                       make_rule(param, UpdateOn::kDevice)});
  }
  ApplyOnDevice(updates);
}

/// True if `solver` is a SolverType itself, not of a class derived from it, which may
/// have replaced one of the steps that a fused pass would skip.
template <typename SolverType>
bool IsExactly(const SolverType& solver) {
  return typeid(solver) == typeid(SolverType);
}

}  // namespace caffe

#endif  // CAFFE_SOLVERS_FUSED_UPDATE_HPP_
