#include "caffe/util/bbox_util.hpp"

#include <algorithm>
#include <cmath>

namespace caffe {

bool SortBBoxAscend(const NormalizedBBox& bbox1, const NormalizedBBox& bbox2) {
  return bbox1.score() < bbox2.score();
}

bool SortBBoxDescend(const NormalizedBBox& bbox1, const NormalizedBBox& bbox2) {
  return bbox1.score() > bbox2.score();
}

namespace {

void SetCorners(float xmin, float ymin, float xmax, float ymax, NormalizedBBox* bbox) {
  bbox->set_xmin(xmin);
  bbox->set_ymin(ymin);
  bbox->set_xmax(xmax);
  bbox->set_ymax(ymax);
}

float Between(float value, float least, float most) {
  return std::max(std::min(value, most), least);
}

void UpdateSize(bool normalized, NormalizedBBox* bbox) {
  bbox->clear_size();
  bbox->set_size(BBoxSize(*bbox, normalized));
}

}  // namespace

NormalizedBBox UnitBBox() {
  NormalizedBBox unit;
  SetCorners(0, 0, 1, 1, &unit);
  return unit;
}

bool IsCrossBoundaryBBox(const NormalizedBBox& bbox) {
  for (const float place : {bbox.xmin(), bbox.ymin(), bbox.xmax(), bbox.ymax()}) {
    if (place < 0 || place > 1) return true;
  }
  return false;
}

void IntersectBBox(const NormalizedBBox& bbox1, const NormalizedBBox& bbox2,
                   NormalizedBBox* intersect_bbox) {
  const float xmin = std::max(bbox1.xmin(), bbox2.xmin());
  const float ymin = std::max(bbox1.ymin(), bbox2.ymin());
  const float xmax = std::min(bbox1.xmax(), bbox2.xmax());
  const float ymax = std::min(bbox1.ymax(), bbox2.ymax());
  const bool apart = bbox2.xmin() > bbox1.xmax() || bbox2.xmax() < bbox1.xmin() ||
                     bbox2.ymin() > bbox1.ymax() || bbox2.ymax() < bbox1.ymin();
  if (apart) {
    SetCorners(0, 0, 0, 0, intersect_bbox);
  } else {
    SetCorners(xmin, ymin, xmax, ymax, intersect_bbox);
  }
}

float BBoxSize(const NormalizedBBox& bbox, const bool normalized) {
  if (bbox.xmax() < bbox.xmin() || bbox.ymax() < bbox.ymin()) return 0;
  if (bbox.has_size()) return bbox.size();
  const float corners[] = {bbox.xmin(), bbox.ymin(), bbox.xmax(), bbox.ymax()};
  return BBoxSize(corners, normalized);
}

template <typename Dtype>
Dtype BBoxSize(const Dtype* bbox, const bool normalized) {
  if (bbox[2] < bbox[0] || bbox[3] < bbox[1]) return 0;
  const Dtype last = normalized ? 0 : 1;
  return (bbox[2] - bbox[0] + last) * (bbox[3] - bbox[1] + last);
}

void ClipBBox(const NormalizedBBox& bbox, NormalizedBBox* clip_bbox) {
  ClipBBox(bbox, 1, 1, clip_bbox);
}

void ClipBBox(const NormalizedBBox& bbox, const float height, const float width,
              NormalizedBBox* clip_bbox) {
  const bool difficult = bbox.difficult();
  SetCorners(Between(bbox.xmin(), 0, width), Between(bbox.ymin(), 0, height),
             Between(bbox.xmax(), 0, width), Between(bbox.ymax(), 0, height), clip_bbox);
  UpdateSize(true, clip_bbox);
  clip_bbox->set_difficult(difficult);
}

void ScaleBBox(const NormalizedBBox& bbox, const int height, const int width,
               NormalizedBBox* scale_bbox) {
  const bool difficult = bbox.difficult();
  SetCorners(bbox.xmin() * width, bbox.ymin() * height, bbox.xmax() * width,
             bbox.ymax() * height, scale_bbox);
  UpdateSize(!(width > 1 || height > 1), scale_bbox);
  scale_bbox->set_difficult(difficult);
}

void OutputBBox(const NormalizedBBox& bbox, const pair<int, int>& img_size,
                const bool has_resize, const ResizeParameter& resize_param,
                NormalizedBBox* out_bbox) {
  const int height = img_size.first, width = img_size.second;
  NormalizedBBox inside = bbox;
  if (has_resize) {
    CHECK_GT(resize_param.height(), 0u);
    CHECK_GT(resize_param.width(), 0u);
    const float resize_height = resize_param.height();
    const float resize_width = resize_param.width();
    const int height_scale = resize_param.height_scale();
    const int width_scale = resize_param.width_scale();
    if (resize_param.resize_mode() == ResizeParameter_Resize_mode_FIT_SMALL_SIZE &&
        height_scale > 0 && width_scale > 0) {
      ScaleBBox(bbox, height_scale, width_scale, out_bbox);
      ClipBBox(*out_bbox, height, width, out_bbox);
      return;
    }
    if (resize_param.resize_mode() ==
        ResizeParameter_Resize_mode_FIT_LARGE_SIZE_AND_PAD) {
      const float aspect = static_cast<float>(width) / height;
      NormalizedBBox image = UnitBBox();  // in what was padded
      if (aspect > resize_width / resize_height) {
        const float padding = (resize_height - resize_width / aspect) / 2;
        image.set_ymin(padding / resize_height);
        image.set_ymax(1 - padding / resize_height);
      } else {
        const float padding = (resize_width - resize_height * aspect) / 2;
        image.set_xmin(padding / resize_width);
        image.set_xmax(1 - padding / resize_width);
      }
      ProjectBBox(image, bbox, &inside);
    }
  }
  ClipBBox(inside, &inside);
  ScaleBBox(inside, height, width, out_bbox);
}

void LocateBBox(const NormalizedBBox& src_bbox, const NormalizedBBox& bbox,
                NormalizedBBox* loc_bbox) {
  const float width = src_bbox.xmax() - src_bbox.xmin();
  const float height = src_bbox.ymax() - src_bbox.ymin();
  const bool difficult = bbox.difficult();
  SetCorners(src_bbox.xmin() + bbox.xmin() * width,
             src_bbox.ymin() + bbox.ymin() * height,
             src_bbox.xmin() + bbox.xmax() * width,
             src_bbox.ymin() + bbox.ymax() * height, loc_bbox);
  loc_bbox->set_difficult(difficult);
}

bool ProjectBBox(const NormalizedBBox& src_bbox, const NormalizedBBox& bbox,
                 NormalizedBBox* proj_bbox) {
  if (bbox.xmin() >= src_bbox.xmax() || bbox.xmax() <= src_bbox.xmin() ||
      bbox.ymin() >= src_bbox.ymax() || bbox.ymax() <= src_bbox.ymin()) {
    return false;
  }
  const float width = src_bbox.xmax() - src_bbox.xmin();
  const float height = src_bbox.ymax() - src_bbox.ymin();
  const bool difficult = bbox.difficult();
  SetCorners((bbox.xmin() - src_bbox.xmin()) / width,
             (bbox.ymin() - src_bbox.ymin()) / height,
             (bbox.xmax() - src_bbox.xmin()) / width,
             (bbox.ymax() - src_bbox.ymin()) / height, proj_bbox);
  proj_bbox->set_difficult(difficult);
  ClipBBox(*proj_bbox, proj_bbox);
  return BBoxSize(*proj_bbox) > 0;
}

void ExtrapolateBBox(const ResizeParameter& param, const int height, const int width,
                     const NormalizedBBox& crop_bbox, NormalizedBBox* bbox) {
  const float height_scale = param.height_scale(), width_scale = param.width_scale();
  if (!(height_scale > 0 && width_scale > 0) ||
      param.resize_mode() != ResizeParameter_Resize_mode_FIT_SMALL_SIZE) {
    return;
  }
  const float aspect = static_cast<float>(width) / height;
  float resize_height = param.height(), resize_width = param.width();
  if (aspect < resize_width / resize_height) {
    resize_height = resize_width / aspect;
  } else {
    resize_width = resize_height * aspect;
  }
  const float crop_height = resize_height * (crop_bbox.ymax() - crop_bbox.ymin());
  const float crop_width = resize_width * (crop_bbox.xmax() - crop_bbox.xmin());
  CHECK_GE(crop_width, width_scale);
  CHECK_GE(crop_height, height_scale);
  SetCorners(bbox->xmin() * crop_width / width_scale,
             bbox->ymin() * crop_height / height_scale,
             bbox->xmax() * crop_width / width_scale,
             bbox->ymax() * crop_height / height_scale, bbox);
}

float JaccardOverlap(const NormalizedBBox& bbox1, const NormalizedBBox& bbox2,
                     const bool normalized) {
  NormalizedBBox common;
  IntersectBBox(bbox1, bbox2, &common);
  const float last = normalized ? 0 : 1;
  const float width = common.xmax() - common.xmin() + last;
  const float height = common.ymax() - common.ymin() + last;
  if (!(width > 0 && height > 0)) return 0;
  const float area = width * height;
  return area / (BBoxSize(bbox1, normalized) + BBoxSize(bbox2, normalized) - area);
}

template <typename Dtype>
Dtype JaccardOverlap(const Dtype* bbox1, const Dtype* bbox2) {
  const Dtype width = std::min(bbox1[2], bbox2[2]) - std::max(bbox1[0], bbox2[0]);
  const Dtype height = std::min(bbox1[3], bbox2[3]) - std::max(bbox1[1], bbox2[1]);
  if (!(width > 0 && height > 0)) return 0;
  const Dtype area = width * height;
  return area / (BBoxSize(bbox1) + BBoxSize(bbox2) - area);
}

float BBoxCoverage(const NormalizedBBox& bbox1, const NormalizedBBox& bbox2) {
  NormalizedBBox common;
  IntersectBBox(bbox1, bbox2, &common);
  const float area = BBoxSize(common);
  return area > 0 ? area / BBoxSize(bbox1) : 0;
}

bool MeetEmitConstraint(const NormalizedBBox& src_bbox, const NormalizedBBox& bbox,
                        const EmitConstraint& emit_constraint) {
  if (emit_constraint.emit_type() == EmitConstraint_EmitType_MIN_OVERLAP) {
    return BBoxCoverage(bbox, src_bbox) > emit_constraint.emit_overlap();
  }
  const float x = (bbox.xmin() + bbox.xmax()) / 2, y = (bbox.ymin() + bbox.ymax()) / 2;
  return x >= src_bbox.xmin() && x <= src_bbox.xmax() && y >= src_bbox.ymin() &&
         y <= src_bbox.ymax();
}

namespace {

// A prior box, and what its offsets are divided by.
struct Prior {
  float x, y, width, height;
  float variance[4] = {1, 1, 1, 1};

  Prior(const NormalizedBBox& box, const vector<float>& variances, CodeType code_type,
        bool without_variances) {
    width = box.xmax() - box.xmin();
    height = box.ymax() - box.ymin();
    x = (box.xmin() + box.xmax()) / 2;
    y = (box.ymin() + box.ymax()) / 2;
    if (code_type != PriorBoxParameter_CodeType_CORNER && !(width > 0 && height > 0)) {
      throw ValueError(Str("a prior box has corners (", box.xmin(), ", ", box.ymin(),
                           ") and (", box.xmax(), ", ", box.ymax(),
                           "), expected an area above 0; code_type CORNER works "
                           "without one"));
    }
    if (without_variances) return;
    CHECK_EQ(variances.size(), 4u);
    for (int i = 0; i < 4; ++i) variance[i] = variances[i];
  }
};

}  // namespace

void EncodeBBox(const NormalizedBBox& prior_bbox, const vector<float>& prior_variance,
                const CodeType code_type, const bool encode_variance_in_target,
                const NormalizedBBox& bbox, NormalizedBBox* encode_bbox) {
  const Prior prior(prior_bbox, prior_variance, code_type, encode_variance_in_target);
  const float* v = prior.variance;
  for (int i = 0; i < 4; ++i) CHECK_GT(v[i], 0);
  if (code_type == PriorBoxParameter_CodeType_CENTER_SIZE) {
    const float width = bbox.xmax() - bbox.xmin(), height = bbox.ymax() - bbox.ymin();
    if (!(width > 0 && height > 0)) {
      throw ValueError(Str("an object has corners (", bbox.xmin(), ", ", bbox.ymin(),
                           ") and (", bbox.xmax(), ", ", bbox.ymax(),
                           "), expected an area above 0 for code_type CENTER_SIZE"));
    }
    const float x = (bbox.xmin() + bbox.xmax()) / 2, y = (bbox.ymin() + bbox.ymax()) / 2;
    SetCorners((x - prior.x) / prior.width / v[0], (y - prior.y) / prior.height / v[1],
               std::log(width / prior.width) / v[2],
               std::log(height / prior.height) / v[3], encode_bbox);
    return;
  }
  const bool sized = code_type == PriorBoxParameter_CodeType_CORNER_SIZE;
  const float width = sized ? prior.width : 1, height = sized ? prior.height : 1;
  SetCorners((bbox.xmin() - prior_bbox.xmin()) / width / v[0],
             (bbox.ymin() - prior_bbox.ymin()) / height / v[1],
             (bbox.xmax() - prior_bbox.xmax()) / width / v[2],
             (bbox.ymax() - prior_bbox.ymax()) / height / v[3], encode_bbox);
}

void DecodeBBox(const NormalizedBBox& prior_bbox, const vector<float>& prior_variance,
                const CodeType code_type, const bool variance_encoded_in_target,
                const bool clip_bbox, const NormalizedBBox& bbox,
                NormalizedBBox* decode_bbox) {
  const Prior prior(prior_bbox, prior_variance, code_type, variance_encoded_in_target);
  const float* v = prior.variance;
  if (code_type == PriorBoxParameter_CodeType_CENTER_SIZE) {
    const float x = v[0] * bbox.xmin() * prior.width + prior.x;
    const float y = v[1] * bbox.ymin() * prior.height + prior.y;
    const float width = std::exp(v[2] * bbox.xmax()) * prior.width;
    const float height = std::exp(v[3] * bbox.ymax()) * prior.height;
    SetCorners(x - width / 2, y - height / 2, x + width / 2, y + height / 2, decode_bbox);
  } else {
    const bool sized = code_type == PriorBoxParameter_CodeType_CORNER_SIZE;
    const float width = sized ? prior.width : 1, height = sized ? prior.height : 1;
    SetCorners(prior_bbox.xmin() + v[0] * bbox.xmin() * width,
               prior_bbox.ymin() + v[1] * bbox.ymin() * height,
               prior_bbox.xmax() + v[2] * bbox.xmax() * width,
               prior_bbox.ymax() + v[3] * bbox.ymax() * height, decode_bbox);
  }
  UpdateSize(true, decode_bbox);
  if (clip_bbox) ClipBBox(*decode_bbox, decode_bbox);
}

void DecodeBBoxes(const vector<NormalizedBBox>& prior_bboxes,
                  const vector<vector<float>>& prior_variances, const CodeType code_type,
                  const bool variance_encoded_in_target, const bool clip_bbox,
                  const vector<NormalizedBBox>& bboxes,
                  vector<NormalizedBBox>* decode_bboxes) {
  CHECK_EQ(prior_bboxes.size(), prior_variances.size());
  CHECK_EQ(prior_bboxes.size(), bboxes.size());
  decode_bboxes->assign(bboxes.size(), NormalizedBBox());
  for (size_t i = 0; i < bboxes.size(); ++i) {
    DecodeBBox(prior_bboxes[i], prior_variances[i], code_type, variance_encoded_in_target,
               clip_bbox, bboxes[i], &(*decode_bboxes)[i]);
  }
}

void DecodeBBoxesAll(const vector<LabelBBox>& all_loc_pred,
                     const vector<NormalizedBBox>& prior_bboxes,
                     const vector<vector<float>>& prior_variances, const int num,
                     const bool share_location, const int num_loc_classes,
                     const int background_label_id, const CodeType code_type,
                     const bool variance_encoded_in_target, const bool clip,
                     vector<LabelBBox>* all_decode_bboxes) {
  CHECK_EQ(all_loc_pred.size(), static_cast<size_t>(num));
  all_decode_bboxes->assign(num, LabelBBox());
  for (int i = 0; i < num; ++i) {
    for (int c = 0; c < num_loc_classes; ++c) {
      if (!share_location && c == background_label_id) continue;
      const int label = share_location ? -1 : c;
      const auto found = all_loc_pred[i].find(label);
      CHECK(found != all_loc_pred[i].end()) << "no box predictions for label " << label;
      DecodeBBoxes(prior_bboxes, prior_variances, code_type, variance_encoded_in_target,
                   clip, found->second, &(*all_decode_bboxes)[i][label]);
    }
  }
}

namespace {

// Calls visit(image, label, instance box) for every row of ground truth that counts.
template <typename Dtype, typename Visit>
void ForEachObject(const Dtype* gt_data, int num_gt, int background_label_id,
                   bool use_difficult_gt, const Visit& visit) {
  for (int i = 0; i < num_gt; ++i) {
    const Dtype* row = gt_data + i * 8;
    const int image = static_cast<int>(row[0]);
    if (image == -1) continue;
    const int label = static_cast<int>(row[1]);
    if (label == background_label_id) {
      throw ValueError(Str("an object of image ", image, " has label ", label,
                           ", which is background_label_id; check the annotations"));
    }
    NormalizedBBox bbox;
    bbox.set_label(label);
    SetCorners(row[3], row[4], row[5], row[6], &bbox);
    bbox.set_difficult(row[7] != 0);
    if (bbox.difficult() && !use_difficult_gt) continue;
    UpdateSize(true, &bbox);
    visit(image, label, bbox);
  }
}

}  // namespace

template <typename Dtype>
void GetGroundTruth(const Dtype* gt_data, const int num_gt, const int background_label_id,
                    const bool use_difficult_gt,
                    map<int, vector<NormalizedBBox>>* all_gt_bboxes) {
  all_gt_bboxes->clear();
  ForEachObject(gt_data, num_gt, background_label_id, use_difficult_gt,
                [&](int image, int, const NormalizedBBox& bbox) {
                  (*all_gt_bboxes)[image].push_back(bbox);
                });
}

template <typename Dtype>
void GetGroundTruth(const Dtype* gt_data, const int num_gt, const int background_label_id,
                    const bool use_difficult_gt, map<int, LabelBBox>* all_gt_bboxes) {
  all_gt_bboxes->clear();
  ForEachObject(gt_data, num_gt, background_label_id, use_difficult_gt,
                [&](int image, int label, const NormalizedBBox& bbox) {
                  (*all_gt_bboxes)[image][label].push_back(bbox);
                });
}

template <typename Dtype>
void GetLocPredictions(const Dtype* loc_data, const int num,
                       const int num_preds_per_class, const int num_loc_classes,
                       const bool share_location, vector<LabelBBox>* loc_preds) {
  if (share_location) CHECK_EQ(num_loc_classes, 1);
  loc_preds->assign(num, LabelBBox());
  for (LabelBBox& by_label : *loc_preds) {
    for (int c = 0; c < num_loc_classes; ++c) {
      vector<NormalizedBBox>& boxes = by_label[share_location ? -1 : c];
      boxes.resize(num_preds_per_class);
      for (int p = 0; p < num_preds_per_class; ++p) {
        const Dtype* box = loc_data + (p * num_loc_classes + c) * 4;
        SetCorners(box[0], box[1], box[2], box[3], &boxes[p]);
      }
    }
    loc_data += num_preds_per_class * num_loc_classes * 4;
  }
}

template <typename Dtype>
void GetConfidenceScores(const Dtype* conf_data, const int num,
                         const int num_preds_per_class, const int num_classes,
                         vector<map<int, vector<float>>>* conf_scores) {
  GetConfidenceScores(conf_data, num, num_preds_per_class, num_classes, false,
                      conf_scores);
}

template <typename Dtype>
void GetConfidenceScores(const Dtype* conf_data, const int num,
                         const int num_preds_per_class, const int num_classes,
                         const bool class_major,
                         vector<map<int, vector<float>>>* conf_scores) {
  conf_scores->assign(num, map<int, vector<float>>());
  for (map<int, vector<float>>& by_label : *conf_scores) {
    for (int c = 0; c < num_classes; ++c) {
      vector<float>& scores = by_label[c];
      for (int p = 0; p < num_preds_per_class; ++p) {
        scores.push_back(
            conf_data[class_major ? c * num_preds_per_class + p : p * num_classes + c]);
      }
    }
    conf_data += num_preds_per_class * num_classes;
  }
}

template <typename Dtype>
void GetPriorBBoxes(const Dtype* prior_data, const int num_priors,
                    vector<NormalizedBBox>* prior_bboxes,
                    vector<vector<float>>* prior_variances) {
  prior_bboxes->assign(num_priors, NormalizedBBox());
  prior_variances->assign(num_priors, vector<float>(4));
  for (int p = 0; p < num_priors; ++p) {
    const Dtype *box = prior_data + p * 4, *variance = prior_data + (num_priors + p) * 4;
    SetCorners(box[0], box[1], box[2], box[3], &(*prior_bboxes)[p]);
    UpdateSize(true, &(*prior_bboxes)[p]);
    for (int i = 0; i < 4; ++i) (*prior_variances)[p][i] = variance[i];
  }
}

template <typename Dtype>
void GetDetectionResults(const Dtype* det_data, const int num_det,
                         const int background_label_id,
                         map<int, LabelBBox>* all_detections) {
  all_detections->clear();
  for (int i = 0; i < num_det; ++i) {
    const Dtype* row = det_data + i * 7;
    const int image = static_cast<int>(row[0]), label = static_cast<int>(row[1]);
    if (image == -1) continue;
    CHECK_NE(label, background_label_id) << "a detection is of the background";
    NormalizedBBox bbox;
    bbox.set_score(row[2]);
    SetCorners(row[3], row[4], row[5], row[6], &bbox);
    UpdateSize(true, &bbox);
    (*all_detections)[image][label].push_back(bbox);
  }
}

#define INSTANTIATE(Dtype)                                                          \
  template Dtype BBoxSize(const Dtype*, bool);                                      \
  template Dtype JaccardOverlap(const Dtype*, const Dtype*);                        \
  template void GetGroundTruth(const Dtype*, int, int, bool,                        \
                               map<int, vector<NormalizedBBox>>*);                  \
  template void GetGroundTruth(const Dtype*, int, int, bool, map<int, LabelBBox>*); \
  template void GetLocPredictions(const Dtype*, int, int, int, bool,                \
                                  vector<LabelBBox>*);                              \
  template void GetConfidenceScores(const Dtype*, int, int, int,                    \
                                    vector<map<int, vector<float>>>*);              \
  template void GetConfidenceScores(const Dtype*, int, int, int, bool,              \
                                    vector<map<int, vector<float>>>*);              \
  template void GetPriorBBoxes(const Dtype*, int, vector<NormalizedBBox>*,          \
                               vector<vector<float>>*);                             \
  template void GetDetectionResults(const Dtype*, int, int, map<int, LabelBBox>*)

INSTANTIATE(float);
INSTANTIATE(double);

}  // namespace caffe
