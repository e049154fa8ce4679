#include "caffe/net/inference_plan.hpp"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "caffe/net/fusion.hpp"

namespace caffe {
namespace {

template <typename Dtype>
class SingleLayer : public InferenceStep<Dtype> {
 public:
  SingleLayer(Layer<Dtype>* layer, const vector<Blob<Dtype>*>& bottom,
              const vector<Blob<Dtype>*>& top)
      : layer_(layer), bottom_(bottom), top_(top) {}
  Dtype Run() override { return layer_->Forward(bottom_, top_); }

 private:
  Layer<Dtype>* layer_;
  const vector<Blob<Dtype>*>& bottom_;
  const vector<Blob<Dtype>*>& top_;
};

}  // namespace

template <typename Dtype>
InferencePlan<Dtype>::InferencePlan(const Net<Dtype>& net,
                                    const vector<int>& memory_roots)
    : net_(net), memory_roots_(memory_roots) {
  const int num_layers = static_cast<int>(net.layers().size());
  vector<bool> taken(num_layers, false);
  vector<Fusion<Dtype>> ends_at(num_layers);
  for (int i = 0; i < num_layers; ++i) {
    if (taken[i]) continue;
    Fusion<Dtype> fusion = FindFusion(net, i, taken, memory_roots);
    if (fusion.layers.empty()) continue;
    for (int layer : fusion.layers) taken[layer] = true;
    ends_at[fusion.layers.back()] = std::move(fusion);
  }
  vector<vector<int>> touched;
  for (int i = 0; i < num_layers; ++i) {
    Fusion<Dtype>& fusion = ends_at[i];
    if (fusion.operation) {
      for (int layer : fusion.layers) {
        for (int blob : net.top_ids(layer)) {
          if (blob != fusion.writes) fused_away_.push_back(blob);
        }
      }
      fusion.reads.push_back(fusion.writes);
      touched.push_back(fusion.reads);
      steps_.push_back({std::move(fusion.operation), i, {}});
    } else if (!taken[i]) {
      touched.push_back(net.bottom_ids(i));
      touched.back().insert(touched.back().end(), net.top_ids(i).begin(),
                            net.top_ids(i).end());
      steps_.push_back(
          {std::make_unique<SingleLayer<Dtype>>(net.layers()[i].get(),
                                                net.bottom_vecs()[i], net.top_vecs()[i]),
           i,
           {}});
    }
  }
  FindDeadBlobs(touched);
}

template <typename Dtype>
void InferencePlan<Dtype>::FindDeadBlobs(const vector<vector<int>>& touched) {
  set<int> kept;
  for (int blob : net_.output_blob_indices()) kept.insert(memory_roots_[blob]);
  for (size_t i = 0; i < net_.layers().size(); ++i) {
    // Data comes from outside, and a layer may have filled its tops for good.
    if (!net_.bottom_ids(i).empty()) continue;
    for (int blob : net_.top_ids(i)) kept.insert(memory_roots_[blob]);
  }
  for (size_t blob = 0; blob < net_.blob_loss_weights().size(); ++blob) {
    if (net_.blob_loss_weights()[blob]) kept.insert(memory_roots_[blob]);
  }
  vector<int> last(memory_roots_.size(), -1);
  for (size_t step = 0; step < touched.size(); ++step) {
    for (int blob : touched[step]) last[memory_roots_[blob]] = static_cast<int>(step);
  }
  for (size_t step = 0; step < touched.size(); ++step) {
    set<int> blobs(touched[step].begin(), touched[step].end());
    for (int blob : blobs) {
      const int root = memory_roots_[blob];
      if (last[root] == static_cast<int>(step) && !kept.count(root)) {
        steps_[step].dead.push_back(blob);
      }
    }
  }
}

template <typename Dtype>
void InferencePlan<Dtype>::Discard(int blob) {
  const Blob<Dtype>& b = *net_.blobs()[blob];
  if (b.num_axes() == 0 && b.count() == 0) return;  // no shape yet
  // Copies that Split made go by the name that the user gave.
  const string& name = net_.blob_names()[memory_roots_[blob]];
  b.data()->Discard(Str(
      "blob '", name, "' of net '", net_.name(), "', like those that ",
      "share its memory, is not kept: the net is optimised for ",
      "inference; make it without optimize=True (Net::Optimize) to see ", "all blobs"));
}

template <typename Dtype>
Dtype InferencePlan<Dtype>::Run(int i) {
  const HostMemoryPool::Scope scope(&pool_);
  const Dtype loss = steps_[i].operation->Run();
  for (int blob : steps_[i].dead) Discard(blob);
  return loss;
}

template <typename Dtype>
void InferencePlan<Dtype>::Finish() {
  for (int blob : fused_away_) Discard(blob);
  pool_.Trim();
}

INSTANTIATE_CLASS(InferencePlan);

}  // namespace caffe
