#ifndef CAFFE_RECURRENT_LAYER_HPP_
#define CAFFE_RECURRENT_LAYER_HPP_

#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/resumable.hpp"

namespace caffe {

template <typename Dtype>
class Net;

/// Base of recurrent layers: a net of T equal steps that share their weights. A subclass
/// writes down the steps (FillUnrolledNet); this class runs them as the net that they
/// are.
///
/// With T steps and N independent streams (sequences) side by side:
/// bottom[0], x: T x N x ..., step t of every stream in row t.
/// bottom[1], cont: T x N, 0 where a sequence begins, which forgets the state, else 1.
/// bottom[2], x_static, optional: N x ..., the same input in every step.
/// top[0]: T x N x num_output, the outputs of all steps.
///
/// What the last step leaves is the state that the next Forward begins with, so that long
/// sequences go through the net in pieces of T steps; gradients stop between two pieces.
/// The state starts as 0, is 0 again after Reset() or with another N, and is part of what
/// a solver stores for a run to be resumed (of several processes, that of the first).
/// With recurrent_param.expose_hidden it is in the hands of the net instead: the states
/// before the first step are further bottoms, each 1 x N x num_output, and those behind
/// the last one further tops.
///
/// Blobs: those of the steps, once. recurrent_param.weight_filler and bias_filler fill
/// them; debug_info logs the steps' values as Net does. T is that of the set-up.
/// Gradients go to all bottoms but cont, through all T steps.
/// Differs from BVLC: with expose_hidden the hidden states have gradients, too.
template <typename Dtype>
class RecurrentLayer : public Layer<Dtype>, public Resumable {
 public:
  explicit RecurrentLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);
  /// Makes the state 0.
  virtual void Reset();

  virtual inline const char* type() const { return "Recurrent"; }
  virtual inline int MinBottomBlobs() const {
    return 2 + static_cast<int>(ExposedNames(false).size());
  }
  virtual inline int MaxBottomBlobs() const { return MinBottomBlobs() + 1; }
  virtual inline int ExactNumTopBlobs() const {
    return 1 + static_cast<int>(ExposedNames(true).size());
  }
  virtual inline bool AllowForceBackward(const int bottom_index) const {
    return bottom_index != 1;
  }
  void Prepare(const LayerOptions& options) override;

  /// The state, unless the net has it.
  bool SaveState(LayerState* state) const override;
  void RestoreState(const LayerState& state) override;

 protected:
  /// Appends the layers of T_ steps to `net_param`, which has Input layers for "x" and
  /// "cont", and for "x_static" if static_input_. They make the blobs that the functions
  /// below name.
  virtual void FillUnrolledNet(NetParameter* net_param) const = 0;
  /// Blobs of the state before the first step, and their shapes.
  virtual void RecurrentInputBlobNames(vector<string>* names) const = 0;
  virtual void RecurrentInputShapes(vector<BlobShape>* shapes) const = 0;
  /// Blobs of the state behind the last step, in the same order.
  virtual void RecurrentOutputBlobNames(vector<string>* names) const = 0;
  /// The blobs that are the layer's first tops.
  virtual void OutputBlobNames(vector<string>* names) const = 0;

  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

  /// The steps.
  shared_ptr<Net<Dtype>> unrolled_net_;
  int N_;                 ///< streams
  int T_;                 ///< steps
  bool static_input_;     ///< there is an x_static
  int last_layer_index_;  ///< of the steps; behind it come losses that are never run
  bool expose_hidden_;

  vector<Blob<Dtype>*> recur_input_blobs_;
  vector<Blob<Dtype>*> recur_output_blobs_;
  vector<Blob<Dtype>*> output_blobs_;
  Blob<Dtype>* x_input_blob_;
  Blob<Dtype>* x_static_input_blob_;
  Blob<Dtype>* cont_input_blob_;

 private:
  vector<string> ExposedNames(bool outputs) const;
  void CheckShapes(const vector<Blob<Dtype>*>& bottom) const;
  void TakeParameters();
  bool Fits(const vector<Blob<Dtype>*>& bottom) const;

  NetParameter::Precision precision_ = NetParameter::FLOAT32;
  /// By top: whose diffs the steps' Backward begins with.
  vector<Blob<Dtype>*> diffs_of_tops_;
};

}  // namespace caffe

#endif  // CAFFE_RECURRENT_LAYER_HPP_
