// Layers that take activations of 16 bits on a device as they are: what they give, and
// the gradients of their parameters, which are float.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gpu_mode.hpp"
#include "sixteen_bits.hpp"

namespace caffe {
namespace test {
namespace {

using LayerFormatsTest = GpuModeTest<float>;
const std::vector<int> kShape = {2, 37, 5, 3};
constexpr int kCount = 2 * 37 * 5 * 3;

// Whether a blob holds activations; those of fewer axes are coefficients.
bool HoldsImages(const Blob<float>& blob) { return blob.num_axes() > 2; }

// As ExpectMatchesHostIn16Bits, for layers with parameters, other bottoms and more tops.
void Check(const std::string& text, const Shapes& shapes, OpKind kind,
           std::int64_t terms = 1, int tops = 1) {
  for (const SixteenBits& bits : kSixteenBits) {
    SCOPED_TRACE(text + " in " + bits.name);
    LayerRun<float> host(text, shapes, tops), run(text, shapes, tops);
    for (LayerRun<float>* each : {&host, &run}) {
      const bool on_device = each == &run;
      Caffe::set_mode(on_device ? Caffe::GPU : Caffe::CPU);
      Caffe::set_random_seed(7);
      each->SetUp();
      for (Blob<float>* blob : each->bottom) {
        if (!HoldsImages(*blob)) continue;
        bits.Round(blob);
        if (on_device) MoveTo(bits.format(), DeviceDataOf(blob));
      }
      each->layer->Forward(each->bottom, each->top);
      for (int i = 0; i < tops; ++i) {
        if (on_device) {
          EXPECT_EQ(DeviceDataOf(each->top[i]).format(), bits.format()) << "top " << i;
        }
        FillDiff(each->top[i], 100 + i);
        bits.Round(each->top[i], Half::kDiff);
        if (on_device) MoveTo(bits.format(), DeviceDiffOf(each->top[i]));
      }
      for (auto& blob : each->layer->blobs())
        FillWith(blob.get(), Half::kDiff, [](int) { return 0; });
      each->layer->Backward(each->top, std::vector<bool>(shapes.size(), true),
                            each->bottom);
    }
    const Tolerance exact = ToleranceOf<float>(kind, terms);
    const Tolerance stored = StoredAs(bits.epsilon(), exact);
    for (int i = 0; i < tops; ++i)
      ExpectClose(run.Top(i), host.Top(i), stored, "top " + std::to_string(i));
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const bool images = HoldsImages(*run.bottom[i]);
      if (images) {
        EXPECT_EQ(DeviceDiffOf(run.bottom[i]).format(), bits.format());
      }
      ExpectClose(run.BottomDiff(i), host.BottomDiff(i), images ? stored : exact,
                  "diff of bottom " + std::to_string(i));
    }
    for (std::size_t i = 0; i < run.layer->blobs().size(); ++i) {
      const Blob<float>&got = *run.layer->blobs()[i], &want = *host.layer->blobs()[i];
      ExpectClose(Values(got), Values(want), exact, "parameter " + std::to_string(i));
      ExpectClose(Values(got, Half::kDiff), Values(want, Half::kDiff), exact,
                  "diff of parameter " + std::to_string(i));
    }
  }
}

TEST_F(LayerFormatsTest, Eltwise) {
  for (const char* param :
       {"", "coeff: 2 coeff: -1 coeff: 0.5", "operation: PROD", "operation: MAX"})
    Check(std::string("type: 'Eltwise' eltwise_param { ") + param + " }",
          {kShape, kShape, kShape}, OpKind::kReduction, 3);
}

TEST_F(LayerFormatsTest, ScaleBiasAndPReLU) {
  for (const char* text :
       {"type: 'Scale' scale_param { bias_term: true filler { value: -1.5 } bias_filler "
        "{ value: 0.75 } }",
        "type: 'Bias' bias_param { filler { value: 0.75 } }", "type: 'PReLU'"})
    Check(text, {kShape}, OpKind::kReduction, kCount);
  Check("type: 'Scale' scale_param { axis: 0 }", {kShape, {2, 37}}, OpKind::kReduction,
        kCount);
}

TEST_F(LayerFormatsTest, BatchNorm) {
  Check("type: 'BatchNorm' batch_norm_param { eps: 0.01 }", {kShape},
        OpKind::kNormalization, 30);
}

TEST_F(LayerFormatsTest, ConcatSliceAndTile) {
  for (int axis = 0; axis < 4; ++axis) {
    Check(Str("type: 'Concat' concat_param { axis: ", axis, " }"), {kShape, kShape},
          OpKind::kCopy);
    std::vector<int> twice = kShape;
    twice[axis] *= 2;
    Check(Str("type: 'Slice' slice_param { axis: ", axis, " }"), {twice}, OpKind::kCopy,
          1, 2);
    Check(Str("type: 'Tile' tile_param { tiles: 3 axis: ", axis, " }"), {kShape},
          OpKind::kReduction, 3);
  }
}

TEST_F(LayerFormatsTest, SplitAndDropout) {
  Check("type: 'Split'", {kShape}, OpKind::kReduction, 3, 3);
  Check("type: 'Dropout'", {kShape}, OpKind::kElementwise);
}

}  // namespace
}  // namespace test
}  // namespace caffe
