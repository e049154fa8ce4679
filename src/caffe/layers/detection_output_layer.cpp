#include "caffe/layers/detection_output_layer.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

#include "caffe/layers/detection_shapes.hpp"
#include "caffe/util/bbox_util.hpp"

namespace caffe {

template <typename Dtype>
void DetectionOutputLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                             const vector<Blob<Dtype>*>& /*top*/) {
  const DetectionOutputParameter& param = this->layer_param_.detection_output_param();
  if (param.num_classes() == 0 || param.num_classes() > INT_MAX / 4) {
    throw ValueError(Str("detection_output_param.num_classes is ",
                         param.has_num_classes() ? Str(param.num_classes()) : "missing",
                         ", expected the number of classes with the background"));
  }
  const NonMaximumSuppressionParameter& nms = param.nms_param();
  if (!(nms.nms_threshold() >= 0)) {
    throw ValueError(
        Str("nms_param.nms_threshold is ", nms.nms_threshold(), ", expected 0 or more"));
  }
  if (!(nms.eta() > 0 && nms.eta() <= 1)) {
    throw ValueError(
        Str("nms_param.eta is ", nms.eta(), ", expected above 0 and at most 1"));
  }
  if (!param.save_output_param().output_directory().empty() || param.visualize()) {
    throw NotImplementedFailure(Str(
        "detection_output_param has ",
        param.visualize() ? "visualize" : "save_output_param.output_directory",
        ", but this layer writes nothing and draws nothing; leave it out, and read the "
        "rows of its top"));
  }
  num_classes_ = static_cast<int>(param.num_classes());
  num_loc_classes_ = param.share_location() ? 1 : num_classes_;
}

template <typename Dtype>
void DetectionOutputLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  num_priors_ = NumPriors(this->layer_param_, bottom, num_classes_, num_loc_classes_);
  // How many rows there are is known after Forward.
  if (top[0]->num_axes() != 4 || top[0]->shape(3) != 7) top[0]->Reshape({1, 1, 1, 7});
}

template <typename Dtype>
LayerTraits DetectionOutputLayer<Dtype>::Traits() const {
  return {.of = &typeid(DetectionOutputLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void DetectionOutputLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                              const vector<Blob<Dtype>*>& top) {
  const DetectionOutputParameter& param = this->layer_param_.detection_output_param();
  const NonMaximumSuppressionParameter& nms = param.nms_param();
  const float least = param.has_confidence_threshold()
                          ? param.confidence_threshold()
                          : std::numeric_limits<float>::lowest();
  const int top_k = nms.has_top_k() ? nms.top_k() : -1;
  const int images = bottom[0]->shape(0), background = param.background_label_id();
  vector<NormalizedBBox> priors;
  vector<vector<float>> variances;
  GetPriorBBoxes(bottom[2]->cpu_data(), num_priors_, &priors, &variances);

  struct Detection {
    int image, label;
    Dtype score;
    NormalizedBBox box;
  };
  vector<Detection> detections;
  for (int n = 0; n < images; ++n) {
    const Dtype* offsets = bottom[0]->cpu_data() + n * bottom[0]->count(1);
    const Dtype* scores = bottom[1]->cpu_data() + n * bottom[1]->count(1);
    // With shared boxes a box is decoded once, whatever the number of classes.
    vector<NormalizedBBox> decoded(int64_t{num_priors_} * num_loc_classes_);
    vector<char> is_decoded(decoded.size(), 0);
    vector<Detection> of_image;
    for (int c = 0; c < num_classes_; ++c) {
      if (c == background) continue;
      const int64_t loc_class = param.share_location() ? 0 : c;
      vector<Dtype> of_class(num_priors_);
      for (int p = 0; p < num_priors_; ++p) {
        of_class[p] = scores[int64_t{p} * num_classes_ + c];
      }
      vector<pair<Dtype, int>> candidates;
      GetMaxScoreIndex(of_class.data(), num_priors_, least, top_k, &candidates);
      vector<Dtype> corners, kept_scores;
      for (const auto& [score, p] : candidates) {
        const int64_t at = int64_t{p} * num_loc_classes_ + loc_class;
        if (!is_decoded[at]) {
          NormalizedBBox offset;
          offset.set_xmin(offsets[at * 4]);
          offset.set_ymin(offsets[at * 4 + 1]);
          offset.set_xmax(offsets[at * 4 + 2]);
          offset.set_ymax(offsets[at * 4 + 3]);
          DecodeBBox(priors[p], variances[p], param.code_type(),
                     param.variance_encoded_in_target(), false, offset, &decoded[at]);
          is_decoded[at] = 1;
        }
        for (const float corner : {decoded[at].xmin(), decoded[at].ymin(),
                                   decoded[at].xmax(), decoded[at].ymax()}) {
          corners.push_back(corner);
        }
        kept_scores.push_back(score);
      }
      vector<int> kept;
      ApplyNMSFast(corners.data(), kept_scores.data(),
                   static_cast<int>(kept_scores.size()), least, nms.nms_threshold(),
                   nms.eta(), -1, &kept);
      for (const int k : kept) {
        const auto& [score, p] = candidates[k];
        of_image.push_back(
            {n, c, score, decoded[int64_t{p} * num_loc_classes_ + loc_class]});
      }
    }
    const int keep = param.keep_top_k();
    if (keep > -1 && static_cast<size_t>(keep) < of_image.size()) {
      std::stable_sort(
          of_image.begin(), of_image.end(),
          [](const Detection& a, const Detection& b) { return a.score > b.score; });
      of_image.resize(keep);
      std::stable_sort(
          of_image.begin(), of_image.end(),
          [](const Detection& a, const Detection& b) { return a.label < b.label; });
    }
    detections.insert(detections.end(), of_image.begin(), of_image.end());
  }

  if (detections.empty()) {
    top[0]->Reshape({1, 1, images, 7});
    Dtype* row = top[0]->mutable_cpu_data();
    caffe_set(top[0]->count(), Dtype(-1), row);
    for (int n = 0; n < images; ++n) row[n * 7] = static_cast<Dtype>(n);
    return;
  }
  top[0]->Reshape({1, 1, static_cast<int>(detections.size()), 7});
  Dtype* row = top[0]->mutable_cpu_data();
  for (const Detection& detection : detections) {
    const NormalizedBBox& box = detection.box;
    const Dtype values[] = {static_cast<Dtype>(detection.image),
                            static_cast<Dtype>(detection.label),
                            detection.score,
                            box.xmin(),
                            box.ymin(),
                            box.xmax(),
                            box.ymax()};
    row = std::copy(std::begin(values), std::end(values), row);
  }
}

template <typename Dtype>
void DetectionOutputLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& /*top*/,
                                               const vector<bool>& propagate_down,
                                               const vector<Blob<Dtype>*>& /*bottom*/) {
  if (std::none_of(propagate_down.begin(), propagate_down.end(),
                   [](bool propagate) { return propagate; })) {
    return;
  }
  throw NotImplementedFailure(
      "detections have no gradient; train with a MultiBoxLoss layer instead");
}

INSTANTIATE_CLASS(DetectionOutputLayer);
REGISTER_LAYER_CLASS(DetectionOutput);

}  // namespace caffe
