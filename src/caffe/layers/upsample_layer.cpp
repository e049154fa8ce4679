#include "caffe/layers/upsample_layer.hpp"

namespace caffe {

template <typename Dtype>
void UpsampleLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                      const vector<Blob<Dtype>*>& /*top*/) {
  const UpsampleParameter& param = this->layer_param_.upsample_param();
  const bool by_scale = param.has_scale() || param.has_scale_h() || param.has_scale_w() ||
                        param.pad_out_h() || param.pad_out_w();
  if (param.has_upsample_h() != param.has_upsample_w() ||
      param.has_scale_h() != param.has_scale_w()) {
    throw ValueError(
        "upsample_h and upsample_w, or scale_h and scale_w, belong together");
  }
  if (param.has_upsample_h() && by_scale) {
    throw ValueError(
        "got both upsample_h and upsample_w and a scale or pad_out, expected "
        "one of them");
  }
  if (param.has_scale() && param.has_scale_h()) {
    throw ValueError("got both scale and scale_h and scale_w, expected one of them");
  }
  top_h_ = param.upsample_h();
  top_w_ = param.upsample_w();
  if (param.has_upsample_h() && (top_h_ == 0 || top_w_ == 0)) {
    throw ValueError(Str("upsample_param has upsample_h ", top_h_, " and upsample_w ",
                         top_w_, ", expected a positive number of pixels for both"));
  }
  scale_h_ = param.has_scale_h() ? param.scale_h() : param.scale();
  scale_w_ = param.has_scale_w() ? param.scale_w() : param.scale();
  if (scale_h_ < 1 || scale_w_ < 1) {
    throw ValueError(Str("upsample_param has the scales ", scale_h_, " and ", scale_w_,
                         ", expected at least 1"));
  }
  if ((param.pad_out_h() && scale_h_ != 2) || (param.pad_out_w() && scale_w_ != 2)) {
    throw ValueError(
        "pad_out_h and pad_out_w take one row or column off twice as many, "
        "expected a scale of 2; give upsample_h and upsample_w instead");
  }
}

template <typename Dtype>
pair<int64_t, int64_t> UpsampleLayer<Dtype>::TopSize(int height, int width) const {
  if (top_h_ > 0) return {top_h_, top_w_};
  const UpsampleParameter& param = this->layer_param_.upsample_param();
  return {height * scale_h_ - (param.pad_out_h() ? 1 : 0),
          width * scale_w_ - (param.pad_out_w() ? 1 : 0)};
}

template <typename Dtype>
LayerTraits UpsampleLayer<Dtype>::Traits() const {
  return {.of = &typeid(UpsampleLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

INSTANTIATE_CLASS(UpsampleLayer);
REGISTER_LAYER_CLASS(Upsample);

}  // namespace caffe
