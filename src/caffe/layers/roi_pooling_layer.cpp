#include "caffe/layers/roi_pooling_layer.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "caffe/layers/labels.hpp"
#include "caffe/layers/roi_cells.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/parallel_tasks.hpp"

namespace caffe {

template <typename Dtype>
void ROIPoolingLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                        const vector<Blob<Dtype>*>& /*top*/) {
  const ROIPoolingParameter& param = this->layer_param_.roi_pooling_param();
  if (param.pooled_h() == 0 || param.pooled_w() == 0 || param.pooled_h() > INT_MAX ||
      param.pooled_w() > INT_MAX) {
    throw ValueError(Str("roi_pooling_param has pooled_h ", param.pooled_h(),
                         " and pooled_w ", param.pooled_w(),
                         ", expected a positive number of cells for both"));
  }
  if (!(param.spatial_scale() > 0) || !std::isfinite(param.spatial_scale())) {
    throw ValueError(Str("roi_pooling_param.spatial_scale is ", param.spatial_scale(),
                         ", expected a number above 0"));
  }
  pooled_height_ = static_cast<int>(param.pooled_h());
  pooled_width_ = static_cast<int>(param.pooled_w());
  spatial_scale_ = param.spatial_scale();
}

template <typename Dtype>
void ROIPoolingLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->num_axes() != 4) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 0), ": shape ",
                         ShapeText(bottom[0]->shape()), ", expected (N, C, H, W)"));
  }
  if (bottom[1]->num_axes() < 2 || bottom[1]->count(1) != 5) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 1), ": shape ",
                         ShapeText(bottom[1]->shape()),
                         ", expected (R, 5): image, x1, y1, x2, y2"));
  }
  top[0]->Reshape(
      {bottom[1]->shape(0), bottom[0]->shape(1), pooled_height_, pooled_width_});
  if (max_idx_.shape() == top[0]->shape()) return;
  max_idx_.Reshape(top[0]->shape());  // for a Backward without a Forward before it
  caffe_set(max_idx_.count(), -1, max_idx_.mutable_cpu_data());
}

template <typename Dtype>
LayerTraits ROIPoolingLayer<Dtype>::Traits() const {
  return {.of = &typeid(ROIPoolingLayer),
          .bottom_use = {DataUse::kNone, DataUse::kRead},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void ROIPoolingLayer<Dtype>::CheckRegions(const Blob<Dtype>& maps,
                                          const Blob<Dtype>& regions) const {
  // Far enough from the ends of int for what is computed with them.
  constexpr Dtype kMost = 1 << 28;
  const Dtype* region = regions.cpu_data();
  for (int r = 0; r < regions.shape(0); ++r, region += 5) {
    if (!(region[0] >= 0 && region[0] < maps.shape(0))) {
      throw ValueError(Str(NameOfBottom(this->layer_param_, 1), ": region ", r,
                           " is of image ", region[0], ", expected 0 to ",
                           maps.shape(0) - 1, " for the ", maps.shape(0),
                           " images of bottom[0]"));
    }
    for (int i = 1; i < 5; ++i) {
      if (std::fabs(region[i] * spatial_scale_) < kMost) continue;
      throw ValueError(Str(NameOfBottom(this->layer_param_, 1), ": region ", r,
                           " has a corner at ", region[i],
                           ", expected pixels of an image"));
    }
  }
}

template <typename Dtype>
void ROIPoolingLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                         const vector<Blob<Dtype>*>& top) {
  CheckRegions(*bottom[0], *bottom[1]);
  const int channels = bottom[0]->shape(1);
  const RoiCells<Dtype> cells = {bottom[0]->height(), bottom[0]->width(), pooled_height_,
                                 pooled_width_, spatial_scale_};
  const std::int64_t plane = bottom[0]->count(2), grid = top[0]->count(2);
  const Dtype *maps = bottom[0]->cpu_data(), *regions = bottom[1]->cpu_data();
  Dtype* to = top[0]->mutable_cpu_data();
  int* places = max_idx_.mutable_cpu_data();
  ParallelTasks(std::int64_t{top[0]->shape(0)} * channels, top[0]->count() * 8,
                [=](std::int64_t task) {
                  const Dtype* region = regions + task / channels * 5;
                  const int image = static_cast<int>(region[0]);
                  const Dtype* map =
                      maps + (std::int64_t{image} * channels + task % channels) * plane;
                  for (int i = 0; i < cells.pooled_height; ++i) {
                    const auto rows = cells.Rows(region, i);
                    for (int j = 0; j < cells.pooled_width; ++j) {
                      const int at = cells.Largest(map, rows, cells.Columns(region, j));
                      const std::int64_t cell = task * grid + i * cells.pooled_width + j;
                      places[cell] = at;
                      to[cell] = at < 0 ? Dtype(0) : map[at];
                    }
                  }
                });
}

template <typename Dtype>
void ROIPoolingLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                          const vector<bool>& propagate_down,
                                          const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("regions", this->layer_param_, propagate_down);
  if (!propagate_down[0]) return;
  const int channels = bottom[0]->shape(1), regions = bottom[1]->shape(0);
  const std::int64_t plane = bottom[0]->count(2), grid = top[0]->count(2);
  const Dtype *region = bottom[1]->cpu_data(), *dy = top[0]->cpu_diff();
  const int* places = max_idx_.cpu_data();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  caffe_set(bottom[0]->count(), Dtype(0), dx);
  // By channel, so that no two threads write one plane.
  ParallelTasks(channels, top[0]->count(), [=](std::int64_t c) {
    for (int r = 0; r < regions; ++r) {
      const std::int64_t image = static_cast<int>(region[r * 5]);
      Dtype* map = dx + (image * channels + c) * plane;
      const std::int64_t first = (std::int64_t{r} * channels + c) * grid;
      for (std::int64_t k = first; k < first + grid; ++k) {
        if (places[k] >= 0) map[places[k]] += dy[k];
      }
    }
  });
}

INSTANTIATE_CLASS(ROIPoolingLayer);
REGISTER_LAYER_CLASS(ROIPooling);

}  // namespace caffe
