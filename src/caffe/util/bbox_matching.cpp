// Which predictions of a net belong to which objects, and what they should have been.

#include <algorithm>
#include <cmath>
#include <set>

#include "caffe/util/bbox_util.hpp"

namespace caffe {

namespace {

using Matches = map<int, vector<int>>;             // by label, of one image
using Objects = map<int, vector<NormalizedBBox>>;  // by image

// Overlaps of less count as none.
constexpr float kLeastOverlap = 1e-6f;
constexpr int kNone = -1, kIgnored = -2;

const vector<NormalizedBBox>& BoxesOf(const LabelBBox& by_label, int label) {
  const auto found = by_label.find(label);
  CHECK(found != by_label.end()) << "no box predictions for label " << label;
  return found->second;
}

const NormalizedBBox& ObjectOf(const Objects& objects, int image, int index) {
  const auto found = objects.find(image);
  CHECK(found != objects.end()) << "image " << image << " has no objects";
  CHECK_LT(static_cast<size_t>(index), found->second.size());
  return found->second[index];
}

int ClassesOf(const MultiBoxLossParameter& param) {
  CHECK(param.has_num_classes()) << "Must provide num_classes.";
  CHECK_GE(param.num_classes(), 1u) << "num_classes should not be less than 1.";
  return static_cast<int>(param.num_classes());
}

}  // namespace

void MatchBBox(const vector<NormalizedBBox>& gt,
               const vector<NormalizedBBox>& pred_bboxes, const int label,
               const MatchType match_type, const float overlap_threshold,
               const bool ignore_cross_boundary_bbox, vector<int>* match_indices,
               vector<float>* match_overlaps) {
  const int predictions = static_cast<int>(pred_bboxes.size());
  match_indices->assign(predictions, kNone);
  match_overlaps->assign(predictions, 0);
  vector<int> objects;  // those that may be matched
  for (size_t g = 0; g < gt.size(); ++g) {
    if (label == -1 || gt[g].label() == label) objects.push_back(static_cast<int>(g));
  }
  if (objects.empty()) return;

  // Those that overlap, by prediction: (object, overlap).
  vector<vector<pair<int, float>>> pairs(predictions);
  for (int p = 0; p < predictions; ++p) {
    if (ignore_cross_boundary_bbox && IsCrossBoundaryBBox(pred_bboxes[p])) {
      (*match_indices)[p] = kIgnored;
      continue;
    }
    for (const int g : objects) {
      const float overlap = JaccardOverlap(pred_bboxes[p], gt[g]);
      if (!(overlap > kLeastOverlap)) continue;
      (*match_overlaps)[p] = std::max((*match_overlaps)[p], overlap);
      pairs[p].push_back({g, overlap});
    }
  }

  // The best pair of a prediction and an object that are both free, until there is none.
  std::set<int> taken;
  for (size_t round = 0; round < objects.size(); ++round) {
    int best = -1, best_object = -1;
    float most = -1;
    for (int p = 0; p < predictions; ++p) {
      if ((*match_indices)[p] != kNone) continue;
      for (const auto& [object, overlap] : pairs[p]) {
        if (overlap > most && taken.count(object) == 0) {
          best = p;
          best_object = object;
          most = overlap;
        }
      }
    }
    if (best == -1) break;
    (*match_indices)[best] = best_object;
    (*match_overlaps)[best] = most;
    taken.insert(best_object);
  }
  if (match_type != MultiBoxLossParameter_MatchType_PER_PREDICTION) return;

  for (int p = 0; p < predictions; ++p) {
    if ((*match_indices)[p] != kNone) continue;
    float most = -1;
    for (const auto& [object, overlap] : pairs[p]) {
      if (overlap < overlap_threshold || overlap <= most) continue;
      (*match_indices)[p] = object;
      (*match_overlaps)[p] = most = overlap;
    }
  }
}

void FindMatches(const vector<LabelBBox>& all_loc_preds,
                 const map<int, vector<NormalizedBBox>>& all_gt_bboxes,
                 const vector<NormalizedBBox>& prior_bboxes,
                 const vector<vector<float>>& prior_variances,
                 const MultiBoxLossParameter& multibox_loss_param,
                 vector<map<int, vector<float>>>* all_match_overlaps,
                 vector<map<int, vector<int>>>* all_match_indices) {
  const MultiBoxLossParameter& param = multibox_loss_param;
  const int classes = ClassesOf(param);
  const int background = static_cast<int>(param.background_label_id());
  const auto match = [&](const vector<NormalizedBBox>& objects,
                         const vector<NormalizedBBox>& boxes, int label,
                         vector<int>* indices, vector<float>* overlaps) {
    MatchBBox(objects, boxes, label, param.match_type(), param.overlap_threshold(),
              param.ignore_cross_boundary_bbox(), indices, overlaps);
  };
  for (size_t i = 0; i < all_loc_preds.size(); ++i) {
    Matches indices;
    map<int, vector<float>> overlaps;
    const auto found = all_gt_bboxes.find(static_cast<int>(i));
    if (found != all_gt_bboxes.end()) {
      const vector<NormalizedBBox>& objects = found->second;
      vector<int> labels = {-1};
      if (!param.share_location()) {
        labels.clear();
        for (int c = 0; c < classes; ++c) {
          if (c != background) labels.push_back(c);
        }
      }
      if (param.use_prior_for_matching()) {
        vector<int> of_priors;
        vector<float> prior_overlaps;
        match(objects, prior_bboxes, -1, &of_priors, &prior_overlaps);
        for (const int label : labels) {
          overlaps[label] = prior_overlaps;
          indices[label] = of_priors;
          if (label == -1) continue;
          for (int& object : indices[label]) {
            if (object < 0 || objects[object].label() != label) object = kNone;
          }
        }
      } else {
        for (const int label : labels) {
          vector<NormalizedBBox> boxes;
          DecodeBBoxes(prior_bboxes, prior_variances, param.code_type(),
                       param.encode_variance_in_target(), false,
                       BoxesOf(all_loc_preds[i], label), &boxes);
          match(objects, boxes, label, &indices[label], &overlaps[label]);
        }
      }
    }
    all_match_indices->push_back(indices);
    all_match_overlaps->push_back(overlaps);
  }
}

int CountNumMatches(const vector<map<int, vector<int>>>& all_match_indices,
                    const int num) {
  int matches = 0;
  for (int i = 0; i < num; ++i) {
    for (const auto& [label, indices] : all_match_indices[i]) {
      matches += static_cast<int>(
          std::count_if(indices.begin(), indices.end(), [](int m) { return m > kNone; }));
    }
  }
  return matches;
}

template <typename Dtype>
void MineHardExamples(const Blob<Dtype>& conf_blob,
                      const vector<LabelBBox>& all_loc_preds,
                      const map<int, vector<NormalizedBBox>>& all_gt_bboxes,
                      const vector<NormalizedBBox>& prior_bboxes,
                      const vector<vector<float>>& prior_variances,
                      const vector<map<int, vector<float>>>& all_match_overlaps,
                      const MultiBoxLossParameter& multibox_loss_param, int* num_matches,
                      int* num_negs, vector<map<int, vector<int>>>* all_match_indices,
                      vector<vector<int>>* all_neg_indices) {
  const MultiBoxLossParameter& param = multibox_loss_param;
  const int num = static_cast<int>(all_loc_preds.size());
  const int num_priors = static_cast<int>(prior_bboxes.size());
  const int classes = ClassesOf(param);
  *num_matches = CountNumMatches(*all_match_indices, num);
  *num_negs = 0;
  const MiningType mining = param.mining_type();
  if (mining == MultiBoxLossParameter_MiningType_NONE) return;
  const bool hard = mining == MultiBoxLossParameter_MiningType_HARD_EXAMPLE;

  vector<vector<float>> losses;
  ComputeConfLoss(conf_blob.cpu_data(), num, num_priors, classes,
                  static_cast<int>(param.background_label_id()), param.conf_loss_type(),
                  *all_match_indices, all_gt_bboxes, &losses);
  if (hard && *num_matches > 0) {
    Blob<Dtype> predicted({1, *num_matches * 4}), wanted({1, *num_matches * 4});
    EncodeLocPrediction(all_loc_preds, all_gt_bboxes, *all_match_indices, prior_bboxes,
                        prior_variances, param, predicted.mutable_cpu_data(),
                        wanted.mutable_cpu_data());
    vector<vector<float>> loc_losses;
    ComputeLocLoss(predicted, wanted, *all_match_indices, num, num_priors,
                   param.loc_loss_type(), &loc_losses);
    for (int i = 0; i < num; ++i) {
      for (int p = 0; p < num_priors; ++p) losses[i][p] += loc_losses[i][p];
    }
  }

  for (int i = 0; i < num; ++i) {
    vector<int> negatives;
    for (auto& [label, matches] : (*all_match_indices)[i]) {
      const vector<float>& overlaps = all_match_overlaps[i].find(label)->second;
      vector<int> candidates;
      for (int p = 0; p < num_priors; ++p) {
        if (hard || (matches[p] == kNone && overlaps[p] < param.neg_overlap())) {
          candidates.push_back(p);
        }
      }
      const auto positives = std::count_if(matches.begin(), matches.end(),
                                           [](int match) { return match > kNone; });
      const float wanted = hard ? static_cast<float>(param.sample_size())
                                : static_cast<float>(positives) * param.neg_pos_ratio();
      const size_t most = std::min(
          candidates.size(), static_cast<size_t>(std::min(std::max(wanted, 0.f), 1e9f)));

      vector<float> candidate_losses;
      for (const int p : candidates) candidate_losses.push_back(losses[i][p]);
      vector<int> order;  // the candidates with the largest losses, by index
      if (param.has_nms_param() && param.nms_param().nms_threshold() > 0) {
        vector<NormalizedBBox> decoded, boxes;
        if (!param.use_prior_for_nms()) {
          DecodeBBoxes(prior_bboxes, prior_variances, param.code_type(),
                       param.encode_variance_in_target(), false,
                       BoxesOf(all_loc_preds[i], label), &decoded);
        }
        for (const int p : candidates) {
          boxes.push_back(param.use_prior_for_nms() ? prior_bboxes[p] : decoded[p]);
        }
        ApplyNMS(boxes, candidate_losses, param.nms_param().nms_threshold(),
                 param.nms_param().has_top_k() ? param.nms_param().top_k() : -1, &order);
      } else {
        vector<int> all(candidates.size());
        for (size_t k = 0; k < all.size(); ++k) all[k] = static_cast<int>(k);
        vector<pair<float, int>> sorted;
        GetTopKScoreIndex(candidate_losses, all, -1, &sorted);
        for (const auto& entry : sorted) order.push_back(entry.second);
      }
      std::set<int> chosen;
      for (size_t k = 0; k < std::min(most, order.size()); ++k) {
        chosen.insert(candidates[order[k]]);
      }
      for (int p = 0; p < num_priors; ++p) {
        const bool in = chosen.count(p) > 0;
        if (matches[p] > kNone && hard && !in) {
          matches[p] = kNone;
          --*num_matches;
        } else if (matches[p] == kNone && in) {
          negatives.push_back(p);
          ++*num_negs;
        }
      }
    }
    all_neg_indices->push_back(negatives);
  }
}

namespace {

// Calls visit(label, prior, object) for every match of an image, in the order of the rows
// that losses are computed of.
template <typename Visit>
void ForEachMatchOf(const Matches& by_label, const Visit& visit) {
  for (const auto& [label, matches] : by_label) {
    for (size_t p = 0; p < matches.size(); ++p) {
      if (matches[p] > kNone) visit(label, static_cast<int>(p), matches[p]);
    }
  }
}

// Calls visit(image, label, prior, object) for every match of the batch.
template <typename Visit>
void ForEachMatch(const vector<Matches>& all_match_indices, int num, const Visit& visit) {
  for (int i = 0; i < num; ++i) {
    ForEachMatchOf(all_match_indices[i],
                   [&](int label, int p, int object) { visit(i, label, p, object); });
  }
}

bool IsOutside(float place) { return place < 0 || place > 1; }

}  // namespace

template <typename Dtype>
void EncodeLocPrediction(const vector<LabelBBox>& all_loc_preds,
                         const map<int, vector<NormalizedBBox>>& all_gt_bboxes,
                         const vector<map<int, vector<int>>>& all_match_indices,
                         const vector<NormalizedBBox>& prior_bboxes,
                         const vector<vector<float>>& prior_variances,
                         const MultiBoxLossParameter& multibox_loss_param,
                         Dtype* loc_pred_data, Dtype* loc_gt_data) {
  const MultiBoxLossParameter& param = multibox_loss_param;
  const bool in_target = param.encode_variance_in_target();
  ForEachMatch(all_match_indices, static_cast<int>(all_loc_preds.size()),
               [&](int image, int label, int p, int object) {
                 const NormalizedBBox& predicted =
                     BoxesOf(all_loc_preds[image], label)[p];
                 const NormalizedBBox& prior = prior_bboxes[p];
                 const vector<float>& variance = prior_variances[p];
                 NormalizedBBox wanted;
                 EncodeBBox(prior, variance, param.code_type(), in_target,
                            ObjectOf(all_gt_bboxes, image, object), &wanted);
                 const float targets[] = {wanted.xmin(), wanted.ymin(), wanted.xmax(),
                                          wanted.ymax()};
                 const float offsets[] = {predicted.xmin(), predicted.ymin(),
                                          predicted.xmax(), predicted.ymax()};
                 NormalizedBBox matched = prior;
                 if (param.bp_inside() && !param.use_prior_for_matching()) {
                   DecodeBBox(prior, variance, param.code_type(), in_target, false,
                              predicted, &matched);
                 }
                 const float corners[] = {matched.xmin(), matched.ymin(), matched.xmax(),
                                          matched.ymax()};
                 for (int k = 0; k < 4; ++k) {
                   // Equal values have no gradient.
                   const bool learns = !param.bp_inside() || !IsOutside(corners[k]);
                   const float scale = in_target ? variance[k] : 1;
                   CHECK_GT(scale, 0);
                   *loc_gt_data++ = targets[k] / scale;
                   *loc_pred_data++ = (learns ? offsets[k] : targets[k]) / scale;
                 }
               });
}

template <typename Dtype>
void ComputeLocLoss(const Blob<Dtype>& loc_pred, const Blob<Dtype>& loc_gt,
                    const vector<map<int, vector<int>>>& all_match_indices, const int num,
                    const int num_priors, const LocLossType loc_loss_type,
                    vector<vector<float>>* all_loc_loss) {
  CHECK_EQ(loc_pred.count(), loc_gt.count());
  const size_t before = all_loc_loss->size();
  all_loc_loss->resize(before + num, vector<float>(num_priors, 0));
  int row = 0;
  ForEachMatch(all_match_indices, num, [&](int image, int /*label*/, int p, int) {
    Dtype loss = 0;
    for (int k = 0; k < 4; ++k) {
      const Dtype difference =
          std::fabs(loc_pred.cpu_data()[row * 4 + k] - loc_gt.cpu_data()[row * 4 + k]);
      const bool squared =
          loc_loss_type == MultiBoxLossParameter_LocLossType_L2 || difference < 1;
      loss += squared ? difference * difference / 2 : difference - Dtype(0.5);
    }
    (*all_loc_loss)[before + image][p] = static_cast<float>(loss);
    ++row;
  });
}

namespace {

template <typename Dtype>
Dtype ConfidenceLoss(const Dtype* scores, int classes, int label, ConfLossType type) {
  if (type == MultiBoxLossParameter_ConfLossType_SOFTMAX) {
    CHECK_GE(label, 0);
    CHECK_LT(label, classes);
    const Dtype largest = *std::max_element(scores, scores + classes);
    Dtype sum = 0;
    for (int c = 0; c < classes; ++c) sum += std::exp(scores[c] - largest);
    return std::log(sum) - (scores[label] - largest);
  }
  Dtype loss = 0;
  for (int c = 0; c < classes; ++c) {
    // log(1 + exp(s)) - s where the target is 1.
    const Dtype s = scores[c];
    loss += std::max(s, Dtype(0)) + std::log1p(std::exp(-std::fabs(s))) -
            (c == label ? s : Dtype(0));
  }
  return loss;
}

}  // namespace

template <typename Dtype>
void ComputeConfLoss(const Dtype* conf_data, const int num, const int num_preds_per_class,
                     const int num_classes, const int background_label_id,
                     const ConfLossType loss_type, vector<vector<float>>* all_conf_loss) {
  ComputeConfLoss(conf_data, num, num_preds_per_class, num_classes, background_label_id,
                  loss_type, vector<Matches>(num), {}, all_conf_loss);
}

template <typename Dtype>
void ComputeConfLoss(const Dtype* conf_data, const int num, const int num_preds_per_class,
                     const int num_classes, const int background_label_id,
                     const ConfLossType loss_type,
                     const vector<map<int, vector<int>>>& all_match_indices,
                     const map<int, vector<NormalizedBBox>>& all_gt_bboxes,
                     vector<vector<float>>* all_conf_loss) {
  CHECK_LT(background_label_id, num_classes);
  all_conf_loss->assign(num, vector<float>(num_preds_per_class));
  vector<vector<int>> labels(num, vector<int>(num_preds_per_class, background_label_id));
  ForEachMatch(all_match_indices, num, [&](int image, int, int p, int object) {
    int& label = labels[image][p];
    if (label != background_label_id) return;  // of the first that a prior matches
    label = ObjectOf(all_gt_bboxes, image, object).label();
    if (label < 0 || label >= num_classes) {
      throw ValueError(Str("an object of image ", image, " has label ", label,
                           ", expected 0 to ", num_classes - 1,
                           "; check the annotations and num_classes"));
    }
  });
  for (int i = 0; i < num; ++i) {
    for (int p = 0; p < num_preds_per_class; ++p) {
      (*all_conf_loss)[i][p] = static_cast<float>(
          ConfidenceLoss(conf_data, num_classes, labels[i][p], loss_type));
      conf_data += num_classes;
    }
  }
}

template <typename Dtype>
void EncodeConfPrediction(const Dtype* conf_data, const int num, const int num_priors,
                          const MultiBoxLossParameter& multibox_loss_param,
                          const vector<map<int, vector<int>>>& all_match_indices,
                          const vector<vector<int>>& all_neg_indices,
                          const map<int, vector<NormalizedBBox>>& all_gt_bboxes,
                          Dtype* conf_pred_data, Dtype* conf_gt_data) {
  const MultiBoxLossParameter& param = multibox_loss_param;
  const int classes = ClassesOf(param);
  const int background = static_cast<int>(param.background_label_id());
  const bool mining = param.mining_type() != MultiBoxLossParameter_MiningType_NONE;
  const bool softmax =
      param.conf_loss_type() == MultiBoxLossParameter_ConfLossType_SOFTMAX;
  int count = 0;
  // What the scores of a prior should be, which come next or, without mining, stay there.
  const auto add = [&](int image, int p, int label) {
    const int row = mining ? count++ : image * num_priors + p;
    if (mining) {
      std::copy_n(conf_data + (image * num_priors + p) * classes, classes,
                  conf_pred_data + row * classes);
    }
    if (softmax) {
      conf_gt_data[row] = static_cast<Dtype>(label);
    } else if (label >= 0 && label < classes) {
      conf_gt_data[row * classes + label] = 1;
    }
  };
  for (int i = 0; i < num; ++i) {
    ForEachMatchOf(all_match_indices[i], [&](int /*label*/, int p, int object) {
      add(i, p,
          param.map_object_to_agnostic() ? background + 1
                                         : ObjectOf(all_gt_bboxes, i, object).label());
    });
    if (!mining) continue;
    for (const int p : all_neg_indices[i]) add(i, p, background);
  }
}

#define INSTANTIATE(Dtype)                                                         \
  template void MineHardExamples(                                                  \
      const Blob<Dtype>&, const vector<LabelBBox>&,                                \
      const map<int, vector<NormalizedBBox>>&, const vector<NormalizedBBox>&,      \
      const vector<vector<float>>&, const vector<map<int, vector<float>>>&,        \
      const MultiBoxLossParameter&, int*, int*, vector<map<int, vector<int>>>*,    \
      vector<vector<int>>*);                                                       \
  template void EncodeLocPrediction(                                               \
      const vector<LabelBBox>&, const map<int, vector<NormalizedBBox>>&,           \
      const vector<map<int, vector<int>>>&, const vector<NormalizedBBox>&,         \
      const vector<vector<float>>&, const MultiBoxLossParameter&, Dtype*, Dtype*); \
  template void ComputeLocLoss(const Blob<Dtype>&, const Blob<Dtype>&,             \
                               const vector<map<int, vector<int>>>&, int, int,     \
                               LocLossType, vector<vector<float>>*);               \
  template void ComputeConfLoss(const Dtype*, int, int, int, int, ConfLossType,    \
                                vector<vector<float>>*);                           \
  template void ComputeConfLoss(const Dtype*, int, int, int, int, ConfLossType,    \
                                const vector<map<int, vector<int>>>&,              \
                                const map<int, vector<NormalizedBBox>>&,           \
                                vector<vector<float>>*);                           \
  template void EncodeConfPrediction(                                              \
      const Dtype*, int, int, const MultiBoxLossParameter&,                        \
      const vector<map<int, vector<int>>>&, const vector<vector<int>>&,            \
      const map<int, vector<NormalizedBBox>>&, Dtype*, Dtype*)

INSTANTIATE(float);
INSTANTIATE(double);

}  // namespace caffe
