#include "caffe/layers/prior_box_layer.hpp"

#include <algorithm>
#include <cmath>

#include "caffe/util/layer_name.hpp"

namespace caffe {
namespace {

// Ratios this close are the same.
constexpr float kSameRatio = 1e-6f;

void CheckPositive(const char* what, float value) {
  if (value > 0 && std::isfinite(value)) return;
  throw ValueError(
      Str("prior_box_param.", what, " is ", value, ", expected a number above 0"));
}

// 1, and those given, each once.
vector<float> AspectRatios(const PriorBoxParameter& param) {
  vector<float> ratios = {1};
  for (const float ratio : param.aspect_ratio()) {
    CheckPositive("aspect_ratio", ratio);
    if (std::any_of(ratios.begin(), ratios.end(),
                    [=](float r) { return std::fabs(r - ratio) < kSameRatio; })) {
      continue;
    }
    ratios.push_back(ratio);
    if (param.flip()) ratios.push_back(1 / ratio);
  }
  return ratios;
}

// One value, or one by axis; 0 without.
void ReadPair(const char* name, bool has_both, float both, bool has_h, float h,
              bool has_w, float w, float* to_h, float* to_w) {
  *to_h = *to_w = 0;
  if (has_both && (has_h || has_w)) {
    throw ValueError(Str("prior_box_param has ", name, " for both axes and by axis, ",
                         "expected one of them"));
  }
  if (!has_both && !has_h && !has_w) return;
  *to_h = has_both ? both : h;
  *to_w = has_both ? both : w;
  for (const float value : {*to_h, *to_w}) CheckPositive(name, value);
}

}  // namespace

template <typename Dtype>
void PriorBoxLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                      const vector<Blob<Dtype>*>& /*top*/) {
  const PriorBoxParameter& param = this->layer_param_.prior_box_param();
  const int sizes = param.min_size_size();
  if (sizes == 0) throw ValueError("prior_box_param.min_size is missing");
  if (param.max_size_size() != 0 && param.max_size_size() != sizes) {
    throw ValueError(Str("prior_box_param has ", param.max_size_size(),
                         " max_size values for ", sizes,
                         " of min_size, expected as many, or none"));
  }
  const vector<float> ratios = AspectRatios(param);
  boxes_.clear();
  for (int i = 0; i < sizes; ++i) {
    CheckPositive("min_size", param.min_size(i));
    const float size = std::floor(param.min_size(i));  // as SSD's, whose sizes are ints
    boxes_.push_back({size, size});
    if (param.max_size_size() > 0) {
      if (!(param.max_size(i) > param.min_size(i)) || !std::isfinite(param.max_size(i))) {
        throw ValueError(Str("prior_box_param.max_size is ", param.max_size(i),
                             ", expected more than min_size ", param.min_size(i)));
      }
      const float mean = std::sqrt(size * std::floor(param.max_size(i)));
      boxes_.push_back({mean, mean});
    }
    for (const float ratio : ratios) {
      if (std::fabs(ratio - 1) < kSameRatio) continue;
      const float root = std::sqrt(ratio);
      boxes_.push_back({size * root, size / root});
    }
  }
  variance_.assign(param.variance().begin(), param.variance().end());
  if (variance_.empty()) variance_ = {0.1f};
  if (variance_.size() != 1 && variance_.size() != 4) {
    throw ValueError(Str("prior_box_param has ", variance_.size(),
                         " variance values, expected 1 or 4"));
  }
  for (const float variance : variance_) CheckPositive("variance", variance);
  variance_.resize(4, variance_[0]);
  ReadPair("img_size", param.has_img_size(), param.img_size(), param.has_img_h(),
           param.img_h(), param.has_img_w(), param.img_w(), &image_h_, &image_w_);
  ReadPair("step", param.has_step(), param.step(), param.has_step_h(), param.step_h(),
           param.has_step_w(), param.step_w(), &step_h_, &step_w_);
}

template <typename Dtype>
void PriorBoxLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  for (int i = 0; i < 2; ++i) {
    if (bottom[i]->num_axes() == 4) continue;
    throw ValueError(Str(NameOfBottom(this->layer_param_, i), ": shape ",
                         ShapeText(bottom[i]->shape()), ", expected (N, C, H, W)"));
  }
  const int64_t values =
      int64_t{4} * bottom[0]->count(2) * static_cast<int64_t>(boxes_.size());
  if (values > INT_MAX) {
    throw ValueError(Str(boxes_.size(), " boxes at each place of ", bottom[0]->height(),
                         " x ", bottom[0]->width(), " are too many, expected at most ",
                         INT_MAX, " values"));
  }
  top[0]->Reshape({1, 2, static_cast<int>(values)});
}

template <typename Dtype>
LayerTraits PriorBoxLayer<Dtype>::Traits() const {
  return {.of = &typeid(PriorBoxLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void PriorBoxLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  const int height = bottom[0]->height(), width = bottom[0]->width();
  const float image_h = image_h_ > 0 ? image_h_ : static_cast<float>(bottom[1]->height());
  const float image_w = image_w_ > 0 ? image_w_ : static_cast<float>(bottom[1]->width());
  const float step_h = step_h_ > 0 ? step_h_ : image_h / static_cast<float>(height);
  const float step_w = step_w_ > 0 ? step_w_ : image_w / static_cast<float>(width);
  const PriorBoxParameter& param = this->layer_param_.prior_box_param();
  Dtype* to = top[0]->mutable_cpu_data();
  for (int i = 0; i < height; ++i) {
    const float y = (static_cast<float>(i) + param.offset()) * step_h;
    for (int j = 0; j < width; ++j) {
      const float x = (static_cast<float>(j) + param.offset()) * step_w;
      for (const auto& [box_w, box_h] : boxes_) {
        const float corners[] = {(x - box_w / 2) / image_w, (y - box_h / 2) / image_h,
                                 (x + box_w / 2) / image_w, (y + box_h / 2) / image_h};
        for (const float corner : corners) {
          *to++ = param.clip() ? std::min(std::max(corner, 0.f), 1.f) : corner;
        }
      }
    }
  }
  for (int k = 0; k < top[0]->shape(2); ++k) *to++ = variance_[k % 4];
}

// The boxes do not depend on what the bottoms hold.
template <typename Dtype>
void PriorBoxLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& /*top*/,
                                        const vector<bool>& propagate_down,
                                        const vector<Blob<Dtype>*>& bottom) {
  for (int i = 0; i < 2; ++i) {
    if (!propagate_down[i]) continue;
    caffe_set(bottom[i]->count(), Dtype(0), bottom[i]->mutable_cpu_diff());
  }
}

INSTANTIATE_CLASS(PriorBoxLayer);
REGISTER_LAYER_CLASS(PriorBox);

}  // namespace caffe
