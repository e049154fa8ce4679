#ifndef CAFFE_LAYERS_CONVOLUTION_WINDOW_HPP_
#define CAFFE_LAYERS_CONVOLUTION_WINDOW_HPP_

#include <climits>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// What a ConvolutionParameter says of every spatial axis.
struct ConvolutionWindow {
  vector<int> kernel, stride, pad, dilation;
};

/// One value per spatial axis from `field`, or the same for all, or the h/w pair.
template <typename Repeated>
vector<int> WindowValues(const char* what, int axes, const Repeated& field, bool has_h,
                         int h, bool has_w, int w, int fallback) {
  if (has_h || has_w) {
    if (axes != 2) {
      throw ValueError(Str(what, "_h and ", what, "_w need 2 spatial axes, got ", axes));
    }
    if (field.size() > 0) {
      throw ValueError(
          Str("got both ", what, " and ", what, "_h/", what, "_w, expected one of them"));
    }
    return {h, w};
  }
  if (field.size() != 0 && field.size() != 1 && field.size() != axes) {
    throw ValueError(Str(what, " is given ", field.size(), " times, expected 0, 1 or ",
                         axes, ", one for each spatial axis"));
  }
  vector<int> values(axes, fallback);
  for (int i = 0; i < axes && field.size() > 0; ++i) {
    const unsigned value = field.Get(field.size() == 1 ? 0 : i);
    if (value > INT_MAX) throw ValueError(Str(what, " ", value, " is too large"));
    values[i] = static_cast<int>(value);
  }
  return values;
}

/// Throws for values that no window can have.
inline ConvolutionWindow ReadConvolutionWindow(const ConvolutionParameter& p, int axes) {
  if (axes > 0 && p.kernel_size_size() == 0 && !p.has_kernel_h() && !p.has_kernel_w()) {
    throw ValueError("kernel_size is missing");
  }
  const ConvolutionWindow window{
      WindowValues("kernel", axes, p.kernel_size(), p.has_kernel_h(), p.kernel_h(),
                   p.has_kernel_w(), p.kernel_w(), 1),
      WindowValues("stride", axes, p.stride(), p.has_stride_h(), p.stride_h(),
                   p.has_stride_w(), p.stride_w(), 1),
      WindowValues("pad", axes, p.pad(), p.has_pad_h(), p.pad_h(), p.has_pad_w(),
                   p.pad_w(), 0),
      WindowValues("dilation", axes, p.dilation(), false, 0, false, 0, 1)};
  for (int i = 0; i < axes; ++i) {
    if (window.kernel[i] < 1 || window.stride[i] < 1 || window.dilation[i] < 1 ||
        window.pad[i] < 0) {
      throw ValueError(Str("spatial axis ", i, ": kernel ", window.kernel[i], ", stride ",
                           window.stride[i], ", dilation ", window.dilation[i], ", pad ",
                           window.pad[i],
                           ", expected the first three positive and pad not negative"));
    }
  }
  return window;
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_CONVOLUTION_WINDOW_HPP_
