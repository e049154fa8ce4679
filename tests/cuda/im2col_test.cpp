// Unfolding and folding in device memory, against the host's.

#include "caffe/util/im2col.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "gpu_mode.hpp"
#include "layer_test.hpp"
#include "ops/problems.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class Im2ColDeviceTest : public GpuModeTest<T> {};
TYPED_TEST_SUITE(Im2ColDeviceTest, FloatAndDouble);

// One image and its unfolded matrix.
template <typename T>
struct Unfolding {
  explicit Unfolding(const ConvolutionProblem& p)
      : problem(p), shape(p.src.begin() + 1, p.src.end()) {
    int rows = p.src[1];
    for (int size : p.kernel) rows *= size;
    matrix_shape = {rows};
    matrix_shape.insert(matrix_shape.end(), p.dst.begin() + 2, p.dst.end());
    image.Reshape(shape);
    matrix.Reshape(matrix_shape);
    Fill(&image, 1);
    Fill(&matrix, 2);
  }
  ConvolutionProblem problem;
  std::vector<int> shape, matrix_shape;
  Blob<T> image, matrix;
};

TYPED_TEST(Im2ColDeviceTest, TwoAxesAreTheHosts) {
  for (const ConvolutionCase& c : SmallConvolutions()) {
    const ConvolutionProblem& p = c.problem;
    if (p.spatial_axes() != 2) continue;
    SCOPED_TRACE(c.name);
    Unfolding<TypeParam> want(p), got(p);
    const auto run = [&p](auto function, const TypeParam* from, TypeParam* to) {
      function(from, p.src[1], p.src[2], p.src[3], p.kernel[0], p.kernel[1], p.pad[0],
               p.pad[1], p.stride[0], p.stride[1], p.dilation[0], p.dilation[1], to);
    };
    const Tolerance exact = ToleranceOf<TypeParam>(OpKind::kCopy);
    run(im2col_cpu<TypeParam>, want.image.cpu_data(), want.matrix.mutable_cpu_data());
    run(im2col_gpu<TypeParam>, got.image.gpu_data(), got.matrix.mutable_gpu_data());
    ExpectClose(Values(got.matrix), Values(want.matrix), exact, "matrix");
    run(col2im_cpu<TypeParam>, want.matrix.cpu_data(), want.image.mutable_cpu_data());
    run(col2im_gpu<TypeParam>, got.matrix.gpu_data(), got.image.mutable_gpu_data());
    ExpectClose(Values(got.image), Values(want.image), exact, "image");
  }
}

// The number of elements that callers give may be that of the matrix, or Caffe's, which
// is one for each channel and place.
TYPED_TEST(Im2ColDeviceTest, AnyNumberOfAxesIsTheHosts) {
  for (const ConvolutionCase& c : SmallConvolutions()) {
    const ConvolutionProblem& p = c.problem;
    SCOPED_TRACE(c.name);
    Unfolding<TypeParam> want(p), got(p);
    const int axes = p.spatial_axes();
    const Tolerance exact = ToleranceOf<TypeParam>(OpKind::kCopy);
    const auto on_device = [](const std::vector<int>& values) {
      auto blob =
          std::make_unique<Blob<int>>(std::vector<int>{static_cast<int>(values.size())});
      std::copy(values.begin(), values.end(), blob->mutable_cpu_data());
      return blob;
    };
    const auto shape = on_device(got.shape), matrix_shape = on_device(got.matrix_shape);
    const auto kernel = on_device(p.kernel), pad = on_device(p.pad);
    const auto stride = on_device(p.stride), dilation = on_device(p.dilation);
    im2col_nd_cpu(want.image.cpu_data(), axes, want.shape.data(),
                  want.matrix_shape.data(), p.kernel.data(), p.pad.data(),
                  p.stride.data(), p.dilation.data(), want.matrix.mutable_cpu_data());
    for (const int elements : {got.matrix.count(), p.src[1] * got.matrix.count(1)}) {
      FillNaN(&got.matrix);
      im2col_nd_gpu(got.image.gpu_data(), axes, elements, shape->gpu_data(),
                    matrix_shape->gpu_data(), kernel->gpu_data(), pad->gpu_data(),
                    stride->gpu_data(), dilation->gpu_data(),
                    got.matrix.mutable_gpu_data());
      ExpectClose(Values(got.matrix), Values(want.matrix), exact, "matrix");
    }
    col2im_nd_cpu(want.matrix.cpu_data(), axes, want.shape.data(),
                  want.matrix_shape.data(), p.kernel.data(), p.pad.data(),
                  p.stride.data(), p.dilation.data(), want.image.mutable_cpu_data());
    col2im_nd_gpu(got.matrix.gpu_data(), axes, got.image.count(), shape->gpu_data(),
                  matrix_shape->gpu_data(), kernel->gpu_data(), pad->gpu_data(),
                  stride->gpu_data(), dilation->gpu_data(), got.image.mutable_gpu_data());
    ExpectClose(Values(got.image), Values(want.image), exact, "image");
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
