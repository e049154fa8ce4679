#include "caffe/net/fused_operations.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "caffe/gpu/convolution.hpp"
#include "caffe/layers/conv_layer.hpp"
#include "caffe/layers/cudnn_batch_norm_layer.hpp"
#include "caffe/ops/branches.hpp"
#include "caffe/ops/convolution.hpp"

namespace caffe {
namespace {

// Layers of a net with the blobs they work on, as a fused operation needs them.
template <typename Dtype>
class Group {
 public:
  Group(const Graph<Dtype>& graph, const vector<int>& layers)
      : graph_(graph), layers_(layers) {}
  void Reshape() const {
    for (int i : layers_)
      graph_.layers[i]->Reshape(graph_.bottom_vecs[i], graph_.top_vecs[i]);
  }
  /// As if nothing were fused.
  void RunLayers() const {
    for (int i : layers_)
      graph_.layers[i]->Forward(graph_.bottom_vecs[i], graph_.top_vecs[i]);
  }
  Layer<Dtype>& layer(int k) const { return *graph_.layers[layers_[k]]; }
  const vector<Blob<Dtype>*>& bottom(int k) const {
    return graph_.bottom_vecs[layers_[k]];
  }
  Blob<Dtype>* last_top() const { return graph_.top_vecs[layers_.back()][0]; }

 private:
  const Graph<Dtype>& graph_;
  vector<int> layers_;
};

template <typename Dtype>
class SingleLayer : public Operation<Dtype> {
 public:
  SingleLayer(const Graph<Dtype>& graph, int layer)
      : layer_(*graph.layers[layer]),
        bottom_(graph.bottom_vecs[layer]),
        top_(graph.top_vecs[layer]),
        need_backward_(graph.bottom_need_backward[layer]) {}
  Dtype Forward() override { return layer_.Forward(bottom_, top_); }
  void Backward() override { layer_.Backward(top_, need_backward_, bottom_); }
  void Recompute() override { layer_.Recompute(bottom_, top_); }

 protected:
  Layer<Dtype>& layer_;
  const vector<Blob<Dtype>*>&bottom_, &top_;
  const vector<bool>& need_backward_;
};

// The batch norm, while it is told to do the ReLU as well.
template <typename Dtype>
class NormalizedReLU : public SingleLayer<Dtype> {
 public:
  using SingleLayer<Dtype>::SingleLayer;
  Dtype Forward() override {
    const WithReLU with_relu(this->layer_);
    return SingleLayer<Dtype>::Forward();
  }
  void Backward() override {
    const WithReLU with_relu(this->layer_);
    SingleLayer<Dtype>::Backward();
  }
  void Recompute() override {
    const WithReLU with_relu(this->layer_);
    SingleLayer<Dtype>::Recompute();
  }

 private:
  class WithReLU {
   public:
    explicit WithReLU(Layer<Dtype>& layer)
        : layer_(static_cast<CuDNNBatchNormLayer<Dtype>&>(layer)) {
      layer_.set_relu(true);
    }
    ~WithReLU() { layer_.set_relu(false); }

   private:
    CuDNNBatchNormLayer<Dtype>& layer_;
  };
};

// A pooling whose result is exact, or a mean over the whole image.
template <typename Dtype>
class InferredPooling : public SingleLayer<Dtype> {
 public:
  using SingleLayer<Dtype>::SingleLayer;
  bool takes_bfloat16() const override { return true; }
};

template <typename Dtype>
bool AllFinite(const Dtype* values, std::int64_t count) {
  return std::all_of(values, values + count, [](Dtype v) { return std::isfinite(v); });
}

template <typename Dtype>
class FusedConvolution : public Operation<Dtype> {
 public:
  FusedConvolution(const Graph<Dtype>& graph, const vector<int>& layers, int num_affine,
                   const Blob<Dtype>* addend, bool relu)
      : group_(graph, layers), addend_(addend), relu_(relu) {
    for (int k = 1; k <= num_affine; ++k) {
      affines_.push_back(graph.traits[layers[k]].channel_affine);
    }
  }

  bool takes_bfloat16() const override { return true; }
  void LeaveBfloat16() override { leaves_bfloat16_ = true; }

  Dtype Forward() override {
    group_.Reshape();
    auto& layer = dynamic_cast<ConvolutionLayer<Dtype>&>(group_.layer(0));
    Fold(layer);
    // Infinities do not commute with sums: only apart do the layers treat them alike.
    if (!finite_) {
      group_.RunLayers();
      return 0;
    }
    ConvolutionProblem problem = layer.problem();
    problem.bias = shift_.count() > 0;
    problem.addend = addend_ != nullptr;
    problem.relu = relu_;
    problem.leaves_bfloat16 = leaves_bfloat16_ && problem.precision == NetParameter::BF16;
    if (!(problem == problem_)) {
      problem_ = problem;
      op_.reset();
      device_op_.reset();
    }
    const Blob<Dtype>* weights = !affines_.empty() ? &folded_ : layer.blobs()[0].get();
    if (Caffe::mode() == Caffe::GPU) {
      if (!device_op_) device_op_ = MakeDeviceConvolution<Dtype>(problem);
      device_op_->Forward(DeviceDataOf(group_.bottom(0)[0]), DeviceDataOf(weights),
                          problem.bias ? shift_.gpu_data() : nullptr,
                          DeviceDataOf(group_.last_top()), addend_);
      return 0;
    }
    if (!op_) op_ = MakeConvolution<Dtype>(problem);
    op_->Forward(DataOf(group_.bottom(0)[0]), DataOf(weights),
                 problem.bias ? shift_.cpu_data() : nullptr, DataOf(group_.last_top()),
                 addend_);
    if (!affines_.empty()) folded_.data()->KeepPackedOnly();
    return 0;
  }

 private:
  // Folds anew whenever a value that goes in has changed.
  void Fold(ConvolutionLayer<Dtype>& layer) {
    const Blob<Dtype>& weights = *layer.blobs()[0];
    const int outputs = weights.shape(0);
    vector<double> multiplier(outputs, 1), shift(outputs, 0);
    const bool bias = layer.blobs().size() > 1;
    if (bias) {
      const Dtype* values = layer.blobs()[1]->cpu_data();
      shift.assign(values, values + outputs);
    }
    vector<double> a, b;
    for (const auto& affine : affines_) {
      affine(&a, &b);
      for (int c = 0; c < outputs; ++c) {
        multiplier[c] *= a[c];
        shift[c] = a[c] * shift[c] + b[c];
      }
    }
    finite_ = (!bias && affines_.empty()) || SetShift(shift);
    if (affines_.empty()) return;
    const shared_ptr<SyncedMemory>& memory = weights.data();
    if (memory == folded_from_ && memory->version() == folded_version_ &&
        multiplier == multiplier_) {
      finite_ = finite_ && folded_finite_;
      return;
    }
    const Dtype* from = weights.cpu_data();
    folded_.ReshapeLike(weights);
    Dtype* to = static_cast<Dtype*>(folded_.data()->overwrite_cpu_data());
    const std::int64_t per_output = weights.count() / outputs;
    for (int k = 0; k < outputs; ++k) {
      for (std::int64_t i = k * per_output; i < (k + 1) * per_output; ++i) {
        to[i] = static_cast<Dtype>(from[i] * multiplier[k]);
      }
    }
    folded_finite_ = AllFinite(to, weights.count());
    finite_ = finite_ && folded_finite_;
    folded_from_ = memory;
    folded_version_ = memory->version();
    multiplier_ = std::move(multiplier);
  }

  // Written only when it changes: what is equal need not go to a device again. Returns
  // whether all values are finite.
  bool SetShift(const vector<double>& values) {
    shift_.Reshape({static_cast<int>(values.size())});
    const vector<Dtype> rounded(values.begin(), values.end());
    if (!std::equal(rounded.begin(), rounded.end(), shift_.cpu_data())) {
      std::copy(rounded.begin(), rounded.end(), shift_.mutable_cpu_data());
    }
    return AllFinite(rounded.data(), rounded.size());
  }

  Group<Dtype> group_;
  vector<ChannelAffine> affines_;
  const Blob<Dtype>* addend_;
  bool relu_, leaves_bfloat16_ = false;
  ConvolutionProblem problem_;
  std::unique_ptr<ConvolutionOp<Dtype>> op_;
  std::unique_ptr<DeviceConvolution<Dtype>> device_op_;
  Blob<Dtype> folded_, shift_;
  // What folded_ was made of; held, so that no other memory takes its address.
  shared_ptr<SyncedMemory> folded_from_;
  std::uint64_t folded_version_ = 0;
  vector<double> multiplier_;
  /// Of the folded weights; of those and shift_.
  bool folded_finite_ = true, finite_ = true;
};

template <typename Dtype>
class PooledSum : public Operation<Dtype> {
 public:
  PooledSum(const Graph<Dtype>& graph, const vector<int>& layers)
      : group_(graph, layers) {}
  bool takes_bfloat16() const override { return true; }
  Dtype Forward() override {
    group_.Reshape();
    if (Caffe::mode() == Caffe::GPU) {
      const bool fits = group_.bottom(0).size() <= kMostDeviceBranches;
      if (fits) AverageOfSumOnDevice(group_.bottom(0), group_.last_top());
      if (!fits) group_.RunLayers();
      return 0;
    }
    vector<Tensor<Dtype>> branches;
    for (const Blob<Dtype>* blob : group_.bottom(0)) branches.push_back(DataOf(blob));
    AverageOfSum(branches, DataOf(group_.last_top()).Write(1));
    return 0;
  }

 private:
  Group<Dtype> group_;
};

template <typename Dtype>
class SelectedSum : public Operation<Dtype> {
 public:
  SelectedSum(const Graph<Dtype>& graph, const vector<int>& layers)
      : group_(graph, layers) {}
  bool takes_bfloat16() const override { return true; }
  void LeaveBfloat16() override { leaves_bfloat16_ = true; }

  Dtype Forward() override {
    group_.Reshape();
    const vector<Blob<Dtype>*>& scale = group_.bottom(0);
    const vector<Blob<Dtype>*>& axpy = group_.bottom(1);
    if (Caffe::mode() == Caffe::GPU) {
      WeightedSumOnDevice(*scale[1], *scale[0], *axpy[0], *axpy[1], group_.last_top());
      return 0;
    }
    WeightedSum(scale[1]->cpu_data(), DataOf(scale[0]), axpy[0]->cpu_data(),
                DataOf(axpy[1]), DataOf(group_.last_top()), leaves_bfloat16_);
    return 0;
  }

 private:
  Group<Dtype> group_;
  bool leaves_bfloat16_ = false;
};

}  // namespace

template <typename Dtype>
OperationPtr<Dtype> MakeSingleLayer(const Graph<Dtype>& graph, int layer) {
  return std::make_unique<SingleLayer<Dtype>>(graph, layer);
}

template <typename Dtype>
OperationPtr<Dtype> MakeInferredPooling(const Graph<Dtype>& graph, int layer) {
  return std::make_unique<InferredPooling<Dtype>>(graph, layer);
}

template <typename Dtype>
OperationPtr<Dtype> MakeNormalizedReLU(const Graph<Dtype>& graph,
                                       const vector<int>& layers) {
  return std::make_unique<NormalizedReLU<Dtype>>(graph, layers[0]);
}

template <typename Dtype>
OperationPtr<Dtype> MakeFusedConvolution(const Graph<Dtype>& graph,
                                         const vector<int>& layers, int num_affine,
                                         const Blob<Dtype>* addend, bool relu) {
  return std::make_unique<FusedConvolution<Dtype>>(graph, layers, num_affine, addend,
                                                   relu);
}

template <typename Dtype>
OperationPtr<Dtype> MakePooledSum(const Graph<Dtype>& graph, const vector<int>& layers) {
  return std::make_unique<PooledSum<Dtype>>(graph, layers);
}

template <typename Dtype>
OperationPtr<Dtype> MakeSelectedSum(const Graph<Dtype>& graph,
                                    const vector<int>& layers) {
  return std::make_unique<SelectedSum<Dtype>>(graph, layers);
}

#define INSTANTIATE_OPERATIONS(Dtype)                                                  \
  template OperationPtr<Dtype> MakeSingleLayer(const Graph<Dtype>&, int);              \
  template OperationPtr<Dtype> MakeInferredPooling(const Graph<Dtype>&, int);          \
  template OperationPtr<Dtype> MakeNormalizedReLU(const Graph<Dtype>&,                 \
                                                  const vector<int>&);                 \
  template OperationPtr<Dtype> MakeFusedConvolution(                                   \
      const Graph<Dtype>&, const vector<int>&, int, const Blob<Dtype>*, bool);         \
  template OperationPtr<Dtype> MakePooledSum(const Graph<Dtype>&, const vector<int>&); \
  template OperationPtr<Dtype> MakeSelectedSum(const Graph<Dtype>&, const vector<int>&)
INSTANTIATE_OPERATIONS(float);
INSTANTIATE_OPERATIONS(double);

}  // namespace caffe
