#ifndef CAFFE_DATA_CONVERT_ROW_HPP_
#define CAFFE_DATA_CONVERT_ROW_HPP_

#include <cstddef>

namespace caffe {

// Pixel and mean steps known when compiled: only then does the compiler use vector
// instructions for the interleaved and the reversed rows.
template <int kStep, int kMeanStep, typename Pixel, typename Dtype>
void ConvertRow(const Pixel* in, const Dtype* mean, Dtype scale, int count,
                Dtype* __restrict out) {
  for (int i = 0; i < count; ++i) {
    out[i] = (static_cast<Dtype>(in[i * std::ptrdiff_t{kStep}]) -
              mean[i * std::ptrdiff_t{kMeanStep}]) *
             scale;
  }
}

template <int kStep, typename Pixel, typename Dtype>
void ConvertRow(const Pixel* in, const Dtype* mean, int mean_step, Dtype scale, int count,
                Dtype* out) {
  if (mean_step == 0) {
    ConvertRow<kStep, 0>(in, mean, scale, count, out);
  } else if (mean_step == 1) {
    ConvertRow<kStep, 1>(in, mean, scale, count, out);
  } else {
    ConvertRow<kStep, -1>(in, mean, scale, count, out);
  }
}

/// out[i] = (in[i * step] - mean[i * mean_step]) * scale, with mean_step 0, 1 or -1.
template <typename Pixel, typename Dtype>
void ConvertRow(const Pixel* in, std::ptrdiff_t step, const Dtype* mean, int mean_step,
                Dtype scale, int count, Dtype* __restrict out) {
  switch (step) {
    case 1:
      return ConvertRow<1>(in, mean, mean_step, scale, count, out);
    case -1:
      return ConvertRow<-1>(in, mean, mean_step, scale, count, out);
    case 3:
      return ConvertRow<3>(in, mean, mean_step, scale, count, out);
    case -3:
      return ConvertRow<-3>(in, mean, mean_step, scale, count, out);
    default:
      for (int i = 0; i < count; ++i) {
        out[i] = (static_cast<Dtype>(in[i * step]) - mean[i * mean_step]) * scale;
      }
  }
}

}  // namespace caffe

#endif  // CAFFE_DATA_CONVERT_ROW_HPP_
