#ifndef CAFFE_TESTS_CUDA_LAYOUTS_HPP_
#define CAFFE_TESTS_CUDA_LAYOUTS_HPP_

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "caffe/gpu/tensor.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {

/// How ExpectChannelsLastMatchesPlain feeds and judges a layer.
template <typename T>
struct LayoutCase {
  OpKind kind = OpKind::kCopy;
  std::int64_t terms = 1;
  int tops = 1;
  /// Expect tops and bottom diffs with the channels last.
  bool stays = true;
  std::vector<bool> propagate = {};
  Prepare<T> prepare = nullptr;
};

/// Whether the two layouts of a blob differ.
template <typename T>
bool HasTwoLayouts(const Blob<T>& blob) {
  return blob.num_axes() > 2 && blob.shape(1) > 1 && blob.count(2) > 1;
}

template <typename T>
DeviceLayout LayoutOf(const Blob<T>& blob, Half half) {
  return (half == Half::kData ? DeviceDataOf(&blob) : DeviceDiffOf(&blob)).layout();
}

template <typename T>
void PutChannelsLast(Blob<T>* blob, Half half) {
  const auto tensor = half == Half::kData ? DeviceDataOf(blob) : DeviceDiffOf(blob);
  if (HasTwoLayouts(*blob)) tensor.Modify(DeviceLayout::kChannelsLast);
}

/// Bottoms and top diffs that arrive on the device with the channels last give what plain
/// ones give.
template <typename T>
void ExpectChannelsLastMatchesPlain(const std::string& text, const Shapes& shapes,
                                    const LayoutCase<T>& options = {}) {
  SCOPED_TRACE(text + ", channels last");
  LayerRun<T> plain(text, shapes, options.tops), last(text, shapes, options.tops);
  std::vector<bool> propagate = options.propagate;
  if (propagate.empty()) propagate.assign(shapes.size(), true);
  for (LayerRun<T>* run : {&plain, &last}) {
    if (options.prepare) options.prepare(run);
    const bool channels_last = run == &last;
    Caffe::set_random_seed(7);
    run->SetUp();
    for (Blob<T>* blob : run->bottom) {
      if (channels_last) PutChannelsLast(blob, Half::kData);
    }
    run->layer->Forward(run->bottom, run->top);
    for (std::size_t i = 0; i < run->top.size(); ++i) {
      if (channels_last && options.stays && HasTwoLayouts(*run->top[i])) {
        EXPECT_EQ(LayoutOf(*run->top[i], Half::kData), DeviceLayout::kChannelsLast)
            << "top " << i;
      }
      if (run->layer->loss(i) != 0) continue;
      FillDiff(run->top[i], 100 + i);
      if (channels_last) PutChannelsLast(run->top[i], Half::kDiff);
    }
    for (auto& blob : run->layer->blobs()) {
      FillWith(blob.get(), Half::kDiff, [](int) { return 0; });
    }
    run->layer->Backward(run->top, propagate, run->bottom);
    for (std::size_t i = 0; i < run->bottom.size(); ++i) {
      if (!channels_last || !options.stays || !propagate[i]) continue;
      if (!HasTwoLayouts(*run->bottom[i])) continue;
      EXPECT_EQ(LayoutOf(*run->bottom[i], Half::kDiff), DeviceLayout::kChannelsLast)
          << "diff of bottom " << i;
    }
  }
  const Tolerance tolerance = ToleranceOf<T>(options.kind, options.terms);
  for (int i = 0; i < options.tops; ++i) {
    ExpectClose(last.Top(i), plain.Top(i), tolerance, "top " + std::to_string(i));
  }
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    if (!propagate[i]) continue;
    ExpectClose(last.BottomDiff(i), plain.BottomDiff(i), tolerance,
                "diff of bottom " + std::to_string(i));
  }
  for (std::size_t i = 0; i < last.layer->blobs().size(); ++i) {
    const Blob<T>&got = *last.layer->blobs()[i], &want = *plain.layer->blobs()[i];
    ExpectClose(Values(got), Values(want), tolerance, "parameter " + std::to_string(i));
    ExpectClose(Values(got, Half::kDiff), Values(want, Half::kDiff), tolerance,
                "diff of parameter " + std::to_string(i));
  }
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_CUDA_LAYOUTS_HPP_
