// The two passes of an SK unit over its branches, on a device.

#include "caffe/ops/branches.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "caffe/gpu/tensor.hpp"
#include "gpu_mode.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class DeviceBranchesTest : public GpuModeTest<T> {};
TYPED_TEST_SUITE(DeviceBranchesTest, FloatAndDouble);

struct Case {
  std::vector<int> shape;
  int branches;
  bool channels_last;
};
// Less and more than a warp of channels and of positions.
const std::vector<Case> kCases = {
    {{2, 3, 1, 1}, 1, false}, {{2, 5, 7, 7}, 2, false}, {{1, 40, 23, 29}, 3, false},
    {{2, 5, 7, 7}, 2, true},  {{3, 70, 5, 2}, 4, true}, {{1, 32, 14, 14}, 2, true},
    {{0, 3, 2, 2}, 2, false},
};

template <typename T>
std::unique_ptr<Blob<T>> Filled(const Case& c, int id) {
  auto blob = std::make_unique<Blob<T>>(c.shape);
  Fill(blob.get(), id);
  if (c.channels_last) DeviceDataOf(blob.get()).Modify(DeviceLayout::kChannelsLast);
  return blob;
}

TYPED_TEST(DeviceBranchesTest, AverageOfSum) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(ShapeText(c.shape));
    const int rows = c.shape[0] * c.shape[1];
    std::vector<std::unique_ptr<Blob<TypeParam>>> owned;
    std::vector<Blob<TypeParam>*> branches;
    for (int b = 0; b < c.branches; ++b) {
      owned.push_back(Filled<TypeParam>(c, b));
      branches.push_back(owned.back().get());
    }
    Blob<TypeParam> mean(std::vector<int>{c.shape[0], c.shape[1], 1, 1});
    AverageOfSumOnDevice(branches, &mean);
    Doubles want(rows, 0);
    const int spatial = branches[0]->count(2);
    for (const auto& branch : owned) {
      const Doubles values = Values(*branch);
      for (int i = 0; i < branch->count(); ++i) want[i / spatial] += values[i] / spatial;
    }
    ExpectClose(Values(mean), want,
                ToleranceOf<TypeParam>(OpKind::kReduction, c.branches * spatial), "mean");
  }
}

TYPED_TEST(DeviceBranchesTest, WeightedSum) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(ShapeText(c.shape));
    const auto x = Filled<TypeParam>(c, 1), y = Filled<TypeParam>(c, 2);
    Blob<TypeParam> a(std::vector<int>{c.shape[0], c.shape[1]}), b(a.shape());
    Blob<TypeParam> out(c.shape);
    Fill(&a, 3);
    Fill(&b, 4);
    WeightedSumOnDevice(a, *x, b, *y, &out);
    const Doubles as = Values(a), bs = Values(b), xs = Values(*x), ys = Values(*y);
    Doubles want(xs.size());
    for (int i = 0; i < x->count(); ++i) {
      const int row = i / x->count(2);
      want[i] = as[row] * xs[i] + bs[row] * ys[i];
    }
    ExpectClose(Values(out), want, ToleranceOf<TypeParam>(OpKind::kElementwise), "sum");
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
