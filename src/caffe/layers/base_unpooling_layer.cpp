#include "caffe/layers/base_unpooling_layer.hpp"

#include <algorithm>
#include <cstdint>

#include "caffe/util/layer_name.hpp"
#include "caffe/util/parallel_tasks.hpp"

namespace caffe {

template <typename Dtype>
void BaseUnpoolingLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->num_axes() != 4) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 0), ": shape ",
                         ShapeText(bottom[0]->shape()), ", expected (N, C, H, W)"));
  }
  if (bottom.size() > 1 && bottom[1]->shape() != bottom[0]->shape()) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 1), ": shape ",
                         ShapeText(bottom[1]->shape()), ", expected ",
                         ShapeText(bottom[0]->shape()),
                         " like bottom[0]: a place for each of its values"));
  }
  const auto [height, width] = TopSize(bottom[0]->height(), bottom[0]->width());
  if (height < 1 || width < 1 || height > INT_MAX || width > INT_MAX) {
    throw ValueError(Str("the top would have ", height, " x ", width,
                         " pixels, expected 1 to ", INT_MAX, " on each side"));
  }
  top[0]->Reshape({bottom[0]->shape(0), bottom[0]->shape(1), static_cast<int>(height),
                   static_cast<int>(width)});
  if (source_.shape() != top[0]->shape()) {  // for a Backward without a Forward before it
    source_.Reshape(top[0]->shape());
    caffe_set(source_.count(), -1, source_.mutable_cpu_data());
  }
  if (bottom.size() > 1) return;
  starts_.Reshape(bottom[0]->shape());
  const int columns = bottom[0]->width(), rows = bottom[0]->height();
  Dtype* start = starts_.mutable_cpu_data();
  for (int64_t i = 0; i < starts_.count(); ++i) {
    const int64_t row = i / columns % rows * Steps().first - Pads().first;
    const int64_t column = i % columns * Steps().second - Pads().second;
    start[i] = static_cast<Dtype>(std::clamp<int64_t>(row, 0, height - 1) * width +
                                  std::clamp<int64_t>(column, 0, width - 1));
  }
}

template <typename Dtype>
const Blob<Dtype>& BaseUnpoolingLayer<Dtype>::Places(
    const vector<Blob<Dtype>*>& bottom) const {
  return bottom.size() > 1 ? *bottom[1] : starts_;
}

template <typename Dtype>
void BaseUnpoolingLayer<Dtype>::RefusePlace(const Blob<Dtype>& places) const {
  const Dtype* place = places.cpu_data();
  const int plane = source_.count(2);
  const auto wrong = std::find_if_not(place, place + places.count(), [=](Dtype value) {
    return value >= 0 && value < plane;
  });
  throw ValueError(Str(NameOfBottom(this->layer_param_, 1), ": a value belongs at place ",
                       *wrong, ", expected 0 to ", plane - 1, " for the top's ",
                       source_.shape(2), " x ", source_.shape(3),
                       " pixels; give the top the size of the pooling's bottom"));
}

template <typename Dtype>
void BaseUnpoolingLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) {
  const Blob<Dtype>& places = Places(bottom);
  const std::int64_t values = bottom[0]->count(2), plane = top[0]->count(2);
  const Dtype *place = places.cpu_data(), *x = bottom[0]->cpu_data();
  if (!std::all_of(place, place + places.count(),
                   [=](Dtype value) { return value >= 0 && value < plane; })) {
    RefusePlace(places);
  }
  int* source = source_.mutable_cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  ParallelTasks(bottom[0]->count(0, 2), top[0]->count(), [=](std::int64_t p) {
    int* from = source + p * plane;
    std::fill_n(from, plane, -1);
    for (std::int64_t i = p * values; i < (p + 1) * values; ++i) {
      from[static_cast<int>(place[i])] = static_cast<int>(i);
    }
    for (std::int64_t t = 0; t < plane; ++t) {
      y[p * plane + t] = from[t] < 0 ? Dtype(0) : x[from[t]];
    }
  });
}

template <typename Dtype>
void BaseUnpoolingLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                             const vector<bool>& propagate_down,
                                             const vector<Blob<Dtype>*>& bottom) {
  // A pooling does not learn from where it has found its values.
  if (bottom.size() > 1 && propagate_down[1]) {
    caffe_set(bottom[1]->count(), Dtype(0), bottom[1]->mutable_cpu_diff());
  }
  if (!propagate_down[0]) return;
  const int* source = source_.cpu_data();
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  caffe_set(bottom[0]->count(), Dtype(0), dx);
  for (int t = 0; t < top[0]->count(); ++t) {
    if (source[t] >= 0) dx[source[t]] = dy[t];
  }
}

INSTANTIATE_CLASS(BaseUnpoolingLayer);

}  // namespace caffe
