#ifndef CAFFE_NET_HPP_
#define CAFFE_NET_HPP_

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

class HostMemoryPool;
template <typename Dtype>
class InferencePlan;
template <typename Dtype>
class MemoryPlan;
template <typename Dtype>
class OverwrittenData;

/// How stored weights and a net fit, by the names of layers.
struct WeightsReport {
  vector<string> matched;          ///< layers that got weights
  vector<string> without_weights;  ///< layers of the net that got none
  vector<string> without_layer;    ///< stored layers that the net lacks
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
  virtual ~Net() {}

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
  /// A net with callbacks or debug_info, or on the GPU, runs as it is.
  void Optimize();
  bool optimized() const { return plan_ != nullptr; }

  /// Off: Forward and Backward of the whole net keep only what training needs. Data is
  /// freed when no later Backward reads it, or if it is cheap to recompute; a diff when
  /// the layer behind it has run. Inputs, outputs and parameters stay, with their diffs;
  /// so does the data of layers that do not tell what they read (DataUse). Results are
  /// the same, bit for bit. Reading a freed blob throws RuntimeError, as do a second
  /// Backward and, in phase TEST, the first: there data is freed as soon as the layers
  /// behind it have run forward.
  /// A net with debug_info, with callbacks that read blobs, or on the GPU keeps all.
  void set_keep_blobs(bool value);
  bool keep_blobs() const { return keep_blobs_; }

  /// As NetParameter.precision says, until it is set here; BF16 is an explicit choice,
  /// and without effect, with a warning, on CPUs that are not faster in it.
  void set_precision(NetParameter::Precision value);
  NetParameter::Precision precision() const { return precision_; }

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

  inline const string& name() const { return name_; }
  inline const vector<string>& layer_names() const { return layer_names_; }
  inline const vector<string>& blob_names() const { return blob_names_; }
  inline const vector<shared_ptr<Blob<Dtype>>>& blobs() const { return blobs_; }
  inline const vector<shared_ptr<Layer<Dtype>>>& layers() const { return layers_; }
  inline Phase phase() const { return phase_; }
  inline const vector<vector<Blob<Dtype>*>>& bottom_vecs() const { return bottom_vecs_; }
  inline const vector<vector<Blob<Dtype>*>>& top_vecs() const { return top_vecs_; }
  inline const vector<int>& top_ids(int i) const {
    CHECK_GE(i, 0);
    CHECK_LT(i, static_cast<int>(top_id_vecs_.size()));
    return top_id_vecs_[i];
  }
  inline const vector<int>& bottom_ids(int i) const {
    CHECK_GE(i, 0);
    CHECK_LT(i, static_cast<int>(bottom_id_vecs_.size()));
    return bottom_id_vecs_[i];
  }
  inline const vector<vector<bool>>& bottom_need_backward() const {
    return bottom_need_backward_;
  }
  inline const vector<Dtype>& blob_loss_weights() const { return blob_loss_weights_; }
  inline const vector<bool>& layer_need_backward() const { return layer_need_backward_; }
  inline const vector<shared_ptr<Blob<Dtype>>>& params() const { return params_; }
  inline const vector<Blob<Dtype>*>& learnable_params() const {
    return learnable_params_;
  }
  inline const vector<float>& params_lr() const { return params_lr_; }
  inline const vector<bool>& has_params_lr() const { return has_params_lr_; }
  inline const vector<float>& params_weight_decay() const { return params_weight_decay_; }
  inline const vector<bool>& has_params_decay() const { return has_params_decay_; }
  const map<string, int>& param_names_index() const { return param_names_index_; }
  inline const vector<int>& param_owners() const { return param_owners_; }
  inline const vector<string>& param_display_names() const {
    return param_display_names_;
  }
  inline int num_inputs() const { return static_cast<int>(net_input_blobs_.size()); }
  inline int num_outputs() const { return static_cast<int>(net_output_blobs_.size()); }
  inline const vector<Blob<Dtype>*>& input_blobs() const { return net_input_blobs_; }
  inline const vector<Blob<Dtype>*>& output_blobs() const { return net_output_blobs_; }
  inline const vector<int>& input_blob_indices() const { return net_input_blob_indices_; }
  inline const vector<int>& output_blob_indices() const {
    return net_output_blob_indices_;
  }
  bool has_blob(const string& blob_name) const;
  /// Throws ValueError with the closest name when there is no such blob.
  const shared_ptr<Blob<Dtype>> blob_by_name(const string& blob_name) const;
  bool has_layer(const string& layer_name) const;
  const shared_ptr<Layer<Dtype>> layer_by_name(const string& layer_name) const;

  void set_debug_info(const bool value);

  /// Keeps the layers that the net's state selects.
  static void FilterNet(const NetParameter& param, NetParameter* param_filtered);
  static bool StateMeetsRule(const NetState& state, const NetStateRule& rule,
                             const string& layer_name);

  /// Called before or after each layer runs.
  class Callback {
   public:
    virtual ~Callback() = default;
    /// False of one that looks at parameters only: a net without its blobs
    /// (set_keep_blobs) may have it.
    virtual bool reads_blobs() const { return true; }

   protected:
    virtual void run(int layer) = 0;
    template <typename T>
    friend class Net;
  };
  const vector<Callback*>& before_forward() const { return before_forward_; }
  void add_before_forward(Callback* value);
  const vector<Callback*>& after_forward() const { return after_forward_; }
  void add_after_forward(Callback* value);
  void remove_after_forward(Callback* value) { std::erase(after_forward_, value); }
  const vector<Callback*>& before_backward() const { return before_backward_; }
  void add_before_backward(Callback* value) { before_backward_.push_back(value); }
  const vector<Callback*>& after_backward() const { return after_backward_; }
  void add_after_backward(Callback* value) { after_backward_.push_back(value); }
  void remove_after_backward(Callback* value) { std::erase(after_backward_, value); }

  /// Whether layer i's work is done by the layer before it. Ends for good when
  /// somebody can look between the two: a range of layers that begins or stops
  /// there, a forward callback, debug_info.
  bool layer_absorbed(int i) const { return absorbed_[i]; }
  /// Host bytes held by all activations and parameters, data and diff.
  size_t MemoryBytes() const;

 protected:
  void AppendTop(const NetParameter& param, const int layer_id, const int top_id,
                 set<string>* available_blobs, map<string, int>* blob_name_to_idx);
  int AppendBottom(const NetParameter& param, const int layer_id, const int bottom_id,
                   set<string>* available_blobs, map<string, int>* blob_name_to_idx);
  void AppendParam(const NetParameter& param, const int layer_id, const int param_id);

  void ForwardDebugInfo(const int layer_id);
  void BackwardDebugInfo(const int layer_id);
  void UpdateDebugInfo(const int param_id);

 private:
  void SetUpLayer(const NetParameter& param, int layer_id, set<string>* available_blobs,
                  map<string, int>* blob_name_to_idx);
  void FindBackwardLayers();
  void AbsorbInPlaceLayers();
  void TellLayers();
  vector<int> MemoryRoots() const;
  Dtype RunPlan();
  void MakeMemoryPlan();
  void UpdateMemoryPlan();
  [[noreturn]] void ThrowOptimized(const string& asked) const;
  void Separate(int layer_id);
  void SeparateAll();
  void SettlePinned();
  int LayerIndex(const string& layer_name) const;
  void CheckStoredBlobs(const LayerParameter& source, int target_id) const;
  [[noreturn]] void RethrowFor(const LayerParameter& layer, Error* error) const;
  void ReportWeights(const set<string>& stored);

  string name_;
  Phase phase_;
  vector<shared_ptr<Layer<Dtype>>> layers_;
  vector<string> layer_names_;
  map<string, int> layer_names_index_;
  vector<bool> layer_need_backward_;
  vector<bool> absorbed_;
  vector<shared_ptr<Blob<Dtype>>> blobs_;
  vector<string> blob_names_;
  map<string, int> blob_names_index_;
  vector<bool> blob_need_backward_;
  vector<vector<Blob<Dtype>*>> bottom_vecs_;
  vector<vector<int>> bottom_id_vecs_;
  vector<vector<bool>> bottom_need_backward_;
  vector<vector<Blob<Dtype>*>> top_vecs_;
  vector<vector<int>> top_id_vecs_;
  vector<Dtype> blob_loss_weights_;
  vector<vector<int>> param_id_vecs_;
  vector<int> param_owners_;
  vector<string> param_display_names_;
  vector<pair<int, int>> param_layer_indices_;
  map<string, int> param_names_index_;
  vector<int> net_input_blob_indices_;
  vector<int> net_output_blob_indices_;
  vector<Blob<Dtype>*> net_input_blobs_;
  vector<Blob<Dtype>*> net_output_blobs_;
  vector<shared_ptr<Blob<Dtype>>> params_;
  vector<Blob<Dtype>*> learnable_params_;
  vector<int> learnable_param_ids_;
  vector<float> params_lr_;
  vector<bool> has_params_lr_;
  vector<float> params_weight_decay_;
  vector<bool> has_params_decay_;
  bool debug_info_;
  shared_ptr<InferencePlan<Dtype>> plan_;
  bool keep_blobs_ = true;
  NetParameter::Precision precision_ = NetParameter::FLOAT32;
  shared_ptr<MemoryPlan<Dtype>> memory_plan_;
  shared_ptr<HostMemoryPool> pool_;
  WeightsReport weights_report_;
  /// Blobs that Split made, by name, with the names that the user knows.
  map<string, string> split_blobs_;
  shared_ptr<OverwrittenData<Dtype>> overwritten_data_;
  vector<Callback*> before_forward_;
  vector<Callback*> after_forward_;
  vector<Callback*> before_backward_;
  vector<Callback*> after_backward_;

  DISABLE_COPY_AND_ASSIGN(Net);
};

}  // namespace caffe

#endif  // CAFFE_NET_HPP_
