#include "caffe/net/debug_info.hpp"

#include <cmath>
#include <vector>

namespace caffe {
namespace {

template <typename Dtype>
Dtype MeanAbsolute(const Blob<Dtype>& blob, Dtype asum) {
  return blob.count() > 0 ? asum / blob.count() : Dtype(0);
}

}  // namespace

template <typename Dtype>
void LogForward(const Graph<Dtype>& graph, int i) {
  if (!Caffe::root_solver()) return;
  for (int id : graph.top_ids[i]) {
    const Blob<Dtype>& blob = *graph.blobs[id];
    LOG(INFO) << "    [Forward] Layer " << graph.layer_names[i] << ", top blob "
              << graph.blob_names[id]
              << " data: " << MeanAbsolute(blob, blob.asum_data());
  }
  for (int id : graph.param_ids[i]) {
    const Blob<Dtype>& blob = *graph.params[id];
    LOG(INFO) << "    [Forward] Layer " << graph.layer_names[i] << ", param blob "
              << graph.param_display_names[id]
              << " data: " << MeanAbsolute(blob, blob.asum_data());
  }
}

template <typename Dtype>
void LogBackward(const Graph<Dtype>& graph, int i) {
  if (!Caffe::root_solver()) return;
  for (size_t b = 0; b < graph.bottom_ids[i].size(); ++b) {
    if (!graph.bottom_need_backward[i][b]) continue;
    const Blob<Dtype>& blob = *graph.bottom_vecs[i][b];
    LOG(INFO) << "    [Backward] Layer " << graph.layer_names[i] << ", bottom blob "
              << graph.blob_names[graph.bottom_ids[i][b]]
              << " diff: " << MeanAbsolute(blob, blob.asum_diff());
  }
  for (size_t p = 0; p < graph.param_ids[i].size(); ++p) {
    if (!graph.layers[i]->param_propagate_down(p)) continue;
    const Blob<Dtype>& blob = *graph.params[graph.param_ids[i][p]];
    LOG(INFO) << "    [Backward] Layer " << graph.layer_names[i] << ", param blob " << p
              << " diff: " << MeanAbsolute(blob, blob.asum_diff());
  }
}

template <typename Dtype>
void LogParams(const Graph<Dtype>& graph) {
  Dtype asum_data = 0, asum_diff = 0, sumsq_data = 0, sumsq_diff = 0;
  for (const Blob<Dtype>* param : graph.learnable_params) {
    asum_data += param->asum_data();
    asum_diff += param->asum_diff();
    sumsq_data += param->sumsq_data();
    sumsq_diff += param->sumsq_diff();
  }
  LOG(ERROR) << "    [Backward] All net params (data, diff): L1 norm = (" << asum_data
             << ", " << asum_diff << "); L2 norm = (" << std::sqrt(sumsq_data) << ", "
             << std::sqrt(sumsq_diff) << ")";
}

#define INSTANTIATE_DEBUG_INFO(Dtype)                  \
  template void LogForward(const Graph<Dtype>&, int);  \
  template void LogBackward(const Graph<Dtype>&, int); \
  template void LogParams(const Graph<Dtype>&)
INSTANTIATE_DEBUG_INFO(float);
INSTANTIATE_DEBUG_INFO(double);

}  // namespace caffe
