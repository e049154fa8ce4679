// Which of many boxes that overlap stay, and how good those are.

#include <algorithm>

#include "caffe/util/bbox_util.hpp"

namespace caffe {

namespace {

template <typename Score>
void SortAndCut(int top_k, vector<pair<Score, int>>* scores) {
  std::stable_sort(scores->begin(), scores->end(),
                   [](const pair<Score, int>& a, const pair<Score, int>& b) {
                     return a.first > b.first;
                   });
  if (top_k > -1 && static_cast<size_t>(top_k) < scores->size()) scores->resize(top_k);
}

// Adds to `kept` the candidates, in order, of which overlap(candidate, kept one) is at
// most `threshold` with each that is there.
template <typename Score, typename Overlap>
void Suppress(const vector<pair<Score, int>>& candidates, float threshold, float eta,
              const Overlap& overlap, vector<int>* kept) {
  kept->clear();
  for (const pair<Score, int>& candidate : candidates) {
    const int index = candidate.second;
    if (!std::all_of(kept->begin(), kept->end(),
                     [&](int k) { return overlap(index, k) <= threshold; })) {
      continue;
    }
    kept->push_back(index);
    if (eta < 1 && threshold > 0.5) threshold *= eta;
  }
}

}  // namespace

void GetTopKScoreIndex(const vector<float>& scores, const vector<int>& indices,
                       const int top_k, vector<pair<float, int>>* score_index_vec) {
  CHECK_EQ(scores.size(), indices.size());
  score_index_vec->clear();
  for (size_t i = 0; i < scores.size(); ++i) {
    score_index_vec->push_back({scores[i], indices[i]});
  }
  SortAndCut(top_k, score_index_vec);
}

void GetMaxScoreIndex(const vector<float>& scores, const float threshold, const int top_k,
                      vector<pair<float, int>>* score_index_vec) {
  score_index_vec->clear();
  GetMaxScoreIndex(scores.data(), static_cast<int>(scores.size()), threshold, top_k,
                   score_index_vec);
}

template <typename Dtype>
void GetMaxScoreIndex(const Dtype* scores, const int num, const float threshold,
                      const int top_k, vector<pair<Dtype, int>>* score_index_vec) {
  for (int i = 0; i < num; ++i) {
    if (scores[i] > threshold) score_index_vec->push_back({scores[i], i});
  }
  SortAndCut(top_k, score_index_vec);
}

void ApplyNMS(const vector<NormalizedBBox>& bboxes, const vector<float>& scores,
              const float threshold, const int top_k, const bool reuse_overlaps,
              map<int, map<int, float>>* overlaps, vector<int>* indices) {
  CHECK_EQ(bboxes.size(), scores.size()) << "bboxes and scores have different size.";
  vector<int> all(scores.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
  vector<pair<float, int>> candidates;
  GetTopKScoreIndex(scores, all, top_k, &candidates);
  Suppress(
      candidates, threshold, 1,
      [&](int a, int b) {
        if (!reuse_overlaps) return JaccardOverlap(bboxes[a], bboxes[b]);
        map<int, float>& of_first = (*overlaps)[std::min(a, b)];
        const auto known = of_first.find(std::max(a, b));
        if (known != of_first.end()) return known->second;
        return of_first[std::max(a, b)] = JaccardOverlap(bboxes[a], bboxes[b]);
      },
      indices);
}

void ApplyNMS(const vector<NormalizedBBox>& bboxes, const vector<float>& scores,
              const float threshold, const int top_k, vector<int>* indices) {
  ApplyNMS(bboxes, scores, threshold, top_k, false, nullptr, indices);
}

void ApplyNMS(const bool* overlapped, const int num, vector<int>* indices) {
  indices->clear();
  for (int i = 0; i < num; ++i) {
    if (std::none_of(indices->begin(), indices->end(),
                     [&](int kept) { return overlapped[kept * num + i]; })) {
      indices->push_back(i);
    }
  }
}

void ApplyNMSFast(const vector<NormalizedBBox>& bboxes, const vector<float>& scores,
                  const float score_threshold, const float nms_threshold, const float eta,
                  const int top_k, vector<int>* indices) {
  CHECK_EQ(bboxes.size(), scores.size()) << "bboxes and scores have different size.";
  vector<pair<float, int>> candidates;
  GetMaxScoreIndex(scores, score_threshold, top_k, &candidates);
  Suppress(
      candidates, nms_threshold, eta,
      [&](int a, int b) { return JaccardOverlap(bboxes[a], bboxes[b]); }, indices);
}

template <typename Dtype>
void ApplyNMSFast(const Dtype* bboxes, const Dtype* scores, const int num,
                  const float score_threshold, const float nms_threshold, const float eta,
                  const int top_k, vector<int>* indices) {
  vector<pair<Dtype, int>> candidates;
  GetMaxScoreIndex(scores, num, score_threshold, top_k, &candidates);
  Suppress(
      candidates, nms_threshold, eta,
      [&](int a, int b) { return JaccardOverlap(bboxes + a * 4, bboxes + b * 4); },
      indices);
}

void CumSum(const vector<pair<float, int>>& pairs, vector<int>* cumsum) {
  vector<pair<float, int>> sorted = pairs;
  SortAndCut(-1, &sorted);
  cumsum->clear();
  int sum = 0;
  for (const pair<float, int>& entry : sorted) cumsum->push_back(sum += entry.second);
}

void ComputeAP(const vector<pair<float, int>>& tp, const int num_pos,
               const vector<pair<float, int>>& fp, const string ap_version,
               vector<float>* prec, vector<float>* rec, float* ap) {
  CHECK_EQ(tp.size(), fp.size()) << "tp must have same size as fp.";
  for (size_t i = 0; i < tp.size(); ++i) {
    CHECK_EQ(tp[i].first, fp[i].first);
    CHECK_EQ(tp[i].second, 1 - fp[i].second);
  }
  prec->clear();
  rec->clear();
  *ap = 0;
  if (tp.empty() || num_pos == 0) return;
  vector<int> right, wrong;
  CumSum(tp, &right);
  CumSum(fp, &wrong);
  const int num = static_cast<int>(tp.size());
  for (int i = 0; i < num; ++i) {
    prec->push_back(static_cast<float>(right[i]) / (right[i] + wrong[i]));
    CHECK_LE(right[i], num_pos);
    rec->push_back(static_cast<float>(right[i]) / num_pos);
  }
  if (ap_version == "11point") {
    // The best precision at each recall of 0, 0.1, ..., 1 and above.
    for (int step = 0; step <= 10; ++step) {
      float best = 0;
      for (int i = 0; i < num; ++i) {
        if ((*rec)[i] >= step / 10.f) best = std::max(best, (*prec)[i]);
      }
      *ap += best / 11;
    }
  } else if (ap_version == "MaxIntegral") {
    float recall = rec->back(), best = prec->back();
    for (int i = num - 2; i >= 0; --i) {
      best = std::max(best, (*prec)[i]);
      *ap += best * std::max(recall - (*rec)[i], 0.f);
      recall = (*rec)[i];
    }
    *ap += recall * best;
  } else if (ap_version == "Integral") {
    float recall = 0;
    for (int i = 0; i < num; ++i) {
      if ((*rec)[i] > recall) *ap += (*prec)[i] * ((*rec)[i] - recall);
      recall = (*rec)[i];
    }
  } else {
    throw ValueError(Str("ap_version is '", ap_version,
                         "', expected 11point, MaxIntegral or Integral"));
  }
}

#define INSTANTIATE(Dtype)                                                              \
  template void GetMaxScoreIndex(const Dtype*, int, float, int,                         \
                                 vector<pair<Dtype, int>>*);                            \
  template void ApplyNMSFast(const Dtype*, const Dtype*, int, float, float, float, int, \
                             vector<int>*)

INSTANTIATE(float);
INSTANTIATE(double);

}  // namespace caffe
