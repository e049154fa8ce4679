#ifndef CAFFE_LAYER_H_
#define CAFFE_LAYER_H_

#include <algorithm>
#include <string>
#include <typeinfo>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/layer_traits.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

/// The unit of computation of a Net: reads bottom blobs, writes top blobs.
///
/// A layer implements LayerSetUp (reads and checks parameters, once), Reshape
/// (gives the tops their shapes, whenever the bottoms' change), Forward_cpu and
/// Backward_cpu, and where it has device code Forward_gpu and Backward_gpu.
template <typename Dtype>
class Layer {
 public:
  /// Copies the parameters and any stored weights; set-up happens in SetUp.
  explicit Layer(const LayerParameter& param) : layer_param_(param) {
    phase_ = param.phase();
    if (layer_param_.blobs_size() > 0) {
      blobs_.resize(layer_param_.blobs_size());
      for (int i = 0; i < layer_param_.blobs_size(); ++i) {
        blobs_[i].reset(new Blob<Dtype>());
        blobs_[i]->FromProto(layer_param_.blobs(i));
      }
    }
  }
  virtual ~Layer() {}

  /// Checks blob counts, then LayerSetUp, Reshape and loss weights, in that order.
  void SetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
    Named([&] {
      CheckBlobCounts(bottom, top);
      LayerSetUp(bottom, top);
      CheckInPlace(bottom, top);
      Reshape(bottom, top);
      SetLossWeights(top);
    });
  }

  virtual void LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                          const vector<Blob<Dtype>*>& /*top*/) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top) = 0;

  /// Reshapes, computes the tops and returns the weighted loss of this layer.
  inline Dtype Forward(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  /// Given the top diffs, computes parameter diffs (added to) and the bottom
  /// diffs (overwritten) for which propagate_down is set.
  inline void Backward(const vector<Blob<Dtype>*>& top,
                       const vector<bool>& propagate_down,
                       const vector<Blob<Dtype>*>& bottom);

  vector<shared_ptr<Blob<Dtype>>>& blobs() { return blobs_; }
  const LayerParameter& layer_param() const { return layer_param_; }

  virtual void ToProto(LayerParameter* param, bool write_diff = false) {
    param->Clear();
    param->CopyFrom(layer_param_);
    param->clear_blobs();
    for (const auto& blob : blobs_) blob->ToProto(param->add_blobs(), write_diff);
  }

  inline Dtype loss(const int top_index) const {
    return static_cast<int>(loss_.size()) > top_index ? loss_[top_index] : Dtype(0);
  }
  inline void set_loss(const int top_index, const Dtype value) {
    if (static_cast<int>(loss_.size()) <= top_index)
      loss_.resize(top_index + 1, Dtype(0));
    loss_[top_index] = value;
  }

  /// The registered name, e.g. "Convolution".
  virtual inline const char* type() const { return ""; }

  // How many blobs the layer takes; -1 means no such bound.
  virtual inline int ExactNumBottomBlobs() const { return -1; }
  virtual inline int MinBottomBlobs() const { return -1; }
  virtual inline int MaxBottomBlobs() const { return -1; }
  virtual inline int ExactNumTopBlobs() const { return -1; }
  virtual inline int MinTopBlobs() const { return -1; }
  virtual inline int MaxTopBlobs() const { return -1; }
  virtual inline bool EqualNumBottomTopBlobs() const { return false; }
  /// Names of the bottoms in order, for messages: {"a", "x", "y"}. May be empty.
  virtual vector<string> BottomNames() const { return {}; }

  /// Whether Net may add tops the layer needs but the prototxt does not name.
  virtual inline bool AutoTopBlobs() const { return false; }
  /// Whether a gradient may be forced into bottom i by force_backward.
  virtual inline bool AllowForceBackward(const int /*bottom_index*/) const {
    return true;
  }

  inline bool param_propagate_down(const int param_id) {
    return static_cast<int>(param_propagate_down_.size()) > param_id
               ? param_propagate_down_[param_id]
               : false;
  }
  inline void set_param_propagate_down(const int param_id, const bool value) {
    if (static_cast<int>(param_propagate_down_.size()) <= param_id) {
      param_propagate_down_.resize(param_id + 1, true);
    }
    param_propagate_down_[param_id] = value;
  }

  /// What holds of exactly this class, from LayerSetUp on; asked again after Prepare.
  /// Whoever runs layers asks TraitsOf().
  virtual LayerTraits Traits() const { return {}; }
  /// Told by Net before set-up, and again whenever something in it changes.
  virtual void Prepare(const LayerOptions& /*options*/) {}
  /// Writes the tops as the last Forward did, bit for bit, and changes nothing else;
  /// called only where the traits say that it can.
  virtual void Recompute(const vector<Blob<Dtype>*>& bottom,
                         const vector<Blob<Dtype>*>& top) {
    if (Caffe::mode() == Caffe::GPU) {
      Forward_gpu(bottom, top);
    } else {
      Forward_cpu(bottom, top);
    }
  }

 protected:
  LayerParameter layer_param_;
  Phase phase_;
  vector<shared_ptr<Blob<Dtype>>> blobs_;
  vector<bool> param_propagate_down_;
  /// Non-zero for tops that enter the objective.
  vector<Dtype> loss_;

  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top) = 0;
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top) {
    return Forward_cpu(bottom, top);
  }
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom) = 0;
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom) {
    Backward_cpu(top, propagate_down, bottom);
  }

  /// Whether the prototxt gives bottom and top one name.
  bool in_place(int bottom_index = 0, int top_index = 0) const {
    return bottom_index < layer_param_.bottom_size() &&
           top_index < layer_param_.top_size() &&
           layer_param_.bottom(bottom_index) == layer_param_.top(top_index);
  }

  virtual void CheckBlobCounts(const vector<Blob<Dtype>*>& bottom,
                               const vector<Blob<Dtype>*>& top) {
    const int bottoms = static_cast<int>(bottom.size());
    const int tops = static_cast<int>(top.size());
    CheckCount("bottom", bottoms, ExactNumBottomBlobs(), MinBottomBlobs(),
               MaxBottomBlobs(), BottomNames());
    CheckCount("top", tops, ExactNumTopBlobs(), MinTopBlobs(), MaxTopBlobs(), {});
    if (EqualNumBottomTopBlobs() && bottoms != tops) {
      throw ValueError(Str("got ", bottoms, " bottom and ", tops,
                           " top blob(s), expected as many of one as of the other"));
    }
  }

  void CheckInPlace(const vector<Blob<Dtype>*>& bottom,
                    const vector<Blob<Dtype>*>& top) const {
    const LayerTraits traits = Traits();
    for (size_t t = 0; t < top.size(); ++t) {
      for (size_t b = 0; b < bottom.size(); ++b) {
        if (top[t] != bottom[b] || traits.InPlaceOf(b) != InPlace::kRefused) continue;
        const vector<string> names = BottomNames();
        string others;
        for (size_t other = 0; other < bottom.size(); ++other) {
          if (traits.InPlaceOf(other) == InPlace::kRefused) continue;
          others += Str(others.empty() ? ", only of bottom[" : " or bottom[", other, "]",
                        other < names.size() ? " (" + names[other] + ")" : "");
        }
        throw ValueError(Str("top[", t, "] is bottom[", b, "]",
                             in_place(b, t) ? " '" + layer_param_.top(t) + "'" : "",
                             ", but this layer cannot work in place", others,
                             "; give the top its own name, such as top: \"",
                             layer_param_.name(),
                             "\", and use that in the layers behind"));
      }
    }
  }

  inline void SetLossWeights(const vector<Blob<Dtype>*>& top) {
    const int weights = layer_param_.loss_weight_size();
    if (weights == 0) return;
    if (static_cast<int>(top.size()) != weights) {
      throw ValueError(Str(weights, " loss_weight value(s), expected ", top.size(),
                           ", one for every top, or none"));
    }
    for (size_t i = 0; i < top.size(); ++i) {
      const Dtype loss_weight = layer_param_.loss_weight(i);
      if (loss_weight == Dtype(0)) continue;
      this->set_loss(i, loss_weight);
      caffe_set(top[i]->count(), loss_weight, top[i]->mutable_cpu_diff());
    }
  }

 private:
  // Does a part of the layer's work, whose errors are this layer's.
  template <typename Work>
  void Named(Work work) const {
    try {
      work();
    } catch (Error& error) {
      const string& written = layer_param_.type();
      error.SetWho(NameOf(layer_param_.name(), written.empty() ? type() : written));
      throw;
    }
  }

  void CheckCount(const char* what, int got, int exact, int least, int most,
                  const vector<string>& names) const {
    string expected;
    if (exact >= 0 && got != exact) {
      expected = Str(exact);
    } else if (least >= 0 && got < least) {
      expected = Str("at least ", least);
    } else if (most >= 0 && got > most) {
      expected = Str("at most ", most);
    } else {
      return;
    }
    string order;
    for (size_t i = 0; i < names.size(); ++i) {
      order += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
    }
    throw ValueError(Str("got ", got, " ", what, " blob(s), expected ", expected,
                         names.empty() ? "" : ": " + order + ", in that order"));
  }

  DISABLE_COPY_AND_ASSIGN(Layer);
};

template <typename Dtype>
inline Dtype Layer<Dtype>::Forward(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  Named([&] {
    Reshape(bottom, top);
    if (Caffe::mode() == Caffe::GPU) {
      Forward_gpu(bottom, top);
    } else {
      Forward_cpu(bottom, top);
    }
  });
  Dtype loss = 0;
  for (size_t top_id = 0; top_id < top.size(); ++top_id) {
    if (!this->loss(top_id)) continue;
    // The diff of a loss top holds its loss weight. A top that has grown since SetUp
    // has new memory. Differs from BVLC, where its loss is 0 from then on.
    if (top[top_id]->diff()->head() == SyncedMemory::UNINITIALIZED) {
      caffe_set(top[top_id]->count(), this->loss(top_id),
                top[top_id]->mutable_cpu_diff());
    }
    loss += caffe_cpu_dot(top[top_id]->count(), top[top_id]->cpu_data(),
                          top[top_id]->cpu_diff());
  }
  return loss;
}

template <typename Dtype>
inline void Layer<Dtype>::Backward(const vector<Blob<Dtype>*>& top,
                                   const vector<bool>& propagate_down,
                                   const vector<Blob<Dtype>*>& bottom) {
  Named([&] {
    if (Caffe::mode() == Caffe::GPU) {
      Backward_gpu(top, propagate_down, bottom);
    } else {
      Backward_cpu(top, propagate_down, bottom);
    }
  });
}

/// What holds of `layer`. A class that derives from the one that told its traits may
/// compute otherwise: only that it works in place, and shares memory, is believed of it.
template <typename Dtype>
LayerTraits TraitsOf(const Layer<Dtype>& layer) {
  LayerTraits told = layer.Traits();
  if (told.of && *told.of == typeid(layer)) return told;
  LayerTraits believed;
  for (InPlace in_place : told.in_place) {
    believed.in_place.push_back(in_place == InPlace::kRefused ? in_place
                                                              : InPlace::kChanges);
  }
  believed.shares_bottom = told.shares_bottom;
  return believed;
}

}  // namespace caffe

#endif  // CAFFE_LAYER_H_
