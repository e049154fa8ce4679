#include "caffe/net/passes/fuse.hpp"

#include <algorithm>
#include <typeinfo>
#include <utility>
#include <vector>

#include "caffe/layers/axpy_layer.hpp"
#include "caffe/layers/conv_layer.hpp"
#include "caffe/layers/cudnn_batch_norm_layer.hpp"
#include "caffe/layers/eltwise_layer.hpp"
#include "caffe/layers/pooling_layer.hpp"
#include "caffe/layers/relu_layer.hpp"
#include "caffe/layers/scale_layer.hpp"
#include "caffe/layers/split_layer.hpp"
#include "caffe/net/fused_operations.hpp"
#include "caffe/ops/convolution.hpp"

namespace caffe {
namespace {

// Layers that one operation can do; none if there are no such.
template <typename Dtype>
struct Match {
  vector<int> layers;
  vector<int> reads;  ///< blobs, in the order in which the layers read them
  OperationPtr<Dtype> operation;
};

template <typename Dtype>
class Fuser {
 public:
  Fuser(const Graph<Dtype>& graph, Policy policy)
      : graph_(graph),
        policy_(policy),
        num_layers_(static_cast<int>(graph.layers.size())),
        taken_(num_layers_, false) {}

  FusedSteps<Dtype> Run() {
    // What a pattern finds runs in the place of its last layer.
    vector<Match<Dtype>> ends_at(num_layers_);
    for (int i = 0; i < num_layers_; ++i) {
      if (taken_[i]) continue;
      Match<Dtype> match = Find(i);
      if (match.layers.empty()) continue;
      for (int layer : match.layers) taken_[layer] = true;
      ends_at[match.layers.back()] = std::move(match);
    }
    FusedSteps<Dtype> fused;
    for (int i = 0; i < num_layers_; ++i) {
      Match<Dtype>& match = ends_at[i];
      if (match.operation) {
        fused.steps.push_back(StepOf(match));
        fused.operations.push_back(std::move(match.operation));
      } else if (!taken_[i]) {
        fused.steps.push_back(StepOf(i));
        fused.operations.push_back(MakeSingleLayer(graph_, i));
      }
    }
    if (policy_ == Policy::kInference) LeaveBfloat16(&fused);
    return fused;
  }

 private:
  // What is read by such steps alone that take bfloat16, views of it included.
  void LeaveBfloat16(FusedSteps<Dtype>* fused) const {
    vector<int> readers(graph_.blobs.size(), 0), takers(graph_.blobs.size(), 0);
    for (size_t s = 0; s < fused->steps.size(); ++s) {
      const Step& step = fused->steps[s];
      const bool is_split = step.layers.size() == 1 && Is<SplitLayer>(step.layers[0]);
      for (const int blob : step.reads) {
        if (is_split) continue;  // its tops have readers of their own
        ++readers[graph_.roots[blob]];
        takers[graph_.roots[blob]] += fused->operations[s]->takes_bfloat16();
      }
    }
    for (size_t s = 0; s < fused->steps.size(); ++s) {
      const vector<int>& writes = fused->steps[s].writes;
      if (writes.size() != 1) continue;
      const int root = graph_.roots[writes[0]];
      if (readers[root] > 0 && readers[root] == takers[root])
        fused->operations[s]->LeaveBfloat16();
    }
  }

  struct Pattern {
    Policy policy;
    Match<Dtype> (Fuser::*find)(int first) const;
  };

  Match<Dtype> Find(int first) const {
    static constexpr Pattern kPatterns[] = {
        {Policy::kTraining, &Fuser::FindNormalizedReLU},
        {Policy::kInference, &Fuser::FindConvolution},
        {Policy::kInference, &Fuser::FindPooledSum},
        {Policy::kInference, &Fuser::FindSelectedSum},
        {Policy::kInference, &Fuser::FindPooling},
    };
    for (const Pattern& pattern : kPatterns) {
      if (pattern.policy != policy_) continue;
      Match<Dtype> match = (this->*pattern.find)(first);
      if (!match.layers.empty()) return match;
    }
    return {};
  }

  // For inference no Backward will come.
  Step::Use Use(int blob, DataUse backward) const {
    return {blob, policy_ == Policy::kInference ? DataUse::kNone : backward};
  }

  Step StepOf(int layer) const {
    const LayerTraits& traits = graph_.traits[layer];
    const vector<int>&bottoms = graph_.bottom_ids[layer], &tops = graph_.top_ids[layer];
    Step step;
    step.layers = {layer};
    step.reads = bottoms;
    step.can_recompute = traits.can_recompute && tops.size() == 1;
    for (size_t j = 0; j < bottoms.size(); ++j) {
      step.uses.push_back(Use(bottoms[j], traits.UseOfBottom(j)));
    }
    for (size_t j = 0; j < tops.size(); ++j) {
      step.uses.push_back(Use(tops[j], traits.UseOfTop(j)));
      if (!graph_.IsView(layer, tops[j])) step.writes.push_back(tops[j]);
    }
    return step;
  }

  // Backward reads what the first layer reads: what the others would read is computed.
  Step StepOf(const Match<Dtype>& match) const {
    const int first = match.layers[0];
    const int result = graph_.top_ids[match.layers.back()][0];
    Step step;
    step.layers = match.layers;
    step.reads = match.reads;
    step.writes = {result};
    step.can_recompute = graph_.traits[first].can_recompute;
    for (int blob : match.reads) {
      const int bottom = graph_.PlaceOf(first, blob);
      step.uses.push_back(Use(
          blob, bottom < 0 ? DataUse::kNone : graph_.traits[first].UseOfBottom(bottom)));
    }
    step.uses.push_back({result, DataUse::kNone});
    for (int layer : match.layers) {
      const int blob = graph_.top_ids[layer][0];
      if (blob != result) step.skipped.push_back(blob);
    }
    return step;
  }

  const LayerParameter& Param(int layer) const {
    return graph_.layers[layer]->layer_param();
  }

  // Exactly: what derives from it may compute otherwise.
  template <template <typename> class LayerClass>
  bool Is(int layer) const {
    const LayerTraits& traits = graph_.traits[layer];
    const std::type_info* computes = traits.computes_as ? traits.computes_as : traits.of;
    return computes && *computes == typeid(LayerClass<Dtype>);
  }

  bool IsPlainReLU(int layer) const {
    return Is<ReLULayer>(layer) && Param(layer).relu_param().negative_slope() == 0;
  }

  // The one layer that reads what `layer` writes, if a fusion may go on with it.
  int Consumer(int layer) const {
    if (graph_.top_ids[layer].size() != 1 || graph_.layers[layer]->loss(0)) return -1;
    const int blob = graph_.top_ids[layer][0];
    for (int i = layer + 1; i < num_layers_; ++i) {
      const vector<int>& bottoms = graph_.bottom_ids[i];
      if (!std::count(bottoms.begin(), bottoms.end(), blob)) continue;
      const bool usable = !taken_[i] && graph_.top_ids[i].size() == 1;
      return usable && !graph_.layers[i]->loss(0) ? i : -1;
    }
    return -1;
  }

  // Whether the memory of `blob` is the same after layers begin + 1 .. end as before:
  // none of them works on it in place.
  bool Unchanged(int blob, int begin, int end) const {
    for (int i = begin + 1; i <= end; ++i) {
      for (int top : graph_.top_ids[i]) {
        if (graph_.WorksInPlace(i, top) && graph_.roots[top] == graph_.roots[blob])
          return false;
      }
    }
    return true;
  }

  bool IsPlainSum(int layer) const {
    const EltwiseParameter& eltwise = Param(layer).eltwise_param();
    return Is<EltwiseLayer>(layer) &&
           eltwise.operation() == EltwiseParameter_EltwiseOp_SUM &&
           std::all_of(eltwise.coeff().begin(), eltwise.coeff().end(),
                       [](float coeff) { return coeff == 1; });
  }

  // CuDNNBatchNorm, and right behind it ReLU in place.
  Match<Dtype> FindNormalizedReLU(int first) const {
    const int relu = first + 1;
    if (graph_.phase != TRAIN || !Is<CuDNNBatchNormLayer>(first)) return {};
    if (Consumer(first) != relu || !IsPlainReLU(relu)) return {};
    const int blob = graph_.top_ids[first][0];
    if (graph_.top_ids[relu][0] != blob || graph_.WorksInPlace(first, blob) ||
        graph_.layer_need_backward[first] != graph_.layer_need_backward[relu]) {
      return {};
    }
    const vector<int> layers = {first, relu};
    return {layers, graph_.bottom_ids[first], MakeNormalizedReLU(graph_, layers)};
  }

  // Convolution, then layers that are affine per channel, a sum with one other blob,
  // ReLU.
  Match<Dtype> FindConvolution(int first) const {
    if (!Is<ConvolutionLayer>(first) || graph_.bottom_ids[first].size() != 1) return {};
    const auto& layer =
        static_cast<const ConvolutionLayer<Dtype>&>(*graph_.layers[first]);
    if (!layer.problem().batch_is_axis0) return {};
    const int source = graph_.bottom_ids[first][0];
    vector<int> layers = {first};
    int num_affine = 0, addend = -1, addend_from = -1;
    bool relu = false;
    for (int next = Consumer(first); next >= 0 && !relu; next = Consumer(next)) {
      const vector<int>& bottoms = graph_.bottom_ids[next];
      const int top = graph_.top_ids[next][0];
      int other = -1;
      if (bottoms.size() == 2 && addend < 0 && IsPlainSum(next) &&
          bottoms[0] != bottoms[1] && top != bottoms[0] && top != bottoms[1]) {
        other = bottoms[bottoms[0] == graph_.top_ids[layers.back()][0] ? 1 : 0];
      }
      const bool affine =
          addend < 0 && bottoms.size() == 1 && graph_.traits[next].channel_affine;
      const bool is_relu = bottoms.size() == 1 && IsPlainReLU(next);
      if (other < 0 && !affine && !is_relu) break;
      if (!Unchanged(source, first, next)) break;
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
    const Blob<Dtype>* added = addend >= 0 ? graph_.blobs[addend].get() : nullptr;
    return {layers, reads, MakeFusedConvolution(graph_, layers, num_affine, added, relu)};
  }

  // Eltwise SUM, then global average pooling.
  Match<Dtype> FindPooledSum(int first) const {
    if (!IsPlainSum(first)) return {};
    const int pool = Consumer(first);
    if (pool < 0 || !Is<PoolingLayer>(pool)) return {};
    const PoolingParameter& param = Param(pool).pooling_param();
    const Blob<Dtype>& bottom = *graph_.bottom_vecs[first][0];
    if (!param.global_pooling() || param.pool() != PoolingParameter_PoolMethod_AVE ||
        bottom.num_axes() != 4) {
      return {};
    }
    const vector<int>& reads = graph_.bottom_ids[first];
    for (int blob : reads) {
      if (blob == graph_.top_ids[first][0] || !Unchanged(blob, first, pool)) return {};
    }
    const vector<int> layers = {first, pool};
    return {layers, reads, MakePooledSum(graph_, layers)};
  }

  // MAX, or over the whole image.
  Match<Dtype> FindPooling(int layer) const {
    if (!Is<PoolingLayer>(layer) || graph_.top_ids[layer].size() != 1) return {};
    const PoolingParameter& param = Param(layer).pooling_param();
    const Blob<Dtype>& top = *graph_.top_vecs[layer][0];
    const bool exact = param.pool() == PoolingParameter_PoolMethod_MAX ||
                       (param.pool() == PoolingParameter_PoolMethod_AVE &&
                        top.height() * top.width() == 1);
    if (!exact) return {};
    return {{layer}, graph_.bottom_ids[layer], MakeInferredPooling(graph_, layer)};
  }

  // Scale by a second bottom, then Axpy.
  Match<Dtype> FindSelectedSum(int first) const {
    if (!Is<ScaleLayer>(first)) return {};
    const vector<int>& scale = graph_.bottom_ids[first];
    const int axpy = Consumer(first);
    if (axpy < 0 || scale.size() != 2 || !Is<AxpyLayer>(axpy)) return {};
    const vector<Blob<Dtype>*>& blobs = graph_.bottom_vecs[first];
    const ScaleParameter& param = Param(first).scale_param();
    const bool per_image_and_channel =
        blobs[0]->num_axes() > 2 && blobs[1]->num_axes() == 2 &&
        blobs[0]->CanonicalAxisIndex(param.axis()) == 0 && !param.bias_term();
    vector<int> reads = scale;
    reads.insert(reads.end(), graph_.bottom_ids[axpy].begin(),
                 graph_.bottom_ids[axpy].begin() + 2);
    const int sum = graph_.top_ids[first][0], top = graph_.top_ids[axpy][0];
    if (!per_image_and_channel || graph_.bottom_ids[axpy][2] != sum) return {};
    for (int blob : reads) {
      // The result may be written before all is read.
      if (blob == sum || blob == top) return {};
    }
    for (int blob : scale) {
      if (!Unchanged(blob, first, axpy)) return {};
    }
    const vector<int> layers = {first, axpy};
    return {layers, reads, MakeSelectedSum(graph_, layers)};
  }

  const Graph<Dtype>& graph_;
  const Policy policy_;
  const int num_layers_;
  vector<bool> taken_;  ///< layers that belong to a match already
};

}  // namespace

template <typename Dtype>
FusedSteps<Dtype> Fuse(const Graph<Dtype>& graph, Policy policy) {
  return Fuser<Dtype>(graph, policy).Run();
}

template FusedSteps<float> Fuse(const Graph<float>&, Policy);
template FusedSteps<double> Fuse(const Graph<double>&, Policy);

}  // namespace caffe
