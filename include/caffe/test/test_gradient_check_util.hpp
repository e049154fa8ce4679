#ifndef CAFFE_TEST_GRADIENT_CHECK_UTIL_H_
#define CAFFE_TEST_GRADIENT_CHECK_UTIL_H_

#include <glog/logging.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "caffe/layer.hpp"
#include "caffe/net.hpp"

namespace caffe {

/// Compares what a layer's Backward computes with central differences of its Forward:
///
///     (objective(x + stepsize) - objective(x - stepsize)) / (2 stepsize)
///
/// for every element x of the bottoms and the parameters. They may differ by `threshold`
/// times the larger of them, or times 1. Elements whose absolute value is within
/// kink_range of `kink` are left out. Before every Forward the random stream restarts at
/// `seed`.
template <typename Dtype>
class GradientChecker {
 public:
  GradientChecker(const Dtype stepsize, const Dtype threshold,
                  const unsigned int seed = 1701, const Dtype kink = 0.,
                  const Dtype kink_range = -1)
      : stepsize_(stepsize),
        threshold_(threshold),
        seed_(seed),
        kink_(kink),
        kink_range_(kink_range) {}

  /// Sets the layer up. The objective is half the sum of the squares of all tops.
  /// `check_bottom` is one bottom, -1 for all, -2 for the parameters alone.
  void CheckGradient(Layer<Dtype>* layer, const vector<Blob<Dtype>*>& bottom,
                     const vector<Blob<Dtype>*>& top, int check_bottom = -1) {
    layer->SetUp(bottom, top);
    CheckGradientSingle(layer, bottom, top, check_bottom, -1, -1);
  }

  /// Every element of every top is an objective of its own.
  void CheckGradientExhaustive(Layer<Dtype>* layer, const vector<Blob<Dtype>*>& bottom,
                               const vector<Blob<Dtype>*>& top, int check_bottom = -1) {
    CheckTops(layer, bottom, top, check_bottom, false);
  }

  /// The same for a layer without parameters in which element i of a top depends on
  /// element i of the bottoms alone; the other gradients have to be 0.
  void CheckGradientEltwise(Layer<Dtype>* layer, const vector<Blob<Dtype>*>& bottom,
                            const vector<Blob<Dtype>*>& top) {
    CheckTops(layer, bottom, top, -1, true);
  }

  /// One objective: element `top_data_id` of top `top_id`, or with -1 that of
  /// CheckGradient. The layer is set up.
  void CheckGradientSingle(Layer<Dtype>* layer, const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top, int check_bottom, int top_id,
                           int top_data_id, bool element_wise = false);

  /// CheckGradient of every layer of a net.
  void CheckGradientNet(const Net<Dtype>& net, const vector<Blob<Dtype>*>& /*input*/) {
    for (size_t i = 0; i < net.layers().size(); ++i) {
      CheckGradient(net.layers()[i].get(), net.bottom_vecs()[i], net.top_vecs()[i]);
    }
  }

 protected:
  /// The objective; sets the diffs of the tops to its gradient.
  Dtype GetObjAndGradient(const Layer<Dtype>& layer, const vector<Blob<Dtype>*>& top,
                          int top_id = -1, int top_data_id = -1);

  Dtype stepsize_;
  Dtype threshold_;
  unsigned int seed_;
  Dtype kink_;
  Dtype kink_range_;

 private:
  void CheckTops(Layer<Dtype>* layer, const vector<Blob<Dtype>*>& bottom,
                 const vector<Blob<Dtype>*>& top, int check_bottom, bool element_wise) {
    layer->SetUp(bottom, top);
    CHECK_GT(top.size(), 0u) << "a gradient check needs a top";
    for (int i = 0; i < static_cast<int>(top.size()); ++i) {
      for (int j = 0; j < top[i]->count(); ++j) {
        CheckGradientSingle(layer, bottom, top, check_bottom, i, j, element_wise);
      }
    }
  }

  Dtype ObjectiveAt(Dtype value, Dtype* element, Layer<Dtype>* layer,
                    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top,
                    int top_id, int top_data_id) {
    *element = value;
    Caffe::set_random_seed(seed_);
    layer->Forward(bottom, top);
    return GetObjAndGradient(*layer, top, top_id, top_data_id);
  }
};

template <typename Dtype>
void GradientChecker<Dtype>::CheckGradientSingle(Layer<Dtype>* layer,
                                                 const vector<Blob<Dtype>*>& bottom,
                                                 const vector<Blob<Dtype>*>& top,
                                                 int check_bottom, int top_id,
                                                 int top_data_id, bool element_wise) {
  if (element_wise) {
    CHECK_EQ(layer->blobs().size(), 0u) << "an element-wise layer has no parameters";
    CHECK_GE(top_id, 0);
    CHECK_GE(top_data_id, 0);
    for (const Blob<Dtype>* blob : bottom) CHECK_EQ(blob->count(), top[top_id]->count());
  }
  vector<Blob<Dtype>*> checked;
  vector<bool> propagate_down(bottom.size(), check_bottom == -1);
  for (size_t i = 0; i < layer->blobs().size(); ++i) {
    Blob<Dtype>* blob = layer->blobs()[i].get();
    caffe_set(blob->count(), Dtype(0), blob->mutable_cpu_diff());  // Backward adds to it
    checked.push_back(blob);
  }
  if (check_bottom == -1) {
    checked.insert(checked.end(), bottom.begin(), bottom.end());
  } else if (check_bottom >= 0) {
    CHECK_LT(check_bottom, static_cast<int>(bottom.size()));
    checked.push_back(bottom[check_bottom]);
    propagate_down[check_bottom] = true;
  }
  CHECK_GT(checked.size(), 0u) << "no blobs to check";

  Caffe::set_random_seed(seed_);
  layer->Forward(bottom, top);
  GetObjAndGradient(*layer, top, top_id, top_data_id);
  layer->Backward(top, propagate_down, bottom);
  // Copies, since the blobs' own diffs change below.
  vector<vector<Dtype>> computed;
  for (const Blob<Dtype>* blob : checked) {
    computed.emplace_back(blob->cpu_diff(), blob->cpu_diff() + blob->count());
  }

  for (size_t b = 0; b < checked.size(); ++b) {
    for (int i = 0; i < checked[b]->count(); ++i) {
      const Dtype value = checked[b]->cpu_data()[i];
      Dtype estimated = 0;
      if (!element_wise || i == top_data_id) {
        const auto objective_at = [&](Dtype at) {
          return ObjectiveAt(at, checked[b]->mutable_cpu_data() + i, layer, bottom, top,
                             top_id, top_data_id);
        };
        const Dtype above = objective_at(value + stepsize_);
        const Dtype below = objective_at(value - stepsize_);
        checked[b]->mutable_cpu_data()[i] = value;
        estimated = (above - below) / stepsize_ / 2;
      }
      if (std::fabs(std::fabs(value) - kink_) <= kink_range_) continue;
      const Dtype got = computed[b][i];
      const Dtype scale = std::max({Dtype(1), std::fabs(got), std::fabs(estimated)});
      EXPECT_NEAR(got, estimated, threshold_ * scale)
          << "top " << top_id << ", element " << top_data_id << "; blob " << b
          << ", element " << i << " = " << value;
    }
  }
}

template <typename Dtype>
Dtype GradientChecker<Dtype>::GetObjAndGradient(const Layer<Dtype>& /*layer*/,
                                                const vector<Blob<Dtype>*>& top,
                                                int top_id, int top_data_id) {
  Dtype objective = 0;
  for (int i = 0; i < static_cast<int>(top.size()); ++i) {
    const Dtype* data = top[i]->cpu_data();
    Dtype* diff = top[i]->mutable_cpu_diff();
    if (top_id < 0) {
      for (int j = 0; j < top[i]->count(); ++j) objective += data[j] * data[j] / 2;
      caffe_copy(top[i]->count(), data, diff);
    } else {
      const Dtype weight = 2;
      caffe_set(top[i]->count(), Dtype(0), diff);
      if (i != top_id) continue;
      objective = weight * data[top_data_id];
      diff[top_data_id] = weight;
    }
  }
  return objective;
}

}  // namespace caffe

#endif  // CAFFE_TEST_GRADIENT_CHECK_UTIL_H_
