#include "caffe/util/im2col.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace caffe {
namespace {

// Calls visit(im_offset, col_offset, inside) for every element of the unfolded
// matrix, in the order of the matrix. im_shape and col_shape are (C, spatial...)
// and (rows, spatial...).
template <typename Visit>
void ForEachTap(int axes, const int* im_shape, const int* col_shape, const int* kernel,
                const int* pad, const int* stride, const int* dilation, Visit visit) {
  int64_t kernel_size = 1, col_size = 1, im_size = 1;
  for (int a = 0; a < axes; ++a) {
    kernel_size *= kernel[a];
    col_size *= col_shape[1 + a];
    im_size *= im_shape[1 + a];
  }
  std::vector<int> tap(axes), position(axes);
  const int64_t rows = im_shape[0] * kernel_size;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t channel = row / kernel_size;
    int64_t rest = row % kernel_size;
    for (int a = axes - 1; a >= 0; --a) {
      tap[a] = static_cast<int>(rest % kernel[a]);
      rest /= kernel[a];
    }
    std::fill(position.begin(), position.end(), 0);
    for (int64_t column = 0; column < col_size; ++column) {
      int64_t offset = channel;
      bool inside = true;
      for (int a = 0; a < axes; ++a) {
        const int at = position[a] * stride[a] - pad[a] + tap[a] * dilation[a];
        inside = inside && at >= 0 && at < im_shape[1 + a];
        offset = offset * im_shape[1 + a] + at;
      }
      visit(offset, row * col_size + column, inside);
      for (int a = axes - 1; a >= 0 && ++position[a] == col_shape[1 + a]; --a)
        position[a] = 0;
    }
  }
}

// The positions [first, last) of an output row whose tap lies inside the image.
struct Range {
  int first, last;
};

Range InsideRange(int outputs, int size, int stride, int shift) {
  int first = shift < 0 ? (-shift + stride - 1) / stride : 0;
  int last = size - 1 - shift < 0 ? 0 : (size - 1 - shift) / stride + 1;
  last = std::min(last, outputs);
  return {std::min(first, outputs), std::max(last, std::min(first, outputs))};
}

struct Shape2d {
  int channels, height, width, kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w,
      dilation_h, dilation_w;
  int out_h() const {
    return (height + 2 * pad_h - (dilation_h * (kernel_h - 1) + 1)) / stride_h + 1;
  }
  int out_w() const {
    return (width + 2 * pad_w - (dilation_w * (kernel_w - 1) + 1)) / stride_w + 1;
  }
};

// Calls row(im_row or null, col_row, columns inside, shift) for every matrix row
// segment that belongs to one output row.
template <typename Image, typename Column, typename Row>
void ForEachRow(const Shape2d& s, Image* im, Column* col, Row row) {
  const int out_h = s.out_h(), out_w = s.out_w();
  for (int c = 0; c < s.channels; ++c) {
    for (int kh = 0; kh < s.kernel_h; ++kh) {
      for (int kw = 0; kw < s.kernel_w; ++kw) {
        const int shift = kw * s.dilation_w - s.pad_w;
        const Range inside = InsideRange(out_w, s.width, s.stride_w, shift);
        for (int oh = 0; oh < out_h; ++oh, col += out_w) {
          const int ih = oh * s.stride_h - s.pad_h + kh * s.dilation_h;
          const bool outside = ih < 0 || ih >= s.height;
          Image* im_row = outside
                              ? nullptr
                              : im + (static_cast<int64_t>(c) * s.height + ih) * s.width;
          row(im_row, col, inside, shift);
        }
      }
    }
  }
}

}  // namespace

template <typename Dtype>
void im2col_nd_cpu(const Dtype* data_im, const int num_spatial_axes, const int* im_shape,
                   const int* col_shape, const int* kernel_shape, const int* pad,
                   const int* stride, const int* dilation, Dtype* data_col) {
  ForEachTap(num_spatial_axes, im_shape, col_shape, kernel_shape, pad, stride, dilation,
             [=](int64_t im, int64_t col, bool inside) {
               data_col[col] = inside ? data_im[im] : Dtype(0);
             });
}

template <typename Dtype>
void col2im_nd_cpu(const Dtype* data_col, const int num_spatial_axes, const int* im_shape,
                   const int* col_shape, const int* kernel_shape, const int* pad,
                   const int* stride, const int* dilation, Dtype* data_im) {
  int64_t im_size = im_shape[0];
  for (int a = 0; a < num_spatial_axes; ++a) im_size *= im_shape[1 + a];
  std::fill(data_im, data_im + im_size, Dtype(0));
  ForEachTap(num_spatial_axes, im_shape, col_shape, kernel_shape, pad, stride, dilation,
             [=](int64_t im, int64_t col, bool inside) {
               if (inside) data_im[im] += data_col[col];
             });
}

template <typename Dtype>
void im2col_cpu(const Dtype* data_im, const int channels, const int height,
                const int width, const int kernel_h, const int kernel_w, const int pad_h,
                const int pad_w, const int stride_h, const int stride_w,
                const int dilation_h, const int dilation_w, Dtype* data_col) {
  const Shape2d shape{channels, height,   width,    kernel_h,   kernel_w,  pad_h,
                      pad_w,    stride_h, stride_w, dilation_h, dilation_w};
  const int out_w = shape.out_w();
  ForEachRow(shape, data_im, data_col,
             [=](const Dtype* im, Dtype* col, Range inside, int shift) {
               if (!im) {
                 std::fill(col, col + out_w, Dtype(0));
                 return;
               }
               std::fill(col, col + inside.first, Dtype(0));
               for (int i = inside.first; i < inside.last; ++i) {
                 col[i] = im[i * stride_w + shift];
               }
               std::fill(col + inside.last, col + out_w, Dtype(0));
             });
}

template <typename Dtype>
void col2im_cpu(const Dtype* data_col, const int channels, const int height,
                const int width, const int kernel_h, const int kernel_w, const int pad_h,
                const int pad_w, const int stride_h, const int stride_w,
                const int dilation_h, const int dilation_w, Dtype* data_im) {
  const Shape2d shape{channels, height,   width,    kernel_h,   kernel_w,  pad_h,
                      pad_w,    stride_h, stride_w, dilation_h, dilation_w};
  std::fill(data_im, data_im + static_cast<int64_t>(channels) * height * width, Dtype(0));
  ForEachRow(shape, data_im, data_col,
             [=](Dtype* im, const Dtype* col, Range inside, int shift) {
               if (!im) return;
               for (int i = inside.first; i < inside.last; ++i) {
                 im[i * stride_w + shift] += col[i];
               }
             });
}

#define INSTANTIATE_IM2COL(T)                                                         \
  template void im2col_nd_cpu<T>(const T*, const int, const int*, const int*,         \
                                 const int*, const int*, const int*, const int*, T*); \
  template void col2im_nd_cpu<T>(const T*, const int, const int*, const int*,         \
                                 const int*, const int*, const int*, const int*, T*); \
  template void im2col_cpu<T>(const T*, const int, const int, const int, const int,   \
                              const int, const int, const int, const int, const int,  \
                              const int, const int, T*);                              \
  template void col2im_cpu<T>(const T*, const int, const int, const int, const int,   \
                              const int, const int, const int, const int, const int,  \
                              const int, const int, T*)
INSTANTIATE_IM2COL(float);
INSTANTIATE_IM2COL(double);

}  // namespace caffe
