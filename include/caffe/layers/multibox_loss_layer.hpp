#ifndef CAFFE_MULTIBOX_LOSS_LAYER_HPP_
#define CAFFE_MULTIBOX_LOSS_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/loss_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Loss of a detector: of the scores and offsets of its boxes against the objects.
///
/// Bottoms: offsets (N, 4 P L), scores (N, P K) and prior boxes (1, 2, 4 P), as
/// DetectionOutput has them; objects (1, 1, G, 8), rows (image, class, instance, xmin,
/// ymin, xmax, ymax, difficult), an image of -1 for none, as AnnotatedData makes them.
/// Each object takes the prior box that overlaps it most (match_type BIPARTITE), and
/// every prior that overlaps an object by overlap_threshold belongs to it, too
/// (PER_PREDICTION, the default). Of M matches
///   loss = (loc_weight * sum of l(offset - wanted offset) + sum of c(scores, class)) /
///   norm
/// with l SMOOTH_L1 or L2 (SmoothL1Loss, EuclideanLoss) of the matches' offsets and c
/// SOFTMAX or LOGISTIC (SoftmaxWithLoss, SigmoidCrossEntropyLoss) of the scores of the
/// matches and of negatives, whose class is the background: with mining_type MAX_NEGATIVE
/// at most neg_pos_ratio for each match of an image, those with the largest loss of
/// priors that overlap no object by neg_overlap; with HARD_EXAMPLE the sample_size priors
/// with the largest losses, matches or not; with NONE all priors, where LOGISTIC wants no
/// class of the negatives. `norm` is M, or N P, N or 1, by loss_param.normalization
/// VALID, FULL, BATCH_SIZE or NONE, and at least 1. Offsets and scores have gradients;
/// priors are constants. Parameters: multibox_loss_param. Source: SSD's Caffe (Liu et
/// al., ECCV 2016). Differs from it: with encode_variance_in_target the gradient, too, is
/// divided by the variances.
template <typename Dtype>
class MultiBoxLossLayer : public LossLayer<Dtype> {
 public:
  explicit MultiBoxLossLayer(const LayerParameter& param) : LossLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;

  inline const char* type() const override { return "MultiBoxLoss"; }
  inline int ExactNumBottomBlobs() const override { return 4; }
  vector<string> BottomNames() const override {
    return {"offsets", "scores", "prior boxes", "objects"};
  }
  LayerTraits Traits() const override;
  inline bool AllowForceBackward(const int bottom_index) const override {
    return bottom_index < 2;
  }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  /// A loss of rows that were picked from a bottom.
  struct Part {
    shared_ptr<Layer<Dtype>> layer;
    Blob<Dtype> predicted, wanted, loss;
    vector<int> rows;  ///< where each began in the bottom
    vector<Dtype>
        factors;  ///< of each value, from the bottom's to `predicted`; empty for 1
    int row_length = 0;
  };

  void SetUpPart(const char* type, int row_length, Part* part);
  Dtype ForwardPart(Part* part);
  void BackwardPart(Dtype weight, Part* part, Blob<Dtype>* bottom);
  void CheckObjects(const Blob<Dtype>& objects, int images) const;

  MultiBoxLossParameter param_;
  int num_classes_ = 0, num_loc_classes_ = 0, num_priors_ = 0;
  Part locations_, confidences_;
  Dtype normalizer_ = 1;
};

}  // namespace caffe

#endif  // CAFFE_MULTIBOX_LOSS_LAYER_HPP_
