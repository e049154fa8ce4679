#include "caffe/data/annotated_transform.hpp"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <string>
#include <utility>

#include "caffe/util/bbox_util.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {
namespace {

// Each draw of a sampler takes four numbers; the rest is for everything else.
constexpr std::uint64_t kMaxTrials = (kMaxAnnotationDraws - 1024) / 4;
constexpr float kMaxExpandRatio = 100;

double Uniform(rng_t* rng, double low, double high) {
  return low + (high - low) * ((*rng)() * 0x1p-32);
}

bool Happens(rng_t* rng, float probability) { return Uniform(rng, 0, 1) < probability; }

void Need(bool met, const string& what) {
  if (!met) throw ValueError(what);
}

void CheckShare(const char* name, float value) {
  Need(value >= 0 && value <= 1,
       Str("transform_param: ", name, " is ", value, ", expected 0 to 1"));
}

void CheckFactors(const char* name, float low, float high) {
  Need(low >= 0 && high >= low && std::isfinite(high),
       Str("transform_param: distort_param has factors of ", name, " from ", low, " to ",
           high, ", expected 0 or more, and the upper no smaller"));
}

void CheckDistortion(const DistortionParameter& param) {
  CheckShare("brightness_prob", param.brightness_prob());
  CheckShare("contrast_prob", param.contrast_prob());
  CheckShare("hue_prob", param.hue_prob());
  CheckShare("saturation_prob", param.saturation_prob());
  CheckShare("random_order_prob", param.random_order_prob());
  const auto delta = [](const char* name, float value, float most) {
    Need(value >= 0 && value <= most,
         Str("transform_param: ", name, " is ", value, ", expected 0 to ", most));
  };
  delta("brightness_delta", param.brightness_delta(), 255);
  delta("hue_delta", param.hue_delta(), 180);
  CheckFactors("contrast", param.contrast_lower(), param.contrast_upper());
  CheckFactors("saturation", param.saturation_lower(), param.saturation_upper());
}

void CheckResize(const ResizeParameter& param) {
  const auto side = [](const char* name, unsigned value) {
    Need(value >= 1 && value <= 65535, Str("transform_param: resize_param has ", name,
                                           " ", value, ", expected 1 to 65535 pixels"));
  };
  side("height", param.height());
  side("width", param.width());
  Need(param.prob() == 1, Str("transform_param: resize_param.prob is ", param.prob(),
                              ", expected 1, as the images of a batch have one size"));
  if (param.height_scale() > 0 || param.width_scale() > 0) {
    throw NotImplementedFailure(
        "transform_param: resize_param has height_scale or width_scale, which stretch "
        "boxes beyond the image, expected neither");
  }
}

void CheckSampler(const BatchSampler& sampler) {
  const Sampler& box = sampler.sampler();
  Need(box.min_scale() > 0 && box.max_scale() >= box.min_scale() && box.max_scale() <= 1,
       Str("batch_sampler has scales from ", box.min_scale(), " to ", box.max_scale(),
           ", expected them above 0 and at most 1, and the largest no smaller"));
  Need(
      box.min_aspect_ratio() > 0 && box.max_aspect_ratio() >= box.min_aspect_ratio() &&
          std::isfinite(box.max_aspect_ratio()),
      Str("batch_sampler has aspect ratios from ", box.min_aspect_ratio(), " to ",
          box.max_aspect_ratio(), ", expected them above 0, and the largest no smaller"));
  Need(sampler.use_original_image(),
       "batch_sampler has use_original_image: false, expected true, as there is no "
       "other image to sample from");
}

NormalizedBBox Box(double left, double top, double right, double bottom) {
  NormalizedBBox box;
  box.set_xmin(static_cast<float>(left));
  box.set_ymin(static_cast<float>(top));
  box.set_xmax(static_cast<float>(right));
  box.set_ymax(static_cast<float>(bottom));
  return box;
}

bool Within(float value, bool has_low, float low, bool has_high, float high) {
  return !(has_low && value < low) && !(has_high && value > high);
}

// Whether one of the objects has all that `constraint` asks for.
bool Meets(const SampleConstraint& constraint, const NormalizedBBox& box,
           const vector<AnnotationGroup>& groups) {
  const bool jaccard =
      constraint.has_min_jaccard_overlap() || constraint.has_max_jaccard_overlap();
  const bool sample =
      constraint.has_min_sample_coverage() || constraint.has_max_sample_coverage();
  const bool object =
      constraint.has_min_object_coverage() || constraint.has_max_object_coverage();
  if (!jaccard && !sample && !object) return true;
  const auto met_by = [&](const Annotation& annotation) {
    const NormalizedBBox& other = annotation.bbox();
    return Within(JaccardOverlap(box, other), constraint.has_min_jaccard_overlap(),
                  constraint.min_jaccard_overlap(), constraint.has_max_jaccard_overlap(),
                  constraint.max_jaccard_overlap()) &&
           Within(BBoxCoverage(box, other), constraint.has_min_sample_coverage(),
                  constraint.min_sample_coverage(), constraint.has_max_sample_coverage(),
                  constraint.max_sample_coverage()) &&
           Within(BBoxCoverage(other, box), constraint.has_min_object_coverage(),
                  constraint.min_object_coverage(), constraint.has_max_object_coverage(),
                  constraint.max_object_coverage());
  };
  return std::any_of(groups.begin(), groups.end(), [&](const AnnotationGroup& group) {
    return std::any_of(group.annotation().begin(), group.annotation().end(), met_by);
  });
}

NormalizedBBox Draw(const Sampler& sampler, rng_t* rng) {
  const double scale = Uniform(rng, sampler.min_scale(), sampler.max_scale());
  const double aspect =
      std::clamp(Uniform(rng, sampler.min_aspect_ratio(), sampler.max_aspect_ratio()),
                 scale * scale, 1 / (scale * scale));  // so that both sides are 1 at most
  const double width = std::min(1.0, scale * std::sqrt(aspect));
  const double height = std::min(1.0, scale / std::sqrt(aspect));
  const double left = Uniform(rng, 0, 1 - width);
  const double top = Uniform(rng, 0, 1 - height);
  return Box(left, top, left + width, top + height);
}

void NeedColours(const cv::Mat& image, const char* what) {
  Need(image.channels() == 3,
       Str("transform_param: distort_param changes the ", what,
           ", for which an image needs 3 channels; it has ", image.channels()));
}

// Channel `channel` of the image in hue, saturation, value: factor * x + term.
void ChangeHsv(int channel, double factor, double term, cv::Mat* image) {
  cv::Mat planes[3], hsv;
  cv::cvtColor(*image, hsv, cv::COLOR_BGR2HSV);
  cv::split(hsv, planes);
  planes[channel].convertTo(planes[channel], -1, factor, term);
  cv::merge(planes, 3, hsv);
  cv::cvtColor(hsv, *image, cv::COLOR_HSV2BGR);
}

int Interpolation(const ResizeParameter& param, rng_t* rng) {
  if (param.interp_mode_size() == 0) return cv::INTER_LINEAR;
  const auto drawn = (*rng)() % static_cast<unsigned>(param.interp_mode_size());
  switch (param.interp_mode(static_cast<int>(drawn))) {
    case ResizeParameter_Interp_mode_AREA:
      return cv::INTER_AREA;
    case ResizeParameter_Interp_mode_NEAREST:
      return cv::INTER_NEAREST;
    case ResizeParameter_Interp_mode_CUBIC:
      return cv::INTER_CUBIC;
    case ResizeParameter_Interp_mode_LANCZOS4:
      return cv::INTER_LANCZOS4;
    default:
      return cv::INTER_LINEAR;
  }
}

// One value for all channels, or one for each; 0 without.
template <typename Values>
cv::Scalar Fill(const char* name, const Values& values, int channels) {
  Need(values.size() <= 1 || (values.size() == channels && channels <= 4),
       Str("transform_param has ", values.size(), " values of ", name, ", expected 1 or ",
           channels, ", one for every channel, up to 4"));
  cv::Scalar fill = cv::Scalar::all(values.empty() ? 0 : values.Get(0));
  for (int c = 1; c < values.size(); ++c) fill[c] = values.Get(c);
  return fill;
}

}  // namespace

AnnotatedTransform::AnnotatedTransform(const TransformationParameter& param,
                                       const AnnotatedDataParameter& samplers,
                                       Phase phase)
    : param_(param), samplers_(samplers), phase_(phase) {
  const char* moving = param.has_random_resized_crop() ? "random_resized_crop"
                       : param.resize_short() > 0      ? "resize_short"
                       : param.max_rotation() > 0      ? "max_rotation"
                                                       : nullptr;
  Need(!moving, Str("transform_param has ", moving ? moving : "",
                    ", which does not move the boxes along, expected batch_sampler, "
                    "resize_param or expand_param"));
  Need((param.crop_h() > 0) == (param.crop_w() > 0),
       Str("transform_param has crop_h ", param.crop_h(), " and crop_w ", param.crop_w(),
           ", expected both or neither"));
  Need(param.crop_h() == 0 || param.crop_size() == 0,
       "transform_param has crop_size and crop_h, expected one of them");
  Need(std::max({param.crop_size(), param.crop_h(), param.crop_w()}) <= 65535,
       "transform_param has a crop of more than 65535 pixels, expected fewer");
  if (param.has_distort_param()) CheckDistortion(param.distort_param());
  if (param.has_resize_param()) CheckResize(param.resize_param());
  CheckShare("expand_param.prob", param.expand_param().prob());
  const float ratio = param.expand_param().max_expand_ratio();
  Need(ratio >= 1 && ratio <= kMaxExpandRatio,
       Str("transform_param: expand_param.max_expand_ratio is ", ratio,
           ", expected 1 to ", kMaxExpandRatio));
  std::uint64_t trials = 0;
  for (const BatchSampler& sampler : samplers.batch_sampler()) {
    CheckSampler(sampler);
    trials += sampler.max_trials();
  }
  Need(trials <= kMaxTrials, Str("annotated_data_param: the samplers have ", trials,
                                 " max_trials in all, expected at most ", kMaxTrials));
}

TransformationParameter AnnotatedTransform::Rest(const TransformationParameter& param) {
  TransformationParameter rest = param;
  rest.clear_mirror();
  rest.clear_crop_size();
  rest.clear_crop_h();
  rest.clear_crop_w();
  rest.clear_resize_param();
  rest.clear_distort_param();
  rest.clear_expand_param();
  rest.clear_emit_constraint();
  return rest;
}

void AnnotatedTransform::Apply(rng_t* rng, AnnotatedImage* image) const {
  if (param_.has_distort_param()) Distort(rng, &image->image);
  if (param_.has_expand_param()) Expand(rng, image);
  if (samplers_.batch_sampler_size() > 0) CropToSample(rng, image);
  if (param_.has_resize_param()) Resize(rng, image);
  if (param_.crop_size() > 0 || param_.crop_h() > 0) Crop(rng, image);
  if (!param_.mirror() || (*rng)() % 2 == 0) return;
  cv::Mat mirrored;
  cv::flip(image->image, mirrored, 1);
  image->image = mirrored;
  for (AnnotationGroup& group : image->groups) {
    for (Annotation& annotation : *group.mutable_annotation()) {
      NormalizedBBox* box = annotation.mutable_bbox();
      const float left = box->xmin();
      box->set_xmin(1 - box->xmax());
      box->set_xmax(1 - left);
    }
  }
}

void AnnotatedTransform::Distort(rng_t* rng, cv::Mat* image) const {
  const DistortionParameter& param = param_.distort_param();
  const auto contrast = [&] {
    if (!Happens(rng, param.contrast_prob())) return;
    const double factor = Uniform(rng, param.contrast_lower(), param.contrast_upper());
    image->convertTo(*image, -1, factor, 0);
  };
  *image = image->clone();  // it may be the database's
  // As SSD's: contrast before the changes of colours, or behind them.
  const bool contrast_first = Uniform(rng, 0, 1) > 0.5;
  if (Happens(rng, param.brightness_prob())) {
    const double delta = param.brightness_delta();
    image->convertTo(*image, -1, 1, Uniform(rng, -delta, delta));
  }
  if (contrast_first) contrast();
  if (Happens(rng, param.saturation_prob())) {
    NeedColours(*image, "saturation");
    ChangeHsv(1, Uniform(rng, param.saturation_lower(), param.saturation_upper()), 0,
              image);
  }
  if (Happens(rng, param.hue_prob())) {
    NeedColours(*image, "hue");
    ChangeHsv(0, 1, Uniform(rng, -param.hue_delta(), param.hue_delta()), image);
  }
  if (!contrast_first) contrast();
  if (Happens(rng, param.random_order_prob())) {
    vector<cv::Mat> planes;
    cv::split(*image, planes);
    caffe::shuffle(planes.begin(), planes.end(), rng);
    cv::merge(planes, *image);
  }
}

void AnnotatedTransform::Expand(rng_t* rng, AnnotatedImage* image) const {
  const ExpansionParameter& param = param_.expand_param();
  if (!Happens(rng, param.prob())) return;
  const cv::Mat& small = image->image;
  const double ratio = Uniform(rng, 1, param.max_expand_ratio());
  const int height = static_cast<int>(small.rows * ratio);
  const int width = static_cast<int>(small.cols * ratio);
  const auto below = [rng](int n) { return static_cast<int>(Uniform(rng, 0, n)); };
  const int top = below(height - small.rows + 1);
  const int left = below(width - small.cols + 1);
  cv::Mat large;
  cv::copyMakeBorder(small, large, top, height - small.rows - top, left,
                     width - small.cols - left, cv::BORDER_CONSTANT,
                     Fill("mean_value", param_.mean_value(), small.channels()));
  const double w = small.cols, h = small.rows;
  const NormalizedBBox window =
      Box(-left / w, -top / h, (width - left) / w, (height - top) / h);
  image->image = large;
  KeepInside(window, image);
}

void AnnotatedTransform::CropToSample(rng_t* rng, AnnotatedImage* image) const {
  vector<NormalizedBBox> found;
  for (const BatchSampler& sampler : samplers_.batch_sampler()) {
    unsigned met = 0;
    for (unsigned i = 0; i < sampler.max_trials(); ++i) {
      if (sampler.has_max_sample() && met >= sampler.max_sample()) break;
      const NormalizedBBox box = Draw(sampler.sampler(), rng);
      if (!Meets(sampler.sample_constraint(), box, image->groups)) continue;
      found.push_back(box);
      ++met;
    }
  }
  if (found.empty()) return;
  NormalizedBBox window = found[(*rng)() % found.size()];
  ClipBBox(window, &window);
  const int height = image->image.rows, width = image->image.cols;
  const int top = std::min(static_cast<int>(window.ymin() * height), height - 1);
  const int left = std::min(static_cast<int>(window.xmin() * width), width - 1);
  const int h = static_cast<int>((window.ymax() - window.ymin()) * height);
  const int w = static_cast<int>((window.xmax() - window.xmin()) * width);
  const cv::Rect pixels(left, top, std::clamp(w, 1, width - left),
                        std::clamp(h, 1, height - top));
  image->image = image->image(pixels);
  const double dw = width, dh = height;
  // Boxes follow the pixels, not the box that was drawn, which is finer.
  KeepInside(
      Box(left / dw, top / dh, (left + pixels.width) / dw, (top + pixels.height) / dh),
      image);
}

void AnnotatedTransform::Resize(rng_t* rng, AnnotatedImage* image) const {
  const ResizeParameter& param = param_.resize_param();
  const int interpolation = Interpolation(param, rng);
  const int height = static_cast<int>(param.height());
  const int width = static_cast<int>(param.width());
  const double aspect = static_cast<double>(image->image.cols) / image->image.rows;
  const bool narrow = aspect < static_cast<double>(width) / height;
  int h = height, w = width;
  if (param.resize_mode() != ResizeParameter_Resize_mode_WARP) {
    const bool fit_width =
        narrow == (param.resize_mode() == ResizeParameter_Resize_mode_FIT_SMALL_SIZE);
    const double other = fit_width ? width / aspect : height * aspect;
    Need(other <= 65535, Str("transform_param: resize_param makes a side of ", other,
                             " pixels of an image of ", image->image.cols, " x ",
                             image->image.rows, ", expected at most 65535"));
    (fit_width ? h : w) = std::max(1, static_cast<int>(other));
  }
  cv::Mat resized;
  cv::resize(image->image, resized, cv::Size(w, h), 0, 0, interpolation);
  if (param.resize_mode() == ResizeParameter_Resize_mode_FIT_LARGE_SIZE_AND_PAD) {
    const int top = (height - h) / 2, left = (width - w) / 2;
    const int border = param.pad_mode() == ResizeParameter_Pad_mode_MIRRORED
                           ? cv::BORDER_REFLECT_101
                       : param.pad_mode() == ResizeParameter_Pad_mode_REPEAT_NEAREST
                           ? cv::BORDER_REPLICATE
                           : cv::BORDER_CONSTANT;
    cv::Mat padded;
    cv::copyMakeBorder(resized, padded, top, height - h - top, left, width - w - left,
                       border, Fill("pad_value", param.pad_value(), resized.channels()));
    resized = padded;
    const double dw = w, dh = h;
    // All of every box is inside, whatever emit_constraint says.
    const NormalizedBBox window =
        Box(-left / dw, -top / dh, (width - left) / dw, (height - top) / dh);
    for (AnnotationGroup& group : image->groups) {
      for (Annotation& annotation : *group.mutable_annotation()) {
        const NormalizedBBox box = annotation.bbox();
        ProjectBBox(window, box, annotation.mutable_bbox());
      }
    }
  }
  image->image = resized;
}

void AnnotatedTransform::Crop(rng_t* rng, AnnotatedImage* image) const {
  const int h =
      static_cast<int>(param_.crop_h() > 0 ? param_.crop_h() : param_.crop_size());
  const int w =
      static_cast<int>(param_.crop_h() > 0 ? param_.crop_w() : param_.crop_size());
  const int height = image->image.rows, width = image->image.cols;
  Need(h <= height && w <= width,
       Str("a crop of ", w, " x ", h, " pixels is larger than the image of ", width,
           " x ", height, "; use larger images, a smaller crop, or resize_param"));
  int top = (height - h) / 2, left = (width - w) / 2;
  if (phase_ == TRAIN) {
    top = static_cast<int>((*rng)() % static_cast<unsigned>(height - h + 1));
    left = static_cast<int>((*rng)() % static_cast<unsigned>(width - w + 1));
  }
  image->image = image->image(cv::Rect(left, top, w, h));
  const double dw = width, dh = height;
  KeepInside(Box(left / dw, top / dh, (left + w) / dw, (top + h) / dh), image);
}

// The image has become `window` of what it was.
void AnnotatedTransform::KeepInside(const NormalizedBBox& window,
                                    AnnotatedImage* image) const {
  vector<AnnotationGroup> kept;
  for (const AnnotationGroup& group : image->groups) {
    AnnotationGroup inside;
    inside.set_group_label(group.group_label());
    for (const Annotation& annotation : group.annotation()) {
      NormalizedBBox box;
      if (param_.has_emit_constraint() &&
          !MeetEmitConstraint(window, annotation.bbox(), param_.emit_constraint())) {
        continue;
      }
      if (!ProjectBBox(window, annotation.bbox(), &box)) continue;
      Annotation* added = inside.add_annotation();
      added->set_instance_id(annotation.instance_id());
      *added->mutable_bbox() = box;
    }
    if (inside.annotation_size() > 0) kept.push_back(std::move(inside));
  }
  image->groups = std::move(kept);
}

}  // namespace caffe
