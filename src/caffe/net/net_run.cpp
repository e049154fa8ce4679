#include <algorithm>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/net/inference_plan.hpp"
#include "caffe/net/memory_plan.hpp"
#include "caffe/net/overwritten_data.hpp"
#include "caffe/net/sample_origin.hpp"
#include "caffe/util/zero_denormals.hpp"

// Forward, Backward, Update and the debug lines of a Net.

namespace caffe {

template <typename Dtype>
Dtype Net<Dtype>::ForwardFromTo(int start, int end) {
  CHECK_GE(start, 0) << "the first layer has index 0";
  CHECK_LT(end, static_cast<int>(layers_.size())) << "the net has no such layer";
  if (plan_) {
    if (start == 0 && end + 1 == static_cast<int>(layers_.size())) return RunPlan();
    ThrowOptimized(Str("layers ", start, " to ", end));
  }
  Separate(start);
  Separate(end + 1);
  // All that a batch goes through: what comes before `start` holds the batch.
  const bool whole = end + 1 == static_cast<int>(layers_.size()) &&
                     std::all_of(bottom_vecs_.begin(), bottom_vecs_.begin() + start,
                                 [](const auto& bottoms) { return bottoms.empty(); });
  if (whole) UpdateMemoryPlan();
  const auto memory_plan = whole ? memory_plan_ : nullptr;
  const HostMemoryPool::Scope scope(memory_plan ? memory_plan->pool() : nullptr);
  Dtype loss = 0;
  for (int i = start; i <= end; ++i) {
    for (Callback* callback : before_forward_) callback->run(i);
    if (!absorbed_[i]) {
      try {
        overwritten_data_->BeforeForward(i);
        overwritten_data_->BeforeFill(i);
        loss += layers_[i]->Forward(bottom_vecs_[i], top_vecs_[i]);
        overwritten_data_->AfterFill(i);
      } catch (BadSample& error) {
        AddOrigin(*this, i, &error);
        RethrowFor(layers_[i]->layer_param(), &error);
      } catch (Error& error) {
        RethrowFor(layers_[i]->layer_param(), &error);
      }
    }
    if (debug_info_) ForwardDebugInfo(i);
    for (Callback* callback : after_forward_) callback->run(i);
    if (memory_plan) memory_plan->AfterForward(i);
  }
  SettlePinned();
  return loss;
}

template <typename Dtype>
Dtype Net<Dtype>::RunPlan() {
  const ZeroDenormals zero_denormals;
  Dtype loss = 0;
  for (int i = 0; i < plan_->size(); ++i) {
    const int layer = plan_->layer(i);
    try {
      overwritten_data_->BeforeFill(layer);
      loss += plan_->Run(i);
      overwritten_data_->AfterFill(layer);
    } catch (BadSample& error) {
      AddOrigin(*this, layer, &error);
      RethrowFor(layers_[layer]->layer_param(), &error);
    } catch (Error& error) {
      RethrowFor(layers_[layer]->layer_param(), &error);
    }
  }
  plan_->Finish();
  SettlePinned();
  return loss;
}

template <typename Dtype>
void Net<Dtype>::ThrowOptimized(const string& asked) const {
  throw RuntimeFailure(Str("net '", name_,
                           "' is optimised for inference and runs forward "
                           "as a whole; asked for ",
                           asked,
                           "; make it without "
                           "optimize=True (Net::Optimize) for that"));
}

template <typename Dtype>
Dtype Net<Dtype>::ForwardFrom(int start) {
  return ForwardFromTo(start, static_cast<int>(layers_.size()) - 1);
}

template <typename Dtype>
Dtype Net<Dtype>::ForwardTo(int end) {
  return ForwardFromTo(0, end);
}

template <typename Dtype>
const vector<Blob<Dtype>*>& Net<Dtype>::Forward(Dtype* loss) {
  const Dtype total = ForwardFromTo(0, static_cast<int>(layers_.size()) - 1);
  if (loss) *loss = total;
  return net_output_blobs_;
}

template <typename Dtype>
const vector<Blob<Dtype>*>& Net<Dtype>::Forward(const vector<Blob<Dtype>*>& bottom,
                                                Dtype* loss) {
  LOG_FIRST_N(WARNING, 1) << "Net::Forward(bottom, loss) is deprecated; fill the input "
                             "blobs, then call Net::Forward(loss)";
  CHECK_EQ(bottom.size(), net_input_blobs_.size())
      << "one blob is needed for every input of the net";
  for (size_t i = 0; i < bottom.size(); ++i) net_input_blobs_[i]->CopyFrom(*bottom[i]);
  return Forward(loss);
}

template <typename Dtype>
void Net<Dtype>::BackwardFromTo(int start, int end) {
  CHECK_GE(end, 0) << "the first layer has index 0";
  CHECK_LT(start, static_cast<int>(layers_.size())) << "the net has no such layer";
  if (plan_) ThrowOptimized("Backward");
  Separate(start + 1);
  Separate(end);
  const bool whole = end == 0 && start + 1 == static_cast<int>(layers_.size());
  const auto memory_plan = whole ? memory_plan_ : nullptr;
  const HostMemoryPool::Scope scope(memory_plan ? memory_plan->pool() : nullptr);
  if (memory_plan) memory_plan->BeginBackward();
  for (int i = start; i >= end; --i) {
    for (Callback* callback : before_backward_) callback->run(i);
    if (layer_need_backward_[i]) {
      if (!absorbed_[i]) {
        try {
          if (memory_plan) memory_plan->BeforeBackward(i);
          overwritten_data_->BeforeBackward(i);
          layers_[i]->Backward(top_vecs_[i], bottom_need_backward_[i], bottom_vecs_[i]);
          overwritten_data_->AfterBackward(i);
        } catch (Error& error) {
          RethrowFor(layers_[i]->layer_param(), &error);
        }
      }
      if (debug_info_) BackwardDebugInfo(i);
    }
    for (Callback* callback : after_backward_) callback->run(i);
    if (memory_plan) memory_plan->AfterBackward(i);
  }
  if (memory_plan) memory_plan->EndBackward();
  SettlePinned();
}

template <typename Dtype>
void Net<Dtype>::BackwardFrom(int start) {
  BackwardFromTo(start, 0);
}

template <typename Dtype>
void Net<Dtype>::BackwardTo(int end) {
  BackwardFromTo(static_cast<int>(layers_.size()) - 1, end);
}

template <typename Dtype>
void Net<Dtype>::Backward() {
  BackwardFromTo(static_cast<int>(layers_.size()) - 1, 0);
  if (!debug_info_) return;
  Dtype asum_data = 0, asum_diff = 0, sumsq_data = 0, sumsq_diff = 0;
  for (const Blob<Dtype>* param : learnable_params_) {
    asum_data += param->asum_data();
    asum_diff += param->asum_diff();
    sumsq_data += param->sumsq_data();
    sumsq_diff += param->sumsq_diff();
  }
  LOG(ERROR) << "    [Backward] All net params (data, diff): L1 norm = (" << asum_data
             << ", " << asum_diff << "); L2 norm = (" << std::sqrt(sumsq_data) << ", "
             << std::sqrt(sumsq_diff) << ")";
}

template <typename Dtype>
void Net<Dtype>::Reshape() {
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (absorbed_[i]) continue;
    try {
      layers_[i]->Reshape(bottom_vecs_[i], top_vecs_[i]);
    } catch (Error& error) {
      RethrowFor(layers_[i]->layer_param(), &error);
    }
  }
}

template <typename Dtype>
void Net<Dtype>::ClearParamDiffs() {
  for (Blob<Dtype>* param : learnable_params_) {
#ifndef CPU_ONLY
    if (Caffe::mode() == Caffe::GPU) {
      caffe_gpu_set(param->count(), Dtype(0), param->mutable_gpu_diff());
      continue;
    }
#endif
    Dtype* diff = static_cast<Dtype*>(param->diff()->overwrite_cpu_data());
    caffe_memset(param->count() * sizeof(Dtype), 0, diff);
  }
}

template <typename Dtype>
void Net<Dtype>::Update() {
  for (Blob<Dtype>* param : learnable_params_) param->Update();
}

// NumPy views and set_cpu_data() pointers must see what was just computed, and
// what is written through them must be seen by the next run.
template <typename Dtype>
void Net<Dtype>::SettlePinned() {
  const auto settle = [](const Blob<Dtype>& blob) {
    if (blob.count() == 0) return;
    blob.data()->Settle();
    blob.diff()->Settle();
  };
  for (const auto& blob : blobs_) settle(*blob);
  for (const auto& blob : params_) settle(*blob);
}

namespace {

template <typename Dtype>
Dtype MeanAbsolute(const Blob<Dtype>& blob, Dtype asum) {
  return blob.count() > 0 ? asum / blob.count() : Dtype(0);
}

}  // namespace

template <typename Dtype>
void Net<Dtype>::ForwardDebugInfo(const int layer_id) {
  for (size_t top_id = 0; top_id < top_vecs_[layer_id].size(); ++top_id) {
    const Blob<Dtype>& blob = *top_vecs_[layer_id][top_id];
    LOG_IF(INFO, Caffe::root_solver())
        << "    [Forward] Layer " << layer_names_[layer_id] << ", top blob "
        << blob_names_[top_id_vecs_[layer_id][top_id]]
        << " data: " << MeanAbsolute(blob, blob.asum_data());
  }
  for (size_t param_id = 0; param_id < layers_[layer_id]->blobs().size(); ++param_id) {
    const Blob<Dtype>& blob = *layers_[layer_id]->blobs()[param_id];
    LOG_IF(INFO, Caffe::root_solver())
        << "    [Forward] Layer " << layer_names_[layer_id] << ", param blob "
        << param_display_names_[param_id_vecs_[layer_id][param_id]]
        << " data: " << MeanAbsolute(blob, blob.asum_data());
  }
}

template <typename Dtype>
void Net<Dtype>::BackwardDebugInfo(const int layer_id) {
  const vector<Blob<Dtype>*>& bottom = bottom_vecs_[layer_id];
  for (size_t bottom_id = 0; bottom_id < bottom.size(); ++bottom_id) {
    if (!bottom_need_backward_[layer_id][bottom_id]) continue;
    const Blob<Dtype>& blob = *bottom[bottom_id];
    LOG_IF(INFO, Caffe::root_solver())
        << "    [Backward] Layer " << layer_names_[layer_id] << ", bottom blob "
        << blob_names_[bottom_id_vecs_[layer_id][bottom_id]]
        << " diff: " << MeanAbsolute(blob, blob.asum_diff());
  }
  for (size_t param_id = 0; param_id < layers_[layer_id]->blobs().size(); ++param_id) {
    if (!layers_[layer_id]->param_propagate_down(param_id)) continue;
    const Blob<Dtype>& blob = *layers_[layer_id]->blobs()[param_id];
    LOG_IF(INFO, Caffe::root_solver())
        << "    [Backward] Layer " << layer_names_[layer_id] << ", param blob "
        << param_id << " diff: " << MeanAbsolute(blob, blob.asum_diff());
  }
}

template <typename Dtype>
void Net<Dtype>::UpdateDebugInfo(const int param_id) {
  const Blob<Dtype>& blob = *params_[param_id];
  const auto [layer_id, layer_param_id] = param_layer_indices_[param_id];
  (void)layer_param_id;
  const Dtype diff = MeanAbsolute(blob, blob.asum_diff());
  const Dtype data = MeanAbsolute(blob, blob.asum_data());
  LOG_IF(INFO, Caffe::root_solver())
      << "    [Update] Layer " << layer_names_[layer_id] << ", param "
      << param_display_names_[param_id] << " data: " << data << "; diff: " << diff;
}

#define INSTANTIATE_NET_RUN(Dtype)                                                      \
  template Dtype Net<Dtype>::ForwardFromTo(int, int);                                   \
  template Dtype Net<Dtype>::ForwardFrom(int);                                          \
  template Dtype Net<Dtype>::ForwardTo(int);                                            \
  template const vector<Blob<Dtype>*>& Net<Dtype>::Forward(Dtype*);                     \
  template const vector<Blob<Dtype>*>& Net<Dtype>::Forward(const vector<Blob<Dtype>*>&, \
                                                           Dtype*);                     \
  template void Net<Dtype>::BackwardFromTo(int, int);                                   \
  template void Net<Dtype>::BackwardFrom(int);                                          \
  template void Net<Dtype>::BackwardTo(int);                                            \
  template void Net<Dtype>::Backward();                                                 \
  template void Net<Dtype>::Reshape();                                                  \
  template void Net<Dtype>::ClearParamDiffs();                                          \
  template void Net<Dtype>::Update();                                                   \
  template void Net<Dtype>::UpdateDebugInfo(const int)
INSTANTIATE_NET_RUN(float);
INSTANTIATE_NET_RUN(double);

}  // namespace caffe
