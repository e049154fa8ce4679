#ifndef CAFFE_SOLVERS_UPDATE_RULES_HPP_
#define CAFFE_SOLVERS_UPDATE_RULES_HPP_

// The update rules of the solvers (sgd_solvers.hpp has their formulas), for CPU and GPU
// alike. A rule is a function object `Dtype rule(int i, Dtype g)`: given gradient g of
// element i it advances the history of that element and returns what to subtract from the
// weight. It is copied by value; its arrays lie where it is applied.

#include <cmath>

#include "caffe/common.hpp"

namespace caffe {

template <typename Dtype>
struct MomentumRule {
  Dtype* velocity;
  Dtype momentum;
  Dtype rate;
  CAFFE_HOST_DEVICE Dtype operator()(int i, Dtype g) const {
    return velocity[i] = momentum * velocity[i] + rate * g;
  }
};

template <typename Dtype>
struct NesterovRule {
  Dtype* velocity;
  Dtype momentum;
  Dtype rate;
  CAFFE_HOST_DEVICE Dtype operator()(int i, Dtype g) const {
    const Dtype before = velocity[i];
    const Dtype after = momentum * before + rate * g;
    velocity[i] = after;
    return (1 + momentum) * after - momentum * before;
  }
};

template <typename Dtype>
struct AdaGradRule {
  Dtype* sum_of_squares;
  Dtype delta;
  Dtype rate;
  CAFFE_HOST_DEVICE Dtype operator()(int i, Dtype g) const {
    const Dtype sum = sum_of_squares[i] + g * g;
    sum_of_squares[i] = sum;
    return rate * g / (std::sqrt(sum) + delta);
  }
};

template <typename Dtype>
struct RMSPropRule {
  Dtype* mean_square;
  Dtype decay;
  Dtype delta;
  Dtype rate;
  CAFFE_HOST_DEVICE Dtype operator()(int i, Dtype g) const {
    const Dtype mean = decay * mean_square[i] + (1 - decay) * g * g;
    mean_square[i] = mean;
    return rate * g / (std::sqrt(mean) + delta);
  }
};

template <typename Dtype>
struct AdaDeltaRule {
  Dtype* gradient_square;
  Dtype* update_square;
  Dtype decay;
  Dtype delta;
  Dtype rate;
  CAFFE_HOST_DEVICE Dtype operator()(int i, Dtype g) const {
    const Dtype mean = decay * gradient_square[i] + (1 - decay) * g * g;
    const Dtype update = g * std::sqrt((update_square[i] + delta) / (mean + delta));
    gradient_square[i] = mean;
    update_square[i] = decay * update_square[i] + (1 - decay) * update * update;
    return rate * update;
  }
};

template <typename Dtype>
struct AdamRule {
  Dtype* mean;
  Dtype* mean_square;
  Dtype beta1;
  Dtype beta2;
  Dtype delta;
  Dtype rate;  ///< with the correction for the moments' start at 0
  CAFFE_HOST_DEVICE Dtype operator()(int i, Dtype g) const {
    const Dtype m = beta1 * mean[i] + (1 - beta1) * g;
    const Dtype v = beta2 * mean_square[i] + (1 - beta2) * g * g;
    mean[i] = m;
    mean_square[i] = v;
    return rate * m / (std::sqrt(v) + delta);
  }
};

/// How the gradient follows from a stored diff and the weight.
template <typename Dtype>
struct GradientTerms {
  Dtype scale;  ///< 1 / iter_size times the factor of clipping
  Dtype decay;
  bool l1;  ///< decay * sign(w) instead of decay * w

  CAFFE_HOST_DEVICE Dtype operator()(Dtype diff, Dtype w) const {
    if (decay == Dtype(0)) return scale * diff;
    return scale * diff + decay * (l1 ? Dtype((w > 0) - (w < 0)) : w);
  }
};

}  // namespace caffe

#endif  // CAFFE_SOLVERS_UPDATE_RULES_HPP_
