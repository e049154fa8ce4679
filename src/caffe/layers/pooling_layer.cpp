#include "caffe/layers/pooling_layer.hpp"

#include <vector>

#include "caffe/ops/pooling.hpp"

namespace caffe {

template <typename Dtype>
void PoolingLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&,
                                     const vector<Blob<Dtype>*>&) {
  const PoolingParameter& param = this->layer_param_.pooling_param();
  global_pooling_ = param.global_pooling();
  round_mode_ = param.round_mode();
  const bool sized =
      param.has_kernel_size() || param.has_kernel_h() || param.has_kernel_w();
  if (global_pooling_ && sized) {
    throw ValueError(
        "global_pooling pools over the whole image; kernel_size must not be "
        "given with it");
  }
  if (!global_pooling_ && !sized)
    throw ValueError("kernel_size or global_pooling is missing");
  if (param.has_kernel_h() != param.has_kernel_w()) {
    throw ValueError("kernel_h and kernel_w belong together");
  }
  if (param.has_kernel_size() && param.has_kernel_h()) {
    throw ValueError("got both kernel_size and kernel_h/kernel_w, expected one of them");
  }
  if ((param.has_pad() && (param.has_pad_h() || param.has_pad_w())) ||
      (param.has_stride() && (param.has_stride_h() || param.has_stride_w()))) {
    throw ValueError("pad and stride are given either once or as _h and _w");
  }
  kernel_h_ = param.has_kernel_size() ? param.kernel_size() : param.kernel_h();
  kernel_w_ = param.has_kernel_size() ? param.kernel_size() : param.kernel_w();
  pad_h_ = param.has_pad_h() ? param.pad_h() : param.pad();
  pad_w_ = param.has_pad_w() ? param.pad_w() : param.pad();
  stride_h_ = param.has_stride_h() ? param.stride_h() : param.stride();
  stride_w_ = param.has_stride_w() ? param.stride_w() : param.stride();
  if (stride_h_ < 1 || stride_w_ < 1) throw ValueError("stride must be positive");
  if (global_pooling_) {
    if (pad_h_ != 0 || pad_w_ != 0 || stride_h_ != 1 || stride_w_ != 1) {
      throw ValueError("global_pooling takes pad 0 and stride 1 only");
    }
    return;
  }
  if (kernel_h_ < 1 || kernel_w_ < 1) throw ValueError("kernel_size must be positive");
  if (pad_h_ < 0 || pad_w_ < 0 || pad_h_ >= kernel_h_ || pad_w_ >= kernel_w_) {
    throw ValueError(Str("pad is (", pad_h_, ", ", pad_w_,
                         "), expected less than the kernel (", kernel_h_, ", ", kernel_w_,
                         ")"));
  }
}

namespace {

int PooledSize(int size, int kernel, int stride, int pad,
               PoolingParameter_RoundMode mode) {
  const int64_t room = size + int64_t{2} * pad - kernel;
  if (room < 0 && mode == PoolingParameter_RoundMode_FLOOR) return 0;
  int64_t pooled = mode == PoolingParameter_RoundMode_FLOOR
                       ? room / stride + 1
                       : (room + stride - 1) / stride + 1;
  if (room < 0) pooled = -room / stride >= 1 ? 0 : 1;
  // Differs from BVLC, which does this only with padding; see the header.
  if (pooled > 0 && (pooled - 1) * stride >= int64_t{size} + pad) --pooled;
  return static_cast<int>(pooled);
}

}  // namespace

template <typename Dtype>
void PoolingLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->num_axes() != 4) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         ", expected 4 axes (N, C, H, W)"));
  }
  channels_ = bottom[0]->channels();
  height_ = bottom[0]->height();
  width_ = bottom[0]->width();
  if (global_pooling_) {
    kernel_h_ = height_;
    kernel_w_ = width_;
  }
  pooled_height_ = PooledSize(height_, kernel_h_, stride_h_, pad_h_, round_mode_);
  pooled_width_ = PooledSize(width_, kernel_w_, stride_w_, pad_w_, round_mode_);
  if (pooled_height_ < 1 || pooled_width_ < 1) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         ", too small for the kernel (", kernel_h_, ", ", kernel_w_,
                         "); use a larger image or a smaller kernel"));
  }
  for (Blob<Dtype>* blob : top) {
    blob->Reshape(bottom[0]->num(), channels_, pooled_height_, pooled_width_);
  }
  // Places found in an image of another shape: Backward needs a new Forward, and until
  // then finds none.
  const bool is_max =
      this->layer_param_.pooling_param().pool() == PoolingParameter_PoolMethod_MAX;
  if (is_max && max_idx_shape_ != bottom[0]->shape()) {
    max_idx_shape_ = bottom[0]->shape();
    max_idx_.Reshape(top[0]->shape());
    max_idx_block_ = 1;
    int* where = static_cast<int*>(max_idx_.data()->overwrite_cpu_data());
    caffe_set(max_idx_.count(), -1, where);
  }
}

template <typename Dtype>
PoolingProblem PoolingLayer<Dtype>::Problem() const {
  return {kernel_h_, kernel_w_, stride_h_, stride_w_, pad_h_, pad_w_};
}

template <typename Dtype>
LayerTraits PoolingLayer<Dtype>::Traits() const {
  return {.of = &typeid(PoolingLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone},
          .device_only = true};
}

template <typename Dtype>
void PoolingLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  switch (this->layer_param_.pooling_param().pool()) {
    case PoolingParameter_PoolMethod_MAX: {
      max_idx_block_ = DataOf(bottom[0]).block();
      int* where = static_cast<int*>(max_idx_.data()->overwrite_cpu_data());
      MaxPool(Problem(), DataOf(bottom[0]), DataOf(top[0]), where);
      if (top.size() > 1) {
        // The indices in the layout of the values: a user reads them unpacked.
        Dtype* mask = DataOf(top[1]).Write(max_idx_block_);
        for (int i = 0; i < top[1]->count(); ++i) mask[i] = static_cast<Dtype>(where[i]);
      }
      break;
    }
    case PoolingParameter_PoolMethod_AVE:
      AveragePool(Problem(), DataOf(bottom[0]), DataOf(top[0]));
      break;
    default:
      NOT_IMPLEMENTED;
  }
}

template <typename Dtype>
void PoolingLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  switch (this->layer_param_.pooling_param().pool()) {
    case PoolingParameter_PoolMethod_MAX:
      MaxPoolBackward(Problem(), DiffOf(top[0]), max_idx_.cpu_data(), max_idx_block_,
                      DiffOf(bottom[0]));
      break;
    case PoolingParameter_PoolMethod_AVE:
      AveragePoolBackward(Problem(), DiffOf(top[0]), DiffOf(bottom[0]));
      break;
    default:
      NOT_IMPLEMENTED;
  }
}

template <typename Dtype>
void PoolingLayer<Dtype>::UnpackMask() {
  if (max_idx_block_ == 1) return;
  const int spatial = max_idx_.count(2), block = max_idx_block_;
  const int tile = block * spatial;
  const vector<int> packed(max_idx_.cpu_data(), max_idx_.cpu_data() + max_idx_.count());
  int* plain = max_idx_.mutable_cpu_data();
  for (int i = 0; i < max_idx_.count(); ++i) {
    plain[i] = packed[i / tile * tile + i % spatial * block + i / spatial % block];
  }
  max_idx_block_ = 1;
}

INSTANTIATE_CLASS(PoolingLayer);
REGISTER_LAYER_CLASS(Pooling);

}  // namespace caffe
