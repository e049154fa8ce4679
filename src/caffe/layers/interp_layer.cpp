#include "caffe/layers/interp_layer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "caffe/util/layer_name.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {
namespace {

template <typename Dtype>
std::span<const InterpTap<Dtype>> TapsOf(const shared_ptr<SyncedMemory>& taps,
                                         int count) {
  return {static_cast<const InterpTap<Dtype>*>(taps->cpu_data()),
          static_cast<std::size_t>(count)};
}

}  // namespace

template <typename Dtype>
void InterpLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& /*top*/) {
  const InterpParameter& param = this->layer_param_.interp_param();
  const bool by_size = param.has_height() || param.has_width();
  const bool by_factor = param.has_zoom_factor() || param.has_shrink_factor();
  const bool by_bottom = bottom.size() > 1;
  if (by_size + by_factor + by_bottom != 1) {
    throw ValueError(
        Str("the output size is given ",
            by_size + by_factor + by_bottom == 0 ? "nowhere" : "more than once",
            ", expected one of interp_param's height and width, its zoom_factor and "
            "shrink_factor, or a second bottom"));
  }
  if (by_size && (param.height() < 1 || param.width() < 1)) {
    throw ValueError(Str("interp_param has height ", param.height(), " and width ",
                         param.width(),
                         ", expected a positive number of pixels for both"));
  }
  if (param.zoom_factor() < 1 || param.shrink_factor() < 1) {
    throw ValueError(Str("interp_param has zoom_factor ", param.zoom_factor(),
                         " and shrink_factor ", param.shrink_factor(),
                         ", expected at least 1"));
  }
  if (param.pad_beg() > 0 || param.pad_end() > 0) {
    throw ValueError(Str("interp_param has pad_beg ", param.pad_beg(), " and pad_end ",
                         param.pad_end(),
                         ", expected 0 or less: only cutting off is defined"));
  }
  cut_begin_ = param.pad_beg();
  cut_end_ = param.pad_end();
}

// Of the `extent` rows or columns that are left; `given` is 0 without height and width
// or a second bottom.
template <typename Dtype>
int InterpLayer<Dtype>::OutputExtent(int extent, int given, const char* what) const {
  if (given > 0) return given;
  const InterpParameter& param = this->layer_param_.interp_param();
  const std::int64_t shrunk = (extent - 1) / param.shrink_factor();
  const std::int64_t output = shrunk * param.zoom_factor() + 1;
  if (output > INT_MAX) {
    throw ValueError(Str("zoom_factor ", param.zoom_factor(), " makes a ", what, " of ",
                         output, " pixels, expected at most ", INT_MAX));
  }
  return static_cast<int>(output);
}

template <typename Dtype>
void InterpLayer<Dtype>::Resize(int input, int output, Axis* axis) const {
  if (input == axis->input && output == axis->output) return;
  axis->input = input;
  axis->output = output;
  axis->taps = std::make_shared<SyncedMemory>(output * sizeof(InterpTap<Dtype>));
  auto* taps = static_cast<InterpTap<Dtype>*>(axis->taps->mutable_cpu_data());
  const std::size_t extent = input - cut_begin_ - cut_end_;
  axis->used_by = std::make_shared<SyncedMemory>(extent * sizeof(InterpUses));
  auto* used_by = static_cast<InterpUses*>(axis->used_by->mutable_cpu_data());
  std::fill_n(used_by, extent, InterpUses{0, 0});
  const std::int64_t steps = std::max(output - 1, 1);
  for (int i = 0; i < output; ++i) {
    // Whole numbers, so that places which coincide with a pixel take just that one.
    const std::int64_t place = std::int64_t{i} * (input - 1);
    const std::int64_t rest = place % steps;
    InterpTap<Dtype>& tap = taps[i];
    tap.first = static_cast<int>(place / steps) - cut_begin_;
    tap.second = tap.first + (rest > 0 ? 1 : 0);
    tap.second_weight = static_cast<Dtype>(static_cast<double>(rest) / steps);
    tap.first_weight = 1 - tap.second_weight;
    for (const int neighbour : {tap.first, tap.second}) {
      InterpUses& uses = used_by[neighbour];
      if (uses.end == 0) uses.begin = i;
      uses.end = i + 1;
    }
  }
}

template <typename Dtype>
void InterpLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  for (size_t i = 0; i < bottom.size(); ++i) {
    if (bottom[i]->num_axes() == 4) continue;
    throw ValueError(Str(NameOfBottom(this->layer_param_, static_cast<int>(i)),
                         ": shape ", ShapeText(bottom[i]->shape()),
                         ", expected (N, C, H, W)"));
  }
  const std::int64_t cut = -(std::int64_t{cut_begin_} + cut_end_);
  const int height = bottom[0]->shape(2);
  const int width = bottom[0]->shape(3);
  if (cut >= height || cut >= width) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 0), ": shape ",
                         ShapeText(bottom[0]->shape()), " has nothing left of ", height,
                         " x ", width, " pixels once pad_beg ", cut_begin_,
                         " and pad_end ", cut_end_, " are cut off; cut less"));
  }
  const InterpParameter& param = this->layer_param_.interp_param();
  const int rows_in = static_cast<int>(height - cut);
  const int columns_in = static_cast<int>(width - cut);
  const bool by_bottom = bottom.size() > 1;
  const int rows_out =
      OutputExtent(rows_in, by_bottom ? bottom[1]->shape(2) : param.height(), "height");
  const int columns_out =
      OutputExtent(columns_in, by_bottom ? bottom[1]->shape(3) : param.width(), "width");
  top[0]->Reshape({bottom[0]->shape(0), bottom[0]->shape(1), rows_out, columns_out});
  planes_ = bottom[0]->shape(0) * bottom[0]->shape(1);
  Resize(rows_in, rows_out, &rows_);
  Resize(columns_in, columns_out, &columns_);
}

template <typename Dtype>
LayerTraits InterpLayer<Dtype>::Traits() const {
  return {.of = &typeid(InterpLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone},
          .device_only = true};
}

template <typename Dtype>
void InterpLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  const std::int64_t in_plane = bottom[0]->count(2);
  const std::int64_t out_plane = top[0]->count(2);
  const std::int64_t width = bottom[0]->shape(3);
  const Dtype* src = bottom[0]->cpu_data();
  Dtype* dst = top[0]->mutable_cpu_data();
  const auto rows = TapsOf<Dtype>(rows_.taps, rows_.output);
  const auto columns = TapsOf<Dtype>(columns_.taps, columns_.output);
  ParallelTasks(planes_, top[0]->count(), [=](std::int64_t plane) {
    const Dtype* in = src + plane * in_plane;
    Dtype* out = dst + plane * out_plane;
    for (const InterpTap<Dtype>& row : rows) {
      const Dtype* upper = in + row.first * width;
      const Dtype* lower = in + row.second * width;
      for (const InterpTap<Dtype>& column : columns) {
        *out++ = row.first_weight * (column.first_weight * upper[column.first] +
                                     column.second_weight * upper[column.second]) +
                 row.second_weight * (column.first_weight * lower[column.first] +
                                      column.second_weight * lower[column.second]);
      }
    }
  });
}

template <typename Dtype>
void InterpLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const std::int64_t in_plane = bottom[0]->count(2);
  const std::int64_t out_plane = top[0]->count(2);
  const std::int64_t width = bottom[0]->shape(3);
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  const auto rows = TapsOf<Dtype>(rows_.taps, rows_.output);
  const auto columns = TapsOf<Dtype>(columns_.taps, columns_.output);
  ParallelTasks(planes_, top[0]->count(), [=](std::int64_t plane) {
    Dtype* sum = dx + plane * in_plane;
    const Dtype* diff = dy + plane * out_plane;
    std::fill_n(sum, in_plane, Dtype(0));
    for (const InterpTap<Dtype>& row : rows) {
      Dtype* upper = sum + row.first * width;
      Dtype* lower = sum + row.second * width;
      for (const InterpTap<Dtype>& column : columns) {
        const Dtype to_upper = row.first_weight * *diff;
        const Dtype to_lower = row.second_weight * *diff++;
        upper[column.first] += column.first_weight * to_upper;
        upper[column.second] += column.second_weight * to_upper;
        lower[column.first] += column.first_weight * to_lower;
        lower[column.second] += column.second_weight * to_lower;
      }
    }
  });
}

INSTANTIATE_CLASS(InterpLayer);
REGISTER_LAYER_CLASS(Interp);

}  // namespace caffe
