#include "caffe/layers/axpy_layer.hpp"

#include <vector>

#include "caffe/layer_factory.hpp"
#include "caffe/layers/axpy_arithmetic.hpp"

namespace caffe {

template <typename Dtype>
void AxpyLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                               const vector<Blob<Dtype>*>& top) {
  const vector<int>& a = bottom[0]->shape();
  const vector<int>& y = bottom[2]->shape();
  bool fits = y.size() >= 2 && bottom[1]->shape() == y && a.size() >= 2 && a[0] == y[0] &&
              a[1] == y[1];
  for (size_t i = 2; fits && i < a.size(); ++i) fits = a[i] == 1;
  CHECK(fits) << "layer '" << this->layer_param_.name() << "' (Axpy): shapes ("
              << bottom[0]->shape_string() << "), (" << bottom[1]->shape_string()
              << ") and (" << bottom[2]->shape_string()
              << "), expected N C 1 1, N C H W and N C H W; bottoms are a, x, y in that "
                 "order";
  CHECK(top[0] != bottom[0] && top[0] != bottom[1])
      << "layer '" << this->layer_param_.name()
      << "' (Axpy): works in place only of bottom[2] (y)";
  top[0]->ReshapeLike(*bottom[1]);
}

template <typename Dtype>
void AxpyLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  AxpyForward(AxpyTiles(bottom[0]->count(), bottom[1]->count(2), 1),
              bottom[0]->cpu_data(), bottom[1]->cpu_data(), bottom[2]->cpu_data(),
              top[0]->mutable_cpu_data());
}

template <typename Dtype>
void AxpyLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  Dtype* diffs[3];
  for (int i = 0; i < 3; ++i) {
    // In place, dy is the top's diff already.
    const bool wanted = propagate_down[i] && bottom[i] != top[0];
    diffs[i] = wanted ? bottom[i]->mutable_cpu_diff() : nullptr;
  }
  AxpyBackward(AxpyTiles(bottom[0]->count(), bottom[1]->count(2), 1),
               bottom[0]->cpu_data(), bottom[1]->cpu_data(), top[0]->cpu_diff(), diffs[0],
               diffs[1], diffs[2]);
}

#ifdef CPU_ONLY
STUB_GPU(AxpyLayer);
#endif

INSTANTIATE_CLASS(AxpyLayer);
#ifndef SKNET_LAYERS_PLUGIN
REGISTER_LAYER_CLASS(Axpy);
#endif

}  // namespace caffe
