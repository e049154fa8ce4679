#include "caffe/solvers/loss_scale.hpp"

#include <algorithm>
#include <cmath>

namespace caffe {
namespace {

constexpr double kFirst = 65536, kLeast = 1, kMost = 1 << 24;
constexpr int kUpdatesToDouble = 2000;

}  // namespace

LossScale::LossScale() { state_.set_scale(kFirst); }

bool LossScale::IsSane(const LossScaleState& state) {
  return state.scale() >= kLeast && state.scale() <= kMost && state.good_updates() >= 0 &&
         state.good_updates() < kUpdatesToDouble && state.skipped_updates() >= 0;
}

bool LossScale::Take(double sum_of_squares) {
  const double scale = state_.scale();
  if (!std::isfinite(sum_of_squares)) {
    state_.set_scale(std::max(scale / 2, kLeast));
    state_.set_good_updates(0);
    state_.set_skipped_updates(state_.skipped_updates() + 1);
    return false;
  }
  state_.set_good_updates(state_.good_updates() + 1);
  if (state_.good_updates() == kUpdatesToDouble) {
    state_.set_scale(std::min(scale * 2, kMost));
    state_.set_good_updates(0);
  }
  return true;
}

}  // namespace caffe
