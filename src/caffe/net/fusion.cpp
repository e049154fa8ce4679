#include "caffe/net/fusion.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caffe/layers/conv_layer.hpp"
#include "caffe/ops/branches.hpp"
#include "caffe/ops/convolution.hpp"

namespace caffe {
namespace {

// Layers of a net with the blobs they work on, as a fused operation needs them.
template <typename Dtype>
class Group {
 public:
  Group(const Net<Dtype>& net, const vector<int>& layers) : net_(net), layers_(layers) {}
  void Reshape() const {
    for (int i : layers_)
      net_.layers()[i]->Reshape(net_.bottom_vecs()[i], net_.top_vecs()[i]);
  }
  /// As if nothing were fused.
  void RunLayers() const {
    for (int i : layers_)
      net_.layers()[i]->Forward(net_.bottom_vecs()[i], net_.top_vecs()[i]);
  }
  Layer<Dtype>& layer(int k) const { return *net_.layers()[layers_[k]]; }
  const vector<Blob<Dtype>*>& bottom(int k) const {
    return net_.bottom_vecs()[layers_[k]];
  }
  Blob<Dtype>* last_top() const { return net_.top_vecs()[layers_.back()][0]; }

 private:
  const Net<Dtype>& net_;
  vector<int> layers_;
};

template <typename Dtype>
bool AllFinite(const Dtype* values, std::int64_t count) {
  return std::all_of(values, values + count, [](Dtype v) { return std::isfinite(v); });
}

// top = relu(a · (weights * bottom + bias) + b + addend), with a folded into the weights.
template <typename Dtype>
class FusedConvolution : public InferenceStep<Dtype> {
 public:
  FusedConvolution(Group<Dtype> group, int num_affine, const Blob<Dtype>* addend,
                   bool relu)
      : group_(std::move(group)), num_affine_(num_affine), addend_(addend), relu_(relu) {}

  Dtype Run() override {
    group_.Reshape();
    auto& layer = dynamic_cast<ConvolutionLayer<Dtype>&>(group_.layer(0));
    Fold(layer);
    // Infinities do not commute with sums: only apart do the layers treat them alike.
    if (!finite_) {
      group_.RunLayers();
      return 0;
    }
    ConvolutionProblem problem = layer.problem();
    problem.bias = !shift_.empty();
    problem.addend = addend_ != nullptr;
    problem.relu = relu_;
    if (!op_ || !(problem == problem_)) {
      problem_ = problem;
      op_ = MakeConvolution<Dtype>(problem);
    }
    const Blob<Dtype>* weights = num_affine_ > 0 ? &folded_ : layer.blobs()[0].get();
    op_->Forward(DataOf(group_.bottom(0)[0]), DataOf(weights),
                 shift_.empty() ? nullptr : shift_.data(), DataOf(group_.last_top()),
                 addend_);
    if (num_affine_ > 0) folded_.data()->KeepPackedOnly();
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
    for (int k = 1; k <= num_affine_; ++k) {
      CHECK(group_.layer(k).ChannelAffine(&a, &b)) << "the layer was affine before";
      for (int c = 0; c < outputs; ++c) {
        multiplier[c] *= a[c];
        shift[c] = a[c] * shift[c] + b[c];
      }
    }
    if (bias || num_affine_ > 0) shift_.assign(shift.begin(), shift.end());
    finite_ = AllFinite(shift_.data(), shift_.size());
    if (num_affine_ == 0) return;
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

  Group<Dtype> group_;
  int num_affine_;
  const Blob<Dtype>* addend_;
  bool relu_;
  ConvolutionProblem problem_;
  std::unique_ptr<ConvolutionOp<Dtype>> op_;
  Blob<Dtype> folded_;
  vector<Dtype> shift_;
  // What folded_ was made of; held, so that no other memory takes its address.
  shared_ptr<SyncedMemory> folded_from_;
  std::uint64_t folded_version_ = 0;
  vector<double> multiplier_;
  /// Of the folded weights; of those and shift_.
  bool folded_finite_ = true, finite_ = true;
};

// Eltwise SUM and the global average pooling of the sum.
template <typename Dtype>
class PooledSum : public InferenceStep<Dtype> {
 public:
  explicit PooledSum(Group<Dtype> group) : group_(std::move(group)) {}
  Dtype Run() override {
    group_.Reshape();
    vector<Tensor<Dtype>> branches;
    for (const Blob<Dtype>* blob : group_.bottom(0)) branches.push_back(DataOf(blob));
    AverageOfSum(branches, DataOf(group_.last_top()).Write(1));
    return 0;
  }

 private:
  Group<Dtype> group_;
};

// Scale by a second bottom, and Axpy of another branch onto it.
template <typename Dtype>
class SelectedSum : public InferenceStep<Dtype> {
 public:
  explicit SelectedSum(Group<Dtype> group) : group_(std::move(group)) {}
  Dtype Run() override {
    group_.Reshape();
    const vector<Blob<Dtype>*>& scale = group_.bottom(0);
    const vector<Blob<Dtype>*>& axpy = group_.bottom(1);
    WeightedSum(scale[1]->cpu_data(), DataOf(scale[0]), axpy[0]->cpu_data(),
                DataOf(axpy[1]), DataOf(group_.last_top()));
    return 0;
  }

 private:
  Group<Dtype> group_;
};

template <typename Dtype>
class Finder {
 public:
  Finder(const Net<Dtype>& net, int first, const vector<bool>& taken,
         const vector<int>& memory_roots)
      : net_(net), first_(first), taken_(taken), roots_(memory_roots) {}

  Fusion<Dtype> Find() const {
    const string type = net_.layers()[first_]->type();
    if (type == "Convolution") return FindConvolution();
    if (type == "Eltwise") return FindPooledSum();
    if (type == "Scale") return FindSelectedSum();
    return {};
  }

 private:
  const LayerParameter& Param(int layer) const {
    return net_.layers()[layer]->layer_param();
  }

  // The one layer that reads what `layer` writes, if a fusion may go on with it.
  int Consumer(int layer) const {
    if (net_.top_ids(layer).size() != 1 || net_.layers()[layer]->loss(0)) return -1;
    const int blob = net_.top_ids(layer)[0];
    for (int i = layer + 1; i < static_cast<int>(net_.layers().size()); ++i) {
      const vector<int>& bottoms = net_.bottom_ids(i);
      if (!std::count(bottoms.begin(), bottoms.end(), blob)) continue;
      const bool usable = !taken_[i] && net_.top_ids(i).size() == 1;
      return usable && !net_.layers()[i]->loss(0) ? i : -1;
    }
    return -1;
  }

  // Whether the memory of `blob` is the same after layers begin + 1 .. end as before:
  // none of them works on it in place.
  bool Unchanged(int blob, int begin, int end) const {
    for (int i = begin + 1; i <= end; ++i) {
      for (int top : net_.top_ids(i)) {
        const vector<int>& bottoms = net_.bottom_ids(i);
        const bool in_place = std::count(bottoms.begin(), bottoms.end(), top) > 0;
        if (in_place && roots_[top] == roots_[blob]) return false;
      }
    }
    return true;
  }

  static bool IsPlainSum(const LayerParameter& param) {
    const EltwiseParameter& eltwise = param.eltwise_param();
    return param.type() == "Eltwise" &&
           eltwise.operation() == EltwiseParameter_EltwiseOp_SUM &&
           std::all_of(eltwise.coeff().begin(), eltwise.coeff().end(),
                       [](float coeff) { return coeff == 1; });
  }

  Fusion<Dtype> FindConvolution() const {
    const auto* layer =
        dynamic_cast<const ConvolutionLayer<Dtype>*>(net_.layers()[first_].get());
    if (!layer || net_.bottom_ids(first_).size() != 1 ||
        !layer->problem().batch_is_axis0) {
      return {};
    }
    const int source = net_.bottom_ids(first_)[0];
    vector<int> layers = {first_};
    int num_affine = 0, addend = -1, addend_from = -1;
    bool relu = false;
    vector<double> a, b;
    for (int next = Consumer(first_); next >= 0 && !relu; next = Consumer(next)) {
      const vector<int>& bottoms = net_.bottom_ids(next);
      int other = -1;
      if (bottoms.size() == 2 && addend < 0 && IsPlainSum(Param(next)) &&
          bottoms[0] != bottoms[1] && net_.top_ids(next)[0] != bottoms[0] &&
          net_.top_ids(next)[0] != bottoms[1]) {
        other = bottoms[bottoms[0] == net_.top_ids(layers.back())[0] ? 1 : 0];
      }
      const bool affine =
          addend < 0 && bottoms.size() == 1 && net_.layers()[next]->ChannelAffine(&a, &b);
      const bool is_relu = Param(next).type() == "ReLU" && bottoms.size() == 1 &&
                           Param(next).relu_param().negative_slope() == 0;
      if (other < 0 && !affine && !is_relu) break;
      if (!Unchanged(source, first_, next)) break;
      if (addend >= 0 && !Unchanged(addend, addend_from, next)) break;
      layers.push_back(next);
      num_affine += affine;
      relu = is_relu;
      if (other >= 0) {
        addend = other;
        addend_from = next;
      }
    }
    if (layers.size() == 1) return {};
    vector<int> reads = {source};
    if (addend >= 0) reads.push_back(addend);
    return Make(layers, reads,
                std::make_unique<FusedConvolution<Dtype>>(
                    Group<Dtype>(net_, layers), num_affine,
                    addend >= 0 ? net_.blobs()[addend].get() : nullptr, relu));
  }

  Fusion<Dtype> FindPooledSum() const {
    const int pool = Consumer(first_);
    if (pool < 0 || !IsPlainSum(Param(first_)) || Param(pool).type() != "Pooling")
      return {};
    const PoolingParameter& param = Param(pool).pooling_param();
    const Blob<Dtype>& bottom = *net_.bottom_vecs()[first_][0];
    if (!param.global_pooling() || param.pool() != PoolingParameter_PoolMethod_AVE ||
        bottom.num_axes() != 4) {
      return {};
    }
    const vector<int>& reads = net_.bottom_ids(first_);
    for (int blob : reads) {
      if (blob == net_.top_ids(first_)[0] || !Unchanged(blob, first_, pool)) return {};
    }
    const vector<int> layers = {first_, pool};
    return Make(layers, reads,
                std::make_unique<PooledSum<Dtype>>(Group<Dtype>(net_, layers)));
  }

  Fusion<Dtype> FindSelectedSum() const {
    const vector<int>& scale = net_.bottom_ids(first_);
    const int axpy = Consumer(first_);
    if (axpy < 0 || scale.size() != 2 || Param(axpy).type() != "Axpy") return {};
    const vector<Blob<Dtype>*>& blobs = net_.bottom_vecs()[first_];
    const ScaleParameter& param = Param(first_).scale_param();
    const bool per_image_and_channel =
        blobs[0]->num_axes() > 2 && blobs[1]->num_axes() == 2 &&
        blobs[0]->CanonicalAxisIndex(param.axis()) == 0 && !param.bias_term();
    vector<int> reads = scale;
    reads.insert(reads.end(), net_.bottom_ids(axpy).begin(),
                 net_.bottom_ids(axpy).begin() + 2);
    const int sum = net_.top_ids(first_)[0], top = net_.top_ids(axpy)[0];
    if (!per_image_and_channel || net_.bottom_ids(axpy)[2] != sum) return {};
    for (int blob : reads) {
      // The result may be written before all is read.
      if (blob == sum || blob == top) return {};
    }
    for (int blob : scale) {
      if (!Unchanged(blob, first_, axpy)) return {};
    }
    const vector<int> layers = {first_, axpy};
    return Make(layers, reads,
                std::make_unique<SelectedSum<Dtype>>(Group<Dtype>(net_, layers)));
  }

  Fusion<Dtype> Make(const vector<int>& layers, const vector<int>& reads,
                     std::unique_ptr<InferenceStep<Dtype>> operation) const {
    Fusion<Dtype> fusion;
    fusion.layers = layers;
    fusion.reads = reads;
    fusion.writes = net_.top_ids(layers.back())[0];
    fusion.operation = std::move(operation);
    return fusion;
  }

  const Net<Dtype>& net_;
  int first_;
  const vector<bool>& taken_;
  const vector<int>& roots_;
};

}  // namespace

template <typename Dtype>
Fusion<Dtype> FindFusion(const Net<Dtype>& net, int first, const vector<bool>& taken,
                         const vector<int>& memory_roots) {
  return Finder<Dtype>(net, first, taken, memory_roots).Find();
}

template Fusion<float> FindFusion(const Net<float>&, int, const vector<bool>&,
                                  const vector<int>&);
template Fusion<double> FindFusion(const Net<double>&, int, const vector<bool>&,
                                   const vector<int>&);

}  // namespace caffe
