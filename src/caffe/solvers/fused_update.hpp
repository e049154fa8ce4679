#ifndef CAFFE_SOLVERS_FUSED_UPDATE_HPP_
#define CAFFE_SOLVERS_FUSED_UPDATE_HPP_

#include <typeinfo>

#include "caffe/blob.hpp"

namespace caffe {

// An update rule is a function object `Dtype rule(int i, Dtype g)`: given gradient g
// of element i it advances the history of that element and returns what to subtract
// from the weight. Each solver writes its rule once; the passes below apply it.

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

/// How the gradient follows from a stored diff and the weight.
template <typename Dtype>
struct GradientTerms {
  Dtype scale;  ///< 1 / iter_size times the factor of clipping
  Dtype decay;
  bool l1;  ///< decay * sign(w) instead of decay * w
};

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

}  // namespace fused_update_internal

/// Normalises, clips, regularises, applies the rule and updates, in one pass.
template <typename Dtype, typename Rule>
void ApplyFused(Blob<Dtype>* param, const GradientTerms<Dtype>& terms, const Rule& rule) {
  const Dtype scale = terms.scale;
  const Dtype decay = terms.decay;
  using fused_update_internal::Pass;
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

/// True if `solver` is a SolverType itself, not of a class derived from it, which may
/// have replaced one of the steps that a fused pass would skip.
template <typename SolverType>
bool IsExactly(const SolverType& solver) {
  return typeid(solver) == typeid(SolverType);
}

}  // namespace caffe

#endif  // CAFFE_SOLVERS_FUSED_UPDATE_HPP_
