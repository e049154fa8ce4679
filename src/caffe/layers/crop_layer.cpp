#include "caffe/layers/crop_layer.hpp"

#include <algorithm>
#include <climits>
#include <cstdint>

#include "caffe/layers/crop_window.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void CropLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& /*top*/) {
  const CropParameter& param = this->layer_param_.crop_param();
  const int axes = bottom[0]->num_axes();
  const int cropped = axes - bottom[0]->CanonicalAxisIndex(param.axis());
  if (param.offset_size() > 1 && param.offset_size() != cropped) {
    throw ValueError(Str("crop_param.offset is given ", param.offset_size(),
                         " times, expected 0, 1 or ", cropped,
                         ", one for each cropped axis"));
  }
}

template <typename Dtype>
void CropLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                               const vector<Blob<Dtype>*>& top) {
  const CropParameter& param = this->layer_param_.crop_param();
  const int axes = bottom[0]->num_axes();
  if (bottom[1]->num_axes() != axes) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 1), ": shape ",
                         ShapeText(bottom[1]->shape()), ", expected ", axes,
                         " axes like bottom[0] of shape ",
                         ShapeText(bottom[0]->shape())));
  }
  const int start = bottom[0]->CanonicalAxisIndex(param.axis());
  offsets.Reshape({axes});
  int* offset = offsets.mutable_cpu_data();
  vector<int> shape = bottom[0]->shape();
  for (int i = 0; i < axes; ++i) {
    offset[i] = 0;
    if (i < start) continue;
    const std::int64_t from =
        param.offset_size() == 0 ? 0
                                 : param.offset(param.offset_size() == 1 ? 0 : i - start);
    if (from + bottom[1]->shape(i) > bottom[0]->shape(i)) {
      throw ValueError(Str(
          "axis ", i, " of bottom[0], of shape ", ShapeText(bottom[0]->shape()),
          ", has no room for ", bottom[1]->shape(i), " elements from offset ", from,
          " on, as many as bottom[1] of shape ", ShapeText(bottom[1]->shape()), " has"));
    }
    offset[i] = static_cast<int>(from);
    shape[i] = bottom[1]->shape(i);
  }
  top[0]->Reshape(shape);
}

template <typename Dtype>
LayerTraits CropLayer<Dtype>::Traits() const {
  return {.of = &typeid(CropLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void CropLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const CropWindow window(bottom[0]->shape(), top[0]->shape(), offsets.cpu_data());
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  ParallelTasks(window.rows(), top[0]->count(), [&](std::int64_t r) {
    std::copy_n(x + window.PlaceOf(r), window.row, y + r * window.row);
  });
}

template <typename Dtype>
void CropLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  if (propagate_down[1]) {
    caffe_set(bottom[1]->count(), Dtype(0), bottom[1]->mutable_cpu_diff());
  }
  if (!propagate_down[0]) return;
  const CropWindow window(bottom[0]->shape(), top[0]->shape(), offsets.cpu_data());
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  caffe_set(bottom[0]->count(), Dtype(0), dx);
  ParallelTasks(window.rows(), top[0]->count(), [&](std::int64_t r) {
    std::copy_n(dy + r * window.row, window.row, dx + window.PlaceOf(r));
  });
}

INSTANTIATE_CLASS(CropLayer);
REGISTER_LAYER_CLASS(Crop);

}  // namespace caffe
