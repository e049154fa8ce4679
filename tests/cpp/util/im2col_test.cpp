#include "caffe/util/im2col.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "caffe/error.hpp"
#include "fill.hpp"
#include "tolerance.hpp"

namespace caffe {
namespace {

using test::ExpectClose;
using test::OpKind;
using test::ToleranceOf;
using test::Uniform;

struct Axis {
  int size, kernel, pad, stride, dilation;
  int out() const {
    return (size + 2 * pad - (dilation * (kernel - 1) + 1)) / stride + 1;
  }
};

struct Problem {
  int channels;
  std::vector<Axis> axes;
};

const Problem kProblems2d[] = {
    {1, {{1, 1, 0, 1, 1}, {1, 1, 0, 1, 1}}},
    {2, {{5, 3, 1, 1, 1}, {4, 3, 1, 1, 1}}},
    {3, {{7, 3, 1, 2, 1}, {6, 3, 1, 2, 1}}},
    {2, {{9, 3, 2, 1, 2}, {8, 3, 2, 1, 2}}},   // SKNet's dilated branch
    {1, {{6, 1, 0, 3, 1}, {5, 2, 0, 4, 1}}},   // stride above kernel
    {2, {{3, 5, 4, 2, 1}, {2, 3, 5, 1, 2}}},   // pad above the image
    {2, {{8, 2, 0, 1, 3}, {5, 4, 3, 3, 1}}},   // axes of their own
    {1, {{4, 3, 7, 5, 1}, {11, 1, 2, 2, 1}}},  // windows wholly in the padding
};

const Problem kOtherProblems[] = {
    {3, {{7, 3, 1, 2, 1}}},
    {2, {{4, 3, 1, 1, 1}, {5, 2, 0, 2, 2}, {3, 3, 2, 1, 1}}},
    {1, {{2, 1, 0, 1, 1}, {3, 2, 1, 2, 1}, {2, 2, 1, 1, 1}, {3, 3, 1, 2, 1}}},
};

int ImageSize(const Problem& p) {
  int size = p.channels;
  for (const Axis& axis : p.axes) size *= axis.size;
  return size;
}

int ColumnSize(const Problem& p) {
  int size = p.channels;
  for (const Axis& axis : p.axes) size *= axis.kernel * axis.out();
  return size;
}

// The definition, one column element at a time: mixed-radix digits of its index are
// channel, kernel position, output position. Returns the image index, -1 if outside.
int ImageIndex(const Problem& p, int column) {
  const int n = static_cast<int>(p.axes.size());
  std::vector<int> out(n), tap(n);
  for (int a = n - 1; a >= 0; --a) {
    out[a] = column % p.axes[a].out();
    column /= p.axes[a].out();
  }
  for (int a = n - 1; a >= 0; --a) {
    tap[a] = column % p.axes[a].kernel;
    column /= p.axes[a].kernel;
  }
  int index = column;  // what is left is the channel
  for (int a = 0; a < n; ++a) {
    const Axis& axis = p.axes[a];
    const int at = out[a] * axis.stride - axis.pad + tap[a] * axis.dilation;
    if (at < 0 || at >= axis.size) return -1;
    index = index * axis.size + at;
  }
  return index;
}

template <typename T>
struct Reference {
  explicit Reference(const Problem& p)
      : image(ImageSize(p)),
        columns(ColumnSize(p)),
        unfolded(columns.size()),
        folded(image.size(), 0) {
    for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<T>(Uniform(1, i));
    for (size_t i = 0; i < columns.size(); ++i) {
      columns[i] = static_cast<T>(Uniform(2, i));
      const int at = ImageIndex(p, static_cast<int>(i));
      unfolded[i] = at < 0 ? 0 : static_cast<double>(image[at]);
      if (at >= 0) folded[at] += columns[i];
    }
  }
  std::vector<T> image, columns;
  std::vector<double> unfolded, folded;
};

template <typename T>
std::vector<double> AsDoubles(const std::vector<T>& values) {
  return std::vector<double>(values.begin(), values.end());
}

template <typename T>
void CheckNd(const Problem& p) {
  const Reference<T> reference(p);
  const int n = static_cast<int>(p.axes.size());
  std::vector<int> image_shape = {p.channels}, column_shape = {p.channels};
  std::vector<int> kernel, pad, stride, dilation;
  for (const Axis& axis : p.axes) {
    column_shape[0] *= axis.kernel;
    image_shape.push_back(axis.size);
    column_shape.push_back(axis.out());
    kernel.push_back(axis.kernel);
    pad.push_back(axis.pad);
    stride.push_back(axis.stride);
    dilation.push_back(axis.dilation);
  }
  const T nan = std::numeric_limits<T>::quiet_NaN();
  std::vector<T> columns(reference.columns.size(), nan),
      image(reference.image.size(), nan);
  im2col_nd_cpu(reference.image.data(), n, image_shape.data(), column_shape.data(),
                kernel.data(), pad.data(), stride.data(), dilation.data(),
                columns.data());
  ExpectClose(AsDoubles(columns), reference.unfolded, ToleranceOf<T>(OpKind::kCopy),
              "columns");
  col2im_nd_cpu(reference.columns.data(), n, image_shape.data(), column_shape.data(),
                kernel.data(), pad.data(), stride.data(), dilation.data(), image.data());
  ExpectClose(AsDoubles(image), reference.folded,
              ToleranceOf<T>(OpKind::kReduction, column_shape[0]), "image");
}

template <typename T>
void Check2d(const Problem& p) {
  const Reference<T> reference(p);
  const Axis &h = p.axes[0], &w = p.axes[1];
  const T nan = std::numeric_limits<T>::quiet_NaN();
  std::vector<T> columns(reference.columns.size(), nan),
      image(reference.image.size(), nan);
  im2col_cpu(reference.image.data(), p.channels, h.size, w.size, h.kernel, w.kernel,
             h.pad, w.pad, h.stride, w.stride, h.dilation, w.dilation, columns.data());
  ExpectClose(AsDoubles(columns), reference.unfolded, ToleranceOf<T>(OpKind::kCopy),
              "columns");
  col2im_cpu(reference.columns.data(), p.channels, h.size, w.size, h.kernel, w.kernel,
             h.pad, w.pad, h.stride, w.stride, h.dilation, w.dilation, image.data());
  ExpectClose(AsDoubles(image), reference.folded,
              ToleranceOf<T>(OpKind::kReduction, h.kernel * w.kernel), "image");
}

template <typename T>
class Im2colTest : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(Im2colTest, Types);

TYPED_TEST(Im2colTest, TwoAxes) {
  for (size_t i = 0; i < std::size(kProblems2d); ++i) {
    SCOPED_TRACE(i);
    Check2d<TypeParam>(kProblems2d[i]);
  }
}

TYPED_TEST(Im2colTest, AnyNumberOfAxes) {
  for (size_t i = 0; i < std::size(kProblems2d); ++i) {
    SCOPED_TRACE(i);
    CheckNd<TypeParam>(kProblems2d[i]);
  }
  for (size_t i = 0; i < std::size(kOtherProblems); ++i) {
    SCOPED_TRACE(i);
    CheckNd<TypeParam>(kOtherProblems[i]);
  }
}

}  // namespace
}  // namespace caffe
