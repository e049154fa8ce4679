#include "caffe/layers/unpooling_layer.hpp"

#include <algorithm>

namespace caffe {
namespace {

// One value, or one by axis.
void ReadPair(const char* name, bool has_both, uint32_t both, bool has_h, uint32_t h,
              bool has_w, uint32_t w, int* to_h, int* to_w) {
  if (has_h != has_w) throw ValueError(Str(name, "_h and ", name, "_w belong together"));
  if (has_both && has_h) {
    throw ValueError(
        Str("got ", name, " for both axes and by axis, expected one of them"));
  }
  if (std::max({both, h, w}) > INT_MAX / 2) {
    throw ValueError(
        Str("unpooling_param.", name, " is too large, expected at most ", INT_MAX / 2));
  }
  *to_h = static_cast<int>(has_h ? h : both);
  *to_w = static_cast<int>(has_h ? w : both);
}

}  // namespace

template <typename Dtype>
void UnpoolingLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                       const vector<Blob<Dtype>*>& /*top*/) {
  const UnpoolingParameter& param = this->layer_param_.unpooling_param();
  ReadPair("kernel", param.has_kernel_size(), param.kernel_size(), param.has_kernel_h(),
           param.kernel_h(), param.has_kernel_w(), param.kernel_w(), &kernel_h_,
           &kernel_w_);
  ReadPair("stride", param.has_stride(), param.stride(), param.has_stride_h(),
           param.stride_h(), param.has_stride_w(), param.stride_w(), &stride_h_,
           &stride_w_);
  ReadPair("pad", param.has_pad(), param.pad(), param.has_pad_h(), param.pad_h(),
           param.has_pad_w(), param.pad_w(), &pad_h_, &pad_w_);
  int top_h, top_w;
  ReadPair("unpool", param.has_unpool_size(), param.unpool_size(), param.has_unpool_h(),
           param.unpool_h(), param.has_unpool_w(), param.unpool_w(), &top_h, &top_w);
  if (kernel_h_ < 1 || kernel_w_ < 1 || stride_h_ < 1 || stride_w_ < 1) {
    throw ValueError(Str("unpooling_param has a kernel of ", kernel_h_, " x ", kernel_w_,
                         " and strides of ", stride_h_, " and ", stride_w_,
                         ", expected those of the pooling, at least 1"));
  }
  if ((param.has_unpool_size() || param.has_unpool_h()) && (top_h < 1 || top_w < 1)) {
    throw ValueError(Str("unpooling_param has a top of ", top_h, " x ", top_w,
                         ", expected a positive number of pixels for both"));
  }
  top_h_ = top_h;
  top_w_ = top_w;
}

template <typename Dtype>
pair<int64_t, int64_t> UnpoolingLayer<Dtype>::TopSize(int height, int width) const {
  if (top_h_ > 0) return {top_h_, top_w_};
  const auto size = [](int64_t extent, int64_t kernel, int64_t stride, int64_t pad) {
    return std::max((extent - 1) * stride + kernel - 2 * pad, extent * stride - pad + 1);
  };
  return {size(height, kernel_h_, stride_h_, pad_h_),
          size(width, kernel_w_, stride_w_, pad_w_)};
}

template <typename Dtype>
LayerTraits UnpoolingLayer<Dtype>::Traits() const {
  return {.of = &typeid(UnpoolingLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

INSTANTIATE_CLASS(UnpoolingLayer);
REGISTER_LAYER_CLASS(Unpooling);

}  // namespace caffe
