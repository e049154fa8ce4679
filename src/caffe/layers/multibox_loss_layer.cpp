#include "caffe/layers/multibox_loss_layer.hpp"

#include <algorithm>
#include <cmath>

#include "caffe/layers/detection_shapes.hpp"
#include "caffe/layers/labels.hpp"
#include "caffe/util/bbox_util.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

template <typename Dtype>
void MultiBoxLossLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::LayerSetUp(bottom, top);
  param_ = this->layer_param_.multibox_loss_param();
  if (param_.num_classes() == 0 || param_.num_classes() > INT_MAX / 4) {
    throw ValueError(Str("multibox_loss_param.num_classes is ",
                         param_.has_num_classes() ? Str(param_.num_classes()) : "missing",
                         ", expected the number of classes with the background"));
  }
  if (param_.background_label_id() >= param_.num_classes()) {
    throw ValueError(Str("multibox_loss_param.background_label_id is ",
                         param_.background_label_id(), ", expected 0 to ",
                         param_.num_classes() - 1));
  }
  if (param_.map_object_to_agnostic() &&
      (param_.num_classes() != 2 || param_.background_label_id() != 0)) {
    throw ValueError(
        "map_object_to_agnostic makes one class of all objects, expected "
        "num_classes 2 and background_label_id 0");
  }
  if (param_.has_do_neg_mining()) {
    const auto mining = param_.do_neg_mining()
                            ? MultiBoxLossParameter_MiningType_MAX_NEGATIVE
                            : MultiBoxLossParameter_MiningType_NONE;
    const bool mines = param_.mining_type() != MultiBoxLossParameter_MiningType_NONE;
    if (param_.has_mining_type() && mines != param_.do_neg_mining()) {
      throw ValueError(
          "do_neg_mining and mining_type say the opposite of each other; "
          "give mining_type alone");
    }
    if (!param_.has_mining_type()) param_.set_mining_type(mining);
  }
  const bool mines = param_.mining_type() != MultiBoxLossParameter_MiningType_NONE;
  if (mines && !param_.share_location()) {
    throw NotImplementedFailure(
        Str("mining_type ", MultiBoxLossParameter_MiningType_Name(param_.mining_type()),
            " with share_location false, expected NONE for boxes of each class"));
  }
  if (!(param_.neg_pos_ratio() >= 0) || param_.sample_size() < 1) {
    throw ValueError(Str("multibox_loss_param has neg_pos_ratio ", param_.neg_pos_ratio(),
                         " and sample_size ", param_.sample_size(),
                         ", expected 0 or more, and at least 1"));
  }
  num_classes_ = static_cast<int>(param_.num_classes());
  num_loc_classes_ = param_.share_location() ? 1 : num_classes_;
  SetUpPart(param_.loc_loss_type() == MultiBoxLossParameter_LocLossType_L2
                ? "EuclideanLoss"
                : "SmoothL1Loss",
            4, &locations_);
  SetUpPart(param_.conf_loss_type() == MultiBoxLossParameter_ConfLossType_LOGISTIC
                ? "SigmoidCrossEntropyLoss"
                : "SoftmaxWithLoss",
            num_classes_, &confidences_);
}

template <typename Dtype>
void MultiBoxLossLayer<Dtype>::SetUpPart(const char* type, int row_length, Part* part) {
  LayerParameter param;
  param.set_name(this->layer_param_.name());
  param.set_type(type);
  param.set_phase(this->phase_);
  param.add_loss_weight(1);
  param.mutable_loss_param()->set_normalization(LossParameter_NormalizationMode_NONE);
  part->layer = LayerRegistry<Dtype>::CreateLayer(param);
  part->row_length = row_length;
  part->predicted.Reshape({1, row_length});
  part->wanted.Reshape(string(type) == "SoftmaxWithLoss" ? vector<int>{1}
                                                         : vector<int>{1, row_length});
  caffe_set(part->wanted.count(), Dtype(0), part->wanted.mutable_cpu_data());
  part->layer->SetUp({&part->predicted, &part->wanted}, {&part->loss});
}

template <typename Dtype>
void MultiBoxLossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::Reshape(bottom, top);
  num_priors_ = NumPriors(this->layer_param_, bottom, num_classes_, num_loc_classes_);
  const Blob<Dtype>& objects = *bottom[3];
  if (objects.num_axes() == 0 || objects.shape(-1) != 8) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 3), ": shape ",
                         ShapeText(objects.shape()),
                         ", expected (1, 1, G, 8): rows (image, class, instance, xmin, "
                         "ymin, xmax, ymax, difficult)"));
  }
}

template <typename Dtype>
LayerTraits MultiBoxLossLayer<Dtype>::Traits() const {
  return {.of = &typeid(MultiBoxLossLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void MultiBoxLossLayer<Dtype>::CheckObjects(const Blob<Dtype>& objects,
                                            int images) const {
  for (int g = 0; g < objects.count() / 8; ++g) {
    const Dtype* row = objects.cpu_data() + g * 8;
    if (row[0] == -1) continue;
    const bool agnostic = param_.map_object_to_agnostic();
    const auto fail = [&](const string& fault) {
      throw ValueError(Str(NameOfBottom(this->layer_param_, 3), ": object ", g, fault));
    };
    if (!(row[0] >= 0 && row[0] < images)) {
      fail(Str(" is in image ", row[0], ", expected 0 to ", images - 1,
               " for the batch of bottom[0], or -1 for none"));
    }
    if (!agnostic && !(row[1] >= 0 && row[1] < num_classes_)) {
      fail(Str(" has class ", row[1], ", expected 0 to ", num_classes_ - 1,
               "; check the annotations and num_classes"));
    }
    if (!std::all_of(row + 1, row + 8, [](Dtype v) { return std::fabs(v) < 1e9; })) {
      fail(" has a value that is no number, expected corners as shares of the image");
    }
  }
}

template <typename Dtype>
Dtype MultiBoxLossLayer<Dtype>::ForwardPart(Part* part) {
  if (part->rows.empty()) return 0;
  part->layer->Forward({&part->predicted, &part->wanted}, {&part->loss});
  Dtype loss = part->loss.cpu_data()[0];
  // Both divide by the extent of axis 0, whatever the normalization.
  const string type = part->layer->type();
  if (type == "EuclideanLoss" || type == "SmoothL1Loss") {
    loss *= static_cast<Dtype>(part->rows.size());
  }
  return loss;
}

template <typename Dtype>
void MultiBoxLossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  const int images = bottom[0]->shape(0);
  const int background = static_cast<int>(param_.background_label_id());
  CheckObjects(*bottom[3], images);
  map<int, vector<NormalizedBBox>> objects;
  GetGroundTruth(bottom[3]->cpu_data(), bottom[3]->count() / 8,
                 param_.map_object_to_agnostic() ? -1 : background,
                 param_.use_difficult_gt(), &objects);
  vector<NormalizedBBox> priors;
  vector<vector<float>> variances;
  GetPriorBBoxes(bottom[2]->cpu_data(), num_priors_, &priors, &variances);
  vector<LabelBBox> offsets;
  GetLocPredictions(bottom[0]->cpu_data(), images, num_priors_, num_loc_classes_,
                    param_.share_location(), &offsets);

  vector<map<int, vector<int>>> matches;
  vector<map<int, vector<float>>> overlaps;
  FindMatches(offsets, objects, priors, variances, param_, &overlaps, &matches);
  int num_matches = 0, num_negatives = 0;
  vector<vector<int>> negatives;
  MineHardExamples(*bottom[1], offsets, objects, priors, variances, overlaps, param_,
                   &num_matches, &num_negatives, &matches, &negatives);
  const bool mines = param_.mining_type() != MultiBoxLossParameter_MiningType_NONE;
  negatives.resize(images);

  // Where the rows come from, in the order in which they are put together below.
  locations_.rows.clear();
  locations_.factors.clear();
  confidences_.rows.clear();
  for (int i = 0; i < images; ++i) {
    for (const auto& [label, of_priors] : matches[i]) {
      for (int p = 0; p < num_priors_; ++p) {
        if (of_priors[p] < 0) continue;
        const int loc_class = label < 0 ? 0 : label;
        locations_.rows.push_back(((i * num_priors_ + p) * num_loc_classes_ + loc_class) *
                                  4);
        for (const float variance : variances[p]) {
          locations_.factors.push_back(
              param_.encode_variance_in_target() ? Dtype(1) / variance : Dtype(1));
        }
        if (mines) confidences_.rows.push_back((i * num_priors_ + p) * num_classes_);
      }
    }
    for (const int p : negatives[i]) {
      confidences_.rows.push_back((i * num_priors_ + p) * num_classes_);
    }
  }
  if (!mines) {
    for (int row = 0; row < images * num_priors_; ++row) {
      confidences_.rows.push_back(row * num_classes_);
    }
  }

  if (num_matches > 0) {
    locations_.predicted.Reshape({num_matches, 4});
    locations_.wanted.Reshape({num_matches, 4});
    Dtype* predicted = locations_.predicted.mutable_cpu_data();
    const Dtype* wanted = locations_.wanted.mutable_cpu_data();
    EncodeLocPrediction(offsets, objects, matches, priors, variances, param_, predicted,
                        locations_.wanted.mutable_cpu_data());
    // Boxes are of floats: what is differentiated has the bottom's own precision. Where
    // bp_inside took an offset out, it equals what is wanted.
    for (int k = 0; k < num_matches * 4; ++k) {
      if (predicted[k] == wanted[k]) continue;
      predicted[k] =
          bottom[0]->cpu_data()[locations_.rows[k / 4] + k % 4] * locations_.factors[k];
    }
  }
  const int rows = static_cast<int>(confidences_.rows.size());
  if (rows > 0) {
    const bool softmax =
        param_.conf_loss_type() == MultiBoxLossParameter_ConfLossType_SOFTMAX;
    confidences_.predicted.Reshape({rows, num_classes_});
    confidences_.wanted.Reshape(softmax ? vector<int>{rows}
                                        : vector<int>{rows, num_classes_});
    Dtype* predicted = confidences_.predicted.mutable_cpu_data();
    if (!mines) caffe_copy(bottom[1]->count(), bottom[1]->cpu_data(), predicted);
    Dtype* wanted = confidences_.wanted.mutable_cpu_data();
    caffe_set(confidences_.wanted.count(), static_cast<Dtype>(softmax ? background : 0),
              wanted);
    EncodeConfPrediction(bottom[1]->cpu_data(), images, num_priors_, param_, matches,
                         negatives, objects, predicted, wanted);
  }
  normalizer_ = LossLayer<Dtype>::LossNormalizer(
      this->NormalizationMode(LossParameter_NormalizationMode_VALID), images, num_priors_,
      num_matches);
  const Dtype loss =
      param_.loc_weight() * ForwardPart(&locations_) + ForwardPart(&confidences_);
  top[0]->mutable_cpu_data()[0] = loss / normalizer_;
}

template <typename Dtype>
void MultiBoxLossLayer<Dtype>::BackwardPart(Dtype weight, Part* part,
                                            Blob<Dtype>* bottom) {
  Dtype* to = bottom->mutable_cpu_diff();
  caffe_set(bottom->count(), Dtype(0), to);
  if (part->rows.empty()) return;
  const string type = part->layer->type();
  if (type == "EuclideanLoss" || type == "SmoothL1Loss") {
    weight *= static_cast<Dtype>(part->rows.size());
  }
  part->loss.mutable_cpu_diff()[0] = weight;
  part->layer->Backward({&part->loss}, {true, false}, {&part->predicted, &part->wanted});
  part->loss.mutable_cpu_diff()[0] = 1;
  const Dtype* from = part->predicted.cpu_diff();
  for (size_t r = 0; r < part->rows.size(); ++r) {
    for (int k = 0; k < part->row_length; ++k) {
      const size_t at = r * part->row_length + k;
      to[part->rows[r] + k] +=
          part->factors.empty() ? from[at] : from[at] * part->factors[at];
    }
  }
}

template <typename Dtype>
void MultiBoxLossLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                            const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  if (propagate_down[3]) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 3),
                         ": objects have no gradient; set propagate_down: false for "
                         "them"));
  }
  if (propagate_down[2]) {  // constants, whatever layers they came through
    caffe_set(bottom[2]->count(), Dtype(0), bottom[2]->mutable_cpu_diff());
  }
  const Dtype weight = top[0]->cpu_diff()[0] / normalizer_;
  if (propagate_down[0]) {
    BackwardPart(weight * param_.loc_weight(), &locations_, bottom[0]);
  }
  if (propagate_down[1]) BackwardPart(weight, &confidences_, bottom[1]);
}

INSTANTIATE_CLASS(MultiBoxLossLayer);
REGISTER_LAYER_CLASS(MultiBoxLoss);

}  // namespace caffe
