#ifndef CAFFE_NET_HPP_
#define CAFFE_NET_HPP_

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/compat/shared_result.hpp"
#include "caffe/graph.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

class HostMemoryPool;
template <typename Dtype>
class OverwrittenData;
template <typename Dtype>
class Schedule;

/// How stored weights and a net fit, by the names of layers.
struct WeightsReport {
  vector<string> matched;          ///< layers that got weights
  vector<string> without_weights;  ///< layers of the net that got none
  vector<string> without_layer;    ///< stored layers that the net lacks
  /// Of the stored blobs, by layer.
  map<string, vector<vector<int>>> shapes;
};

/// A directed acyclic graph of layers, run in the order of the prototxt.
///
/// Init keeps the layers whose rules fit the phase, level and stages, copies a
/// blob that several layers read (Split), sets each layer up and works out which
/// layers need gradients. Errors name the layer.
template <typename Dtype>
class Net {
 public:
  explicit Net(const NetParameter& param);
  explicit Net(const string& param_file, Phase phase, const int level = 0,
               const vector<string>* stages = NULL);
  virtual ~Net();

  void Init(const NetParameter& param);

  /// Runs all layers; returns the output blobs and, if asked, the weighted loss.
  const vector<Blob<Dtype>*>& Forward(Dtype* loss = NULL);
  /// Deprecated name of Forward.
  const vector<Blob<Dtype>*>& ForwardPrefilled(Dtype* loss = NULL) {
    return Forward(loss);
  }
  /// Runs the layers start..end, both included; returns their weighted loss.
  Dtype ForwardFromTo(int start, int end);
  Dtype ForwardFrom(int start);
  Dtype ForwardTo(int end);
  /// Deprecated: copies `bottom` into the input blobs, then Forward.
  const vector<Blob<Dtype>*>& Forward(const vector<Blob<Dtype>*>& bottom,
                                      Dtype* loss = NULL);

  /// Sets all parameter diffs to 0.
  void ClearParamDiffs();
  void Backward();
  /// Runs the layers start..end backwards; start >= end.
  void BackwardFromTo(int start, int end);
  void BackwardFrom(int start);
  void BackwardTo(int end);

  /// Propagates the shapes of the input blobs to all tops.
  void Reshape();

  /// For inference, in phase TEST: from now on Forward runs the whole net as fewer,
  /// fused operations, and keeps the data of its inputs and outputs only. Batch norm,
  /// Scale and Bias are folded into the convolution before them, whose weights may
  /// still be changed; ReLU and the sum of a shortcut happen in the same pass; so do
  /// the two passes over the branches of an SK unit. Memory of values that are no
  /// longer needed is used again. Results equal the plain net's to float rounding.
  /// Reading another blob, running a range of layers or Backward throws RuntimeError.
  /// A net with debug_info, with callbacks that read blobs, or on the GPU runs as it is.
  void Optimize();
  bool optimized() const;

  /// Off: Forward and Backward of the whole net keep only what training needs. Data is
  /// freed when no later Backward reads it, or if it is cheap to recompute; a diff when
  /// the layer behind it has run. Inputs, outputs and parameters stay, with their diffs;
  /// so does the data of layers that do not tell what they read (DataUse). Results are
  /// the same, bit for bit. Reading a freed blob throws RuntimeError, as do a second
  /// Backward and, in phase TEST, the first: there data is freed as soon as the layers
  /// behind it have run forward.
  /// A net with debug_info, with callbacks that read blobs, or on the GPU keeps all.
  void set_keep_blobs(bool value) { keep_blobs_ = value; }
  bool keep_blobs() const { return keep_blobs_; }

  /// As NetParameter.precision says, until it is set here; BF16 is an explicit choice,
  /// and without effect, with a warning, on CPUs that are not faster in it. Forward
  /// throws ValueError on a CPU if it is FP16 or TF32, which GPUs alone have.
  void set_precision(NetParameter::Precision value);
  NetParameter::Precision precision() const { return precision_; }
  /// Backward gives the gradients of `scale` times the loss; 1 unless it is set.
  void set_loss_scale(Dtype scale) { loss_scale_ = scale; }

  Dtype ForwardBackward() {
    Dtype loss;
    Forward(&loss);
    Backward();
    return loss;
  }

  /// data -= diff for every learnable parameter.
  void Update();
  /// Makes shared parameters one memory again, as Init did.
  void ShareWeights();
  /// Uses the parameters of the layers of `other` that have the same names.
  void ShareTrainedLayersWith(const Net* other);
  /// Copies stored weights into the layers of the same names. Throws ValueError
  /// when a layer's blob count or shapes differ; logs what matched nothing.
  void CopyTrainedLayersFrom(const NetParameter& param);
  void CopyTrainedLayersFrom(const string& trained_filename);
  void CopyTrainedLayersFromBinaryProto(const string& trained_filename);
  void CopyTrainedLayersFromHDF5(const string& trained_filename);
  /// Of the last CopyTrainedLayersFrom.
  const WeightsReport& weights_report() const { return weights_report_; }
  void ToProto(NetParameter* param, bool write_diff = false) const;
  void ToHDF5(const string& filename, bool write_diff = false) const;

  inline const string& name() const { return graph_.name; }
  inline const vector<string>& layer_names() const { return graph_.layer_names; }
  inline const vector<string>& blob_names() const { return graph_.blob_names; }
  inline const vector<shared_ptr<Blob<Dtype>>>& blobs() const { return graph_.blobs; }
  inline const vector<shared_ptr<Layer<Dtype>>>& layers() const { return graph_.layers; }
  inline Phase phase() const { return graph_.phase; }
  inline const vector<vector<Blob<Dtype>*>>& bottom_vecs() const {
    return graph_.bottom_vecs;
  }
  inline const vector<vector<Blob<Dtype>*>>& top_vecs() const { return graph_.top_vecs; }
  inline const vector<int>& top_ids(int i) const {
    CHECK_GE(i, 0);
    CHECK_LT(i, static_cast<int>(graph_.top_ids.size()));
    return graph_.top_ids[i];
  }
  inline const vector<int>& bottom_ids(int i) const {
    CHECK_GE(i, 0);
    CHECK_LT(i, static_cast<int>(graph_.bottom_ids.size()));
    return graph_.bottom_ids[i];
  }
  inline const vector<vector<bool>>& bottom_need_backward() const {
    return graph_.bottom_need_backward;
  }
  inline const vector<Dtype>& blob_loss_weights() const {
    return graph_.blob_loss_weights;
  }
  inline const vector<bool>& layer_need_backward() const {
    return graph_.layer_need_backward;
  }
  inline const vector<shared_ptr<Blob<Dtype>>>& params() const { return graph_.params; }
  inline const vector<Blob<Dtype>*>& learnable_params() const {
    return graph_.learnable_params;
  }
  inline const vector<float>& params_lr() const { return graph_.params_lr; }
  inline const vector<bool>& has_params_lr() const { return graph_.has_params_lr; }
  inline const vector<float>& params_weight_decay() const {
    return graph_.params_weight_decay;
  }
  inline const vector<bool>& has_params_decay() const { return graph_.has_params_decay; }
  const map<string, int>& param_names_index() const { return graph_.param_names_index; }
  inline const vector<int>& param_owners() const { return graph_.param_owners; }
  inline const vector<string>& param_display_names() const {
    return graph_.param_display_names;
  }
  inline int num_inputs() const { return static_cast<int>(graph_.inputs.size()); }
  inline int num_outputs() const { return static_cast<int>(graph_.outputs.size()); }
  inline const vector<Blob<Dtype>*>& input_blobs() const { return graph_.inputs; }
  inline const vector<Blob<Dtype>*>& output_blobs() const { return graph_.outputs; }
  inline const vector<int>& input_blob_indices() const { return graph_.input_ids; }
  inline const vector<int>& output_blob_indices() const { return graph_.output_ids; }
  bool has_blob(const string& blob_name) const;
  /// A null pointer, and a warning with the closest name, when there is no such blob.
  SharedResult<Blob<Dtype>> blob_by_name(const string& blob_name) const;
  bool has_layer(const string& layer_name) const;
  /// The same of layers.
  SharedResult<Layer<Dtype>> layer_by_name(const string& layer_name) const;

  void set_debug_info(const bool value) { debug_info_ = value; }

  /// Keeps the layers that the net's state selects.
  static void FilterNet(const NetParameter& param, NetParameter* param_filtered);
  static bool StateMeetsRule(const NetState& state, const NetStateRule& rule,
                             const string& layer_name);

  /// Called before or after each layer runs.
  class Callback {
   public:
    virtual ~Callback() = default;
    /// False of one that looks at parameters only. With one that reads blobs the net runs
    /// layer by layer and keeps them all.
    virtual bool reads_blobs() const { return true; }

   protected:
    virtual void run(int layer) = 0;
    template <typename T>
    friend class Net;
  };
  const vector<Callback*>& before_forward() const { return before_forward_; }
  void add_before_forward(Callback* value) { before_forward_.push_back(value); }
  const vector<Callback*>& after_forward() const { return after_forward_; }
  void add_after_forward(Callback* value) { after_forward_.push_back(value); }
  void remove_after_forward(Callback* value) { Remove(value, &after_forward_); }
  const vector<Callback*>& before_backward() const { return before_backward_; }
  void add_before_backward(Callback* value) { before_backward_.push_back(value); }
  const vector<Callback*>& after_backward() const { return after_backward_; }
  void add_after_backward(Callback* value) { after_backward_.push_back(value); }
  void remove_after_backward(Callback* value) { Remove(value, &after_backward_); }

  /// How Forward and Backward of the whole net run now: `caffe time -schedule`.
  Schedule<Dtype>& schedule();
  /// What the net consists of.
  const Graph<Dtype>& graph() const { return graph_; }
  /// Settles all blobs (Blob::Settle), as Forward and Backward do at their end.
  void Settle() const;
  /// Host bytes held by all activations and parameters, data and diff.
  size_t MemoryBytes() const;

 private:
  bool IsLookedAt() const;
  Schedule<Dtype>& PlainSchedule();
  Schedule<Dtype>& ScheduleFor(bool whole, const string& asked);
  void PrepareLayers();
  void Call(const vector<Callback*>& callbacks, int layer);
  static void Remove(Callback* value, vector<Callback*>* from) {
    from->erase(std::remove(from->begin(), from->end(), value), from->end());
  }

  Graph<Dtype> graph_;
  bool debug_info_ = false;
  bool optimized_ = false;
  bool keep_blobs_ = true;
  NetParameter::Precision precision_ = NetParameter::FLOAT32;
  Dtype loss_scale_ = 1;
  std::unique_ptr<OverwrittenData<Dtype>> overwritten_data_;
  /// Of ranges of layers and people who look; of the whole net.
  std::unique_ptr<Schedule<Dtype>> plain_, whole_;
  shared_ptr<HostMemoryPool> pool_;
  WeightsReport weights_report_;
  vector<Callback*> before_forward_, after_forward_, before_backward_, after_backward_;

  DISABLE_COPY_AND_ASSIGN(Net);
};

}  // namespace caffe

#endif  // CAFFE_NET_HPP_
