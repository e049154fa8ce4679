#ifndef CAFFE_TESTS_BOTH_LAYOUTS_HPP_
#define CAFFE_TESTS_BOTH_LAYOUTS_HPP_

#include <cstdint>
#include <string>
#include <vector>

#include "caffe/gpu/tensor.hpp"
#include "layer_test.hpp"

// Layers that take data on a GPU in whatever layout it is in.

namespace caffe {
namespace test {

inline constexpr DeviceLayout kBothLayouts[] = {DeviceLayout::kPlain,
                                                DeviceLayout::kChannelsLast};

inline const char* NameOf(DeviceLayout layout) {
  return layout == DeviceLayout::kPlain ? "plain" : "channels last";
}

/// Makes a copy in this layout the only one.
template <typename T>
void MoveTo(DeviceLayout layout, DeviceTensor<T> tensor) {
  tensor.Modify(layout);
}

/// Whether the layouts are different bytes.
inline bool HasLayouts(const std::vector<int>& shape) {
  int positions = 1;
  for (std::size_t axis = 2; axis < shape.size(); ++axis) positions *= shape[axis];
  return shape.size() > 2 && shape[1] > 1 && positions > 1;
}

/// In GPU mode and in either layout, a layer gives what it gives on the host, and leaves
/// its results in the layout of what it got.
template <typename T>
void ExpectMatchesHost(const std::string& text, const Shapes& shapes, OpKind kind,
                       std::int64_t terms = 1, int tops = 1,
                       Prepare<T> prepare = nullptr) {
  LayerRun<T> host(text, shapes, tops);
  if (prepare) prepare(&host);
  Caffe::set_mode(Caffe::CPU);
  host.Forward();
  host.Backward();
  Caffe::set_mode(Caffe::GPU);
  const Tolerance tolerance = ToleranceOf<T>(kind, terms);
  for (const DeviceLayout layout : kBothLayouts) {
    SCOPED_TRACE(text + " on a GPU, " + NameOf(layout));
    LayerRun<T> run(text, shapes, tops);
    if (prepare) prepare(&run);
    run.SetUp();
    const auto& weights = host.layer->blobs();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      run.layer->blobs()[i]->CopyFrom(*weights[i]);
      FillWith(run.layer->blobs()[i].get(), Half::kDiff, [](int) { return 0; });
    }
    for (Blob<T>* blob : run.bottom) {
      FillNaN(blob, Half::kDiff);
      MoveTo(layout, DeviceDataOf(blob));
    }
    for (Blob<T>* blob : run.top) FillNaN(blob);
    run.layer->Forward(run.bottom, run.top);
    for (std::size_t i = 0; i < run.top.size(); ++i) {
      const DeviceTensor<T> top = DeviceDataOf(run.top[i]);
      if (HasLayouts(top.shape())) EXPECT_EQ(top.layout(), layout) << "top " << i;
      ExpectClose(run.Top(i), host.Top(i), tolerance, "top " + std::to_string(i));
      FillDiff(run.top[i], 100 + i);
      MoveTo(layout, DeviceDiffOf(run.top[i]));
    }
    run.layer->Backward(run.top, std::vector<bool>(shapes.size(), true), run.bottom);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const DeviceTensor<T> diff = DeviceDiffOf(run.bottom[i]);
      if (HasLayouts(diff.shape()) && HasLayouts(run.top[0]->shape())) {
        EXPECT_EQ(diff.layout(), layout) << "diff of bottom " << i;
      }
      ExpectClose(run.BottomDiff(i), host.BottomDiff(i), tolerance,
                  "diff of bottom " + std::to_string(i));
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
      ExpectClose(Values(*run.layer->blobs()[i], Half::kDiff),
                  Values(*weights[i], Half::kDiff), tolerance,
                  "diff of parameter " + std::to_string(i));
    }
  }
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_BOTH_LAYOUTS_HPP_
