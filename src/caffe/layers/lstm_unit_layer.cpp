#include <cstdint>

#include "caffe/layers/labels.hpp"
#include "caffe/layers/lstm_layer.hpp"
#include "caffe/layers/lstm_unit_formulas.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/parallel.hpp"
#include "caffe/util/vector_math.hpp"

namespace caffe {

template <typename Dtype>
void LSTMUnitLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->num_axes() != 3 || bottom[0]->shape(0) != 1 ||
      bottom[0]->shape(2) > INT_MAX / 4) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 0), " (c_prev): shape ",
                         ShapeText(bottom[0]->shape()),
                         ", expected (1, streams, cells)"));
  }
  const int streams = bottom[0]->shape(1);
  hidden_dim_ = bottom[0]->shape(2);
  const vector<int> expected[] = {{}, {1, streams, 4 * hidden_dim_}, {1, streams}};
  for (int i = 1; i < 3; ++i) {
    if (bottom[i]->shape() == expected[i]) continue;
    throw ValueError(Str(NameOfBottom(this->layer_param_, i), " (", BottomNames()[i],
                         "): shape ", ShapeText(bottom[i]->shape()), ", expected ",
                         ShapeText(expected[i]), " for bottom[0] (c_prev) of shape ",
                         ShapeText(bottom[0]->shape())));
  }
  top[0]->ReshapeLike(*bottom[0]);
  top[1]->ReshapeLike(*bottom[0]);
  X_acts_.ReshapeLike(*bottom[1]);
}

template <typename Dtype>
LayerTraits LSTMUnitLayer<Dtype>::Traits() const {
  return {.of = &typeid(LSTMUnitLayer),
          .bottom_use = {DataUse::kRead, DataUse::kNone, DataUse::kRead},
          .top_use = {DataUse::kRead, DataUse::kNone}};
}

template <typename Dtype>
void LSTMUnitLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  const Dtype* c_prev = bottom[0]->cpu_data();
  const Dtype* x = bottom[1]->cpu_data();
  const Dtype* cont = bottom[2]->cpu_data();
  Dtype* c = top[0]->mutable_cpu_data();
  Dtype* h = top[1]->mutable_cpu_data();
  Dtype* acts = X_acts_.mutable_cpu_data();
  const int cells = hidden_dim_;
  // A cell takes as long as some dozen additions.
  ParallelTasks(
      bottom[0]->shape(1), 16 * std::int64_t{top[0]->count()}, [=](std::int64_t n) {
        const std::int64_t first = n * cells;
#pragma omp simd
        for (int d = 0; d < cells; ++d) {
          LSTMCell<Dtype>::Forward(cont[n], c_prev[first + d], x + 4 * first + d, cells,
                                   acts + 4 * first + d, c + first + d, h + first + d);
        }
      });
}

template <typename Dtype>
void LSTMUnitLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                        const vector<bool>& propagate_down,
                                        const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("marks", this->layer_param_, propagate_down, 2);
  if (!propagate_down[0] && !propagate_down[1]) return;
  const Dtype* c_prev = bottom[0]->cpu_data();
  const Dtype* cont = bottom[2]->cpu_data();
  const Dtype* acts = X_acts_.cpu_data();
  const Dtype* c = top[0]->cpu_data();
  const Dtype* dc = top[0]->cpu_diff();
  const Dtype* dh = top[1]->cpu_diff();
  // Both are computed at once; what nobody asks for goes where it is not seen.
  Dtype* dx =
      propagate_down[1] ? bottom[1]->mutable_cpu_diff() : X_acts_.mutable_cpu_diff();
  Dtype* dc_prev = propagate_down[0] ? bottom[0]->mutable_cpu_diff() : nullptr;
  const int cells = hidden_dim_;
  ParallelTasks(bottom[0]->shape(1), 16 * std::int64_t{top[0]->count()},
                [=](std::int64_t n) {
                  const std::int64_t first = n * cells;
#pragma omp simd
                  for (int d = 0; d < cells; ++d) {
                    const Dtype to_c = LSTMCell<Dtype>::Backward(
                        cont[n], c_prev[first + d], acts + 4 * first + d, cells,
                        c[first + d], dc[first + d], dh[first + d], dx + 4 * first + d);
                    if (dc_prev) dc_prev[first + d] = to_c;
                  }
                });
}

INSTANTIATE_CLASS(LSTMUnitLayer);
REGISTER_LAYER_CLASS(LSTMUnit);

}  // namespace caffe
