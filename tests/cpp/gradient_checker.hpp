#ifndef CAFFE_TESTS_GRADIENT_CHECKER_HPP_
#define CAFFE_TESTS_GRADIENT_CHECKER_HPP_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "caffe/layer.hpp"
#include "fill.hpp"
#include "tolerance.hpp"

namespace caffe {
namespace test {

/// Compares Backward with central differences of Forward, in double.
///
/// Every input element is moved by one step up and one down, which gives a column of
/// the Jacobian; every output element then goes through Backward alone, which gives
/// a row. So CheckGradientExhaustive costs one Forward pair per input element and one
/// Backward per output element.
///
/// Also checked: bottom diffs are overwritten (they start as NaN), parameter diffs
/// are added to (they start at an offset), and the diff of a bottom without
/// propagate_down stays as it was.
class GradientChecker {
 public:
  /// `kink` > 0 or == 0: inputs within kink_range of +-kink are left out. A negative
  /// `kink` leaves out nothing.
  explicit GradientChecker(double kink = -1, unsigned int seed = 1701)
      : kink_(kink), seed_(seed) {}

  using Blobs = std::vector<Blob<double>*>;

  /// Checks the whole Jacobian. `check_bottom` picks one bottom; -1 takes all.
  /// -2 takes none, only the parameters.
  void CheckGradientExhaustive(Layer<double>* layer, const Blobs& bottom,
                               const Blobs& top, int check_bottom = -1) {
    layer->SetUp(bottom, top);
    ASSERT_FALSE(top.empty()) << "a gradient check needs at least one top";
    std::vector<int> rows;
    int outputs = 0;
    for (const Blob<double>* blob : top) outputs += blob->count();
    ASSERT_GT(outputs, 0);
    for (int row = 0; row < outputs; ++row) rows.push_back(row);
    Check(layer, bottom, top, check_bottom, rows);
  }

  /// For layers in which output i depends on input i alone.
  void CheckGradientEltwise(Layer<double>* layer, const Blobs& bottom, const Blobs& top) {
    layer->SetUp(bottom, top);
    ASSERT_EQ(layer->blobs().size(), 0u) << "an element-wise layer has no parameters";
    for (const Blob<double>* b : bottom) {
      for (const Blob<double>* t : top) ASSERT_EQ(b->count(), t->count());
    }
    CheckGradientExhaustive(layer, bottom, top);
  }

  /// Checks the gradient of one random linear functional of all outputs: one
  /// Backward, for layers too large for the whole Jacobian.
  void CheckGradient(Layer<double>* layer, const Blobs& bottom, const Blobs& top,
                     int check_bottom = -1) {
    layer->SetUp(bottom, top);
    Check(layer, bottom, top, check_bottom, {kWeightedSum});
  }

  /// Input elements compared so far, over all outputs.
  std::int64_t compared() const { return compared_; }

 private:
  static constexpr int kWeightedSum = -1;
  // Where parameter diffs start, to see that Backward adds to them.
  static constexpr double kOffset = 0.5;
  static constexpr double kUntouched = 12345;

  struct Input {
    Blob<double>* blob;
    bool is_parameter;
  };

  // The outputs that `row` weighs, summed.
  static double Objective(const Blobs& top, int row) {
    double sum = 0;
    int index = 0;
    for (const Blob<double>* blob : top) {
      const double* data = blob->cpu_data();
      for (int i = 0; i < blob->count(); ++i, ++index)
        sum += Weight(row, index) * data[i];
    }
    return sum;
  }

  static double Weight(int row, int index) {
    if (row == kWeightedSum) return Uniform(4711, index, 0.5, 2);
    return row == index ? 2 : 0;
  }

  void Forward(Layer<double>* layer, const Blobs& bottom, const Blobs& top) const {
    Caffe::set_random_seed(seed_);
    layer->Forward(bottom, top);
  }

  void Check(Layer<double>* layer, const Blobs& bottom, const Blobs& top,
             int check_bottom, const std::vector<int>& rows) {
    std::vector<bool> propagate(bottom.size());
    std::vector<Input> inputs;
    for (std::size_t i = 0; i < bottom.size(); ++i) {
      propagate[i] = check_bottom == -1 || check_bottom == static_cast<int>(i);
      if (propagate[i]) inputs.push_back({bottom[i], false});
    }
    for (std::size_t i = 0; i < layer->blobs().size(); ++i) {
      layer->set_param_propagate_down(static_cast<int>(i), true);
      inputs.push_back({layer->blobs()[i].get(), true});
    }
    ASSERT_FALSE(inputs.empty()) << "nothing to check";

    const auto analytic = AnalyticGradients(layer, bottom, top, propagate, inputs, rows);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      CompareInput(layer, bottom, top, inputs[i], static_cast<int>(i), rows, analytic);
    }
  }

  // [row][input][element]
  std::vector<std::vector<std::vector<double>>> AnalyticGradients(
      Layer<double>* layer, const Blobs& bottom, const Blobs& top,
      const std::vector<bool>& propagate, const std::vector<Input>& inputs,
      const std::vector<int>& rows) const {
    std::vector<std::vector<std::vector<double>>> result;
    for (const int row : rows) {
      // Forward every time: Backward may use scratch that it has overwritten.
      Forward(layer, bottom, top);
      for (std::size_t i = 0; i < bottom.size(); ++i) {
        const double start = propagate[i] ? std::nan("") : kUntouched;
        FillWith(bottom[i], Half::kDiff, [&](int) { return start; });
      }
      for (const Input& input : inputs) {
        if (!input.is_parameter) continue;
        FillWith(input.blob, Half::kDiff, [](int) { return kOffset; });
      }
      // After the bottoms, which may share their diffs with the tops.
      int index = 0;
      for (Blob<double>* blob : top) {
        double* diff = blob->mutable_cpu_diff();
        for (int i = 0; i < blob->count(); ++i, ++index) diff[i] = Weight(row, index);
      }
      layer->Backward(top, propagate, bottom);
      for (std::size_t i = 0; i < bottom.size(); ++i) {
        if (propagate[i]) continue;
        for (const double diff : Values(*bottom[i], Half::kDiff)) {
          EXPECT_EQ(diff, kUntouched) << "bottom " << i << " has no propagate_down";
        }
      }
      result.emplace_back();
      for (const Input& input : inputs) {
        result.back().push_back(Values(*input.blob, Half::kDiff));
        if (!input.is_parameter) continue;
        for (double& diff : result.back().back()) diff -= kOffset;
      }
    }
    return result;
  }

  void CompareInput(Layer<double>* layer, const Blobs& bottom, const Blobs& top,
                    const Input& input, int input_index, const std::vector<int>& rows,
                    const std::vector<std::vector<std::vector<double>>>& analytic) {
    std::vector<double> up(rows.size());
    for (int i = 0; i < input.blob->count(); ++i) {
      const double value = input.blob->cpu_data()[i];
      if (kink_ >= 0 && std::fabs(std::fabs(value) - kink_) <= table_.kink_range)
        continue;
      input.blob->mutable_cpu_data()[i] = value + table_.step;
      Forward(layer, bottom, top);
      for (std::size_t r = 0; r < rows.size(); ++r) up[r] = Objective(top, rows[r]);
      input.blob->mutable_cpu_data()[i] = value - table_.step;
      Forward(layer, bottom, top);
      for (std::size_t r = 0; r < rows.size(); ++r) {
        const double estimate = (up[r] - Objective(top, rows[r])) / (2 * table_.step);
        const double computed = analytic[r][input_index][i];
        const double scale = std::max({1.0, std::fabs(estimate), std::fabs(computed)});
        EXPECT_NEAR(computed, estimate, table_.threshold * scale)
            << (input.is_parameter ? "parameter" : "bottom") << " (checked blob "
            << input_index << "), element " << i << " = " << value << ", output "
            << rows[r] << ", seed " << seed_;
        ++compared_;
      }
      input.blob->mutable_cpu_data()[i] = value;
    }
  }

  double kink_;
  unsigned int seed_;
  GradientTolerance table_;
  std::int64_t compared_ = 0;
};

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_GRADIENT_CHECKER_HPP_
