#ifndef CAFFE_UTIL_BBOX_UTIL_H_
#define CAFFE_UTIL_BBOX_UTIL_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

// Boxes in images, with the names and signatures of SSD's Caffe. Boxes are corners as
// shares of the image, or pixels where something says so. Labels are numbers; -1 stands
// for all classes where they share boxes.

typedef EmitConstraint_EmitType EmitType;
typedef PriorBoxParameter_CodeType CodeType;
typedef MultiBoxLossParameter_MatchType MatchType;
typedef MultiBoxLossParameter_LocLossType LocLossType;
typedef MultiBoxLossParameter_ConfLossType ConfLossType;
typedef MultiBoxLossParameter_MiningType MiningType;

/// Boxes by label.
typedef map<int, vector<NormalizedBBox>> LabelBBox;

// One box, or two (bbox_util.cpp).

/// Order of the scores, for std::sort.
bool SortBBoxAscend(const NormalizedBBox& bbox1, const NormalizedBBox& bbox2);
bool SortBBoxDescend(const NormalizedBBox& bbox1, const NormalizedBBox& bbox2);
template <typename T>
bool SortScorePairAscend(const pair<float, T>& pair1, const pair<float, T>& pair2) {
  return pair1.first < pair2.first;
}
template <typename T>
bool SortScorePairDescend(const pair<float, T>& pair1, const pair<float, T>& pair2) {
  return pair1.first > pair2.first;
}

/// (0, 0, 1, 1)
NormalizedBBox UnitBBox();

/// Whether a corner is outside the unit square.
bool IsCrossBoundaryBBox(const NormalizedBBox& bbox);

/// All zeros where the boxes do not touch.
void IntersectBBox(const NormalizedBBox& bbox1, const NormalizedBBox& bbox2,
                   NormalizedBBox* intersect_bbox);

/// The area, 0 of a box whose corners are swapped: `size` where that is given. In pixels,
/// not `normalized`, the last row and column count, too.
float BBoxSize(const NormalizedBBox& bbox, const bool normalized = true);
template <typename Dtype>
Dtype BBoxSize(const Dtype* bbox, const bool normalized = true);

/// Into the unit square, or into height x width pixels.
void ClipBBox(const NormalizedBBox& bbox, NormalizedBBox* clip_bbox);
void ClipBBox(const NormalizedBBox& bbox, const float height, const float width,
              NormalizedBBox* clip_bbox);

/// From shares to pixels of an image.
void ScaleBBox(const NormalizedBBox& bbox, const int height, const int width,
               NormalizedBBox* scale_bbox);

/// From shares of what a net has seen to pixels of the image (height, width), which was
/// resized by `resize_param` if has_resize.
void OutputBBox(const NormalizedBBox& bbox, const pair<int, int>& img_size,
                const bool has_resize, const ResizeParameter& resize_param,
                NormalizedBBox* out_bbox);

/// `bbox`, given as shares of src_bbox, as shares of what that is given in.
void LocateBBox(const NormalizedBBox& src_bbox, const NormalizedBBox& bbox,
                NormalizedBBox* loc_bbox);

/// The inverse, clipped to src_bbox; false if nothing is left.
bool ProjectBBox(const NormalizedBBox& src_bbox, const NormalizedBBox& bbox,
                 NormalizedBBox* proj_bbox);

/// With FIT_SMALL_SIZE and a height_scale and width_scale: boxes of a crop of an image
/// of height x width as shares of those.
void ExtrapolateBBox(const ResizeParameter& param, const int height, const int width,
                     const NormalizedBBox& crop_bbox, NormalizedBBox* bbox);

/// Intersection over union.
float JaccardOverlap(const NormalizedBBox& bbox1, const NormalizedBBox& bbox2,
                     const bool normalized = true);
template <typename Dtype>
Dtype JaccardOverlap(const Dtype* bbox1, const Dtype* bbox2);

/// Share of bbox1 that bbox2 covers.
float BBoxCoverage(const NormalizedBBox& bbox1, const NormalizedBBox& bbox2);

/// Whether a box stays when the image is cropped to src_bbox.
bool MeetEmitConstraint(const NormalizedBBox& src_bbox, const NormalizedBBox& bbox,
                        const EmitConstraint& emit_constraint);

// What a net learns of a box: offsets from a prior box. With prior centre (x, y), width w
// and height h, and variances v:
//   CORNER       (corner - prior corner) / v
//   CORNER_SIZE  the same, divided by w or h
//   CENTER_SIZE  (centre - prior centre) / w / v, log(width / w) / v, and so with h
// Without variances where they are encoded in the target.
void EncodeBBox(const NormalizedBBox& prior_bbox, const vector<float>& prior_variance,
                const CodeType code_type, const bool encode_variance_in_target,
                const NormalizedBBox& bbox, NormalizedBBox* encode_bbox);
void DecodeBBox(const NormalizedBBox& prior_bbox, const vector<float>& prior_variance,
                const CodeType code_type, const bool variance_encoded_in_target,
                const bool clip_bbox, const NormalizedBBox& bbox,
                NormalizedBBox* decode_bbox);
void DecodeBBoxes(const vector<NormalizedBBox>& prior_bboxes,
                  const vector<vector<float>>& prior_variances, const CodeType code_type,
                  const bool variance_encoded_in_target, const bool clip_bbox,
                  const vector<NormalizedBBox>& bboxes,
                  vector<NormalizedBBox>* decode_bboxes);
/// Of a batch.
void DecodeBBoxesAll(const vector<LabelBBox>& all_loc_pred,
                     const vector<NormalizedBBox>& prior_bboxes,
                     const vector<vector<float>>& prior_variances, const int num,
                     const bool share_location, const int num_loc_classes,
                     const int background_label_id, const CodeType code_type,
                     const bool variance_encoded_in_target, const bool clip,
                     vector<LabelBBox>* all_decode_bboxes);

// Blobs of a net, taken apart (bbox_util.cpp).

/// Ground truth: rows (image, label, instance, xmin, ymin, xmax, ymax, difficult), an
/// image of -1 for none. By image, or by image and label.
template <typename Dtype>
void GetGroundTruth(const Dtype* gt_data, const int num_gt, const int background_label_id,
                    const bool use_difficult_gt,
                    map<int, vector<NormalizedBBox>>* all_gt_bboxes);
template <typename Dtype>
void GetGroundTruth(const Dtype* gt_data, const int num_gt, const int background_label_id,
                    const bool use_difficult_gt, map<int, LabelBBox>* all_gt_bboxes);

/// Predicted offsets (images, priors, classes, 4), with one class if they share boxes.
template <typename Dtype>
void GetLocPredictions(const Dtype* loc_data, const int num,
                       const int num_preds_per_class, const int num_loc_classes,
                       const bool share_location, vector<LabelBBox>* loc_preds);

/// Scores (images, priors, classes), or (images, classes, priors) if class_major.
template <typename Dtype>
void GetConfidenceScores(const Dtype* conf_data, const int num,
                         const int num_preds_per_class, const int num_classes,
                         vector<map<int, vector<float>>>* conf_scores);
template <typename Dtype>
void GetConfidenceScores(const Dtype* conf_data, const int num,
                         const int num_preds_per_class, const int num_classes,
                         const bool class_major,
                         vector<map<int, vector<float>>>* conf_scores);

/// Prior boxes (2, priors, 4): corners, then variances.
template <typename Dtype>
void GetPriorBBoxes(const Dtype* prior_data, const int num_priors,
                    vector<NormalizedBBox>* prior_bboxes,
                    vector<vector<float>>* prior_variances);

/// Detections: rows (image, label, score, xmin, ymin, xmax, ymax).
template <typename Dtype>
void GetDetectionResults(const Dtype* det_data, const int num_det,
                         const int background_label_id,
                         map<int, LabelBBox>* all_detections);

// Non-maximum suppression (bbox_nms.cpp). A top_k of -1 keeps all.

/// (score, index), the largest scores first; equal ones in the order they come in.
void GetTopKScoreIndex(const vector<float>& scores, const vector<int>& indices,
                       const int top_k, vector<pair<float, int>>* score_index_vec);
/// Those above the threshold.
void GetMaxScoreIndex(const vector<float>& scores, const float threshold, const int top_k,
                      vector<pair<float, int>>* score_index_vec);
template <typename Dtype>
void GetMaxScoreIndex(const Dtype* scores, const int num, const float threshold,
                      const int top_k, vector<pair<Dtype, int>>* score_index_vec);

/// Takes the box with the largest score, drops those that overlap it by more than the
/// threshold, and so on with the rest. `overlaps` keeps them for another call if
/// reuse_overlaps.
void ApplyNMS(const vector<NormalizedBBox>& bboxes, const vector<float>& scores,
              const float threshold, const int top_k, const bool reuse_overlaps,
              map<int, map<int, float>>* overlaps, vector<int>* indices);
void ApplyNMS(const vector<NormalizedBBox>& bboxes, const vector<float>& scores,
              const float threshold, const int top_k, vector<int>* indices);
/// The same of `num` boxes in order, by which overlap each other.
void ApplyNMS(const bool* overlapped, const int num, vector<int>* indices);
/// Of boxes with scores above score_threshold. While it is above 0.5 the nms_threshold is
/// multiplied by eta for each box that stays.
void ApplyNMSFast(const vector<NormalizedBBox>& bboxes, const vector<float>& scores,
                  const float score_threshold, const float nms_threshold, const float eta,
                  const int top_k, vector<int>* indices);
template <typename Dtype>
void ApplyNMSFast(const Dtype* bboxes, const Dtype* scores, const int num,
                  const float score_threshold, const float nms_threshold, const float eta,
                  const int top_k, vector<int>* indices);

/// Sums of the second values, those with the largest first ones first.
void CumSum(const vector<pair<float, int>>& pairs, vector<int>* cumsum);

/// Average precision of detections: `tp` and `fp` have (score, 1 or 0) for each.
/// ap_version is 11point (VOC 2007), MaxIntegral (VOC 2012) or Integral.
void ComputeAP(const vector<pair<float, int>>& tp, const int num_pos,
               const vector<pair<float, int>>& fp, const string ap_version,
               vector<float>* prec, vector<float>* rec, float* ap);

// Which predictions belong to which objects (bbox_matching.cpp).

/// match_indices has for each prediction an index into `gt`, -1 for none, or -2 if it is
/// ignored; match_overlaps its largest overlap. Label -1 takes all of `gt`.
void MatchBBox(const vector<NormalizedBBox>& gt,
               const vector<NormalizedBBox>& pred_bboxes, const int label,
               const MatchType match_type, const float overlap_threshold,
               const bool ignore_cross_boundary_bbox, vector<int>* match_indices,
               vector<float>* match_overlaps);
/// Of a batch; one entry, by label, is added for each image.
void FindMatches(const vector<LabelBBox>& all_loc_preds,
                 const map<int, vector<NormalizedBBox>>& all_gt_bboxes,
                 const vector<NormalizedBBox>& prior_bboxes,
                 const vector<vector<float>>& prior_variances,
                 const MultiBoxLossParameter& multibox_loss_param,
                 vector<map<int, vector<float>>>* all_match_overlaps,
                 vector<map<int, vector<int>>>* all_match_indices);
int CountNumMatches(const vector<map<int, vector<int>>>& all_match_indices,
                    const int num);

/// Chooses negatives by mining_type; HARD_EXAMPLE takes matches away, too. Without a
/// match in an image it has no negatives.
template <typename Dtype>
void MineHardExamples(const Blob<Dtype>& conf_blob,
                      const vector<LabelBBox>& all_loc_preds,
                      const map<int, vector<NormalizedBBox>>& all_gt_bboxes,
                      const vector<NormalizedBBox>& prior_bboxes,
                      const vector<vector<float>>& prior_variances,
                      const vector<map<int, vector<float>>>& all_match_overlaps,
                      const MultiBoxLossParameter& multibox_loss_param, int* num_matches,
                      int* num_negs, vector<map<int, vector<int>>>* all_match_indices,
                      vector<vector<int>>* all_neg_indices);

/// Offsets of the matches, and what they should be: 4 values each.
template <typename Dtype>
void EncodeLocPrediction(const vector<LabelBBox>& all_loc_preds,
                         const map<int, vector<NormalizedBBox>>& all_gt_bboxes,
                         const vector<map<int, vector<int>>>& all_match_indices,
                         const vector<NormalizedBBox>& prior_bboxes,
                         const vector<vector<float>>& prior_variances,
                         const MultiBoxLossParameter& multibox_loss_param,
                         Dtype* loc_pred_data, Dtype* loc_gt_data);

/// Loss of each prior's offsets, by image, 0 without a match.
template <typename Dtype>
void ComputeLocLoss(const Blob<Dtype>& loc_pred, const Blob<Dtype>& loc_gt,
                    const vector<map<int, vector<int>>>& all_match_indices, const int num,
                    const int num_priors, const LocLossType loc_loss_type,
                    vector<vector<float>>* all_loc_loss);

/// Loss of each prior's scores, by image: as background, or as what it matches.
template <typename Dtype>
void ComputeConfLoss(const Dtype* conf_data, const int num, const int num_preds_per_class,
                     const int num_classes, const int background_label_id,
                     const ConfLossType loss_type, vector<vector<float>>* all_conf_loss);
template <typename Dtype>
void ComputeConfLoss(const Dtype* conf_data, const int num, const int num_preds_per_class,
                     const int num_classes, const int background_label_id,
                     const ConfLossType loss_type,
                     const vector<map<int, vector<int>>>& all_match_indices,
                     const map<int, vector<NormalizedBBox>>& all_gt_bboxes,
                     vector<vector<float>>* all_conf_loss);

/// With mining the scores of matches and negatives, and without it those of all priors
/// (conf_pred_data is left alone); what they should be in conf_gt_data, which starts as
/// background: a label each (SOFTMAX), or 0 and 1 for each class (LOGISTIC).
template <typename Dtype>
void EncodeConfPrediction(const Dtype* conf_data, const int num, const int num_priors,
                          const MultiBoxLossParameter& multibox_loss_param,
                          const vector<map<int, vector<int>>>& all_match_indices,
                          const vector<vector<int>>& all_neg_indices,
                          const map<int, vector<NormalizedBBox>>& all_gt_bboxes,
                          Dtype* conf_pred_data, Dtype* conf_gt_data);

}  // namespace caffe

#endif  // CAFFE_UTIL_BBOX_UTIL_H_
