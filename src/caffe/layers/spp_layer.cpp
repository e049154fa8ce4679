#include "caffe/layers/spp_layer.hpp"

#include <memory>
#include <string>

namespace caffe {
namespace {

// A level of more windows has none with a pixel in it in any image that fits into a blob.
constexpr unsigned kMostLevels = 16;

struct Windows {
  int kernel, pad;
};

// `bins` windows that cover `size` pixels.
Windows WindowsOf(int size, int bins) {
  const int kernel = (size + bins - 1) / bins;
  return {kernel, (kernel * bins - size + 1) / 2};
}

template <typename Dtype>
shared_ptr<Layer<Dtype>> MakeLayer(LayerParameter param, const string& name,
                                   const char* type, Phase phase) {
  param.set_name(name);
  param.set_phase(phase);
  param.set_type(type);
  return LayerRegistry<Dtype>::CreateLayer(param);
}

}  // namespace

template <typename Dtype>
LayerParameter SPPLayer<Dtype>::GetPoolingParam(const int pyramid_level,
                                                const int bottom_h, const int bottom_w,
                                                const SPPParameter spp_param) {
  const int bins = 1 << pyramid_level;
  const Windows h = WindowsOf(bottom_h, bins), w = WindowsOf(bottom_w, bins);
  if (h.pad >= h.kernel || w.pad >= w.kernel) {
    throw ValueError(Str("an image of ", bottom_h, " by ", bottom_w,
                         " pixels cannot be divided into ", bins, " by ", bins,
                         " windows (level ", pyramid_level,
                         " of the pyramid): some would lie in the padding; use a larger "
                         "image or a smaller pyramid_height"));
  }
  LayerParameter param;
  PoolingParameter* pooling = param.mutable_pooling_param();
  pooling->set_kernel_h(h.kernel);
  pooling->set_kernel_w(w.kernel);
  pooling->set_stride_h(h.kernel);
  pooling->set_stride_w(w.kernel);
  pooling->set_pad_h(h.pad);
  pooling->set_pad_w(w.pad);
  switch (spp_param.pool()) {
    case SPPParameter_PoolMethod_MAX:
      pooling->set_pool(PoolingParameter_PoolMethod_MAX);
      break;
    case SPPParameter_PoolMethod_AVE:
      pooling->set_pool(PoolingParameter_PoolMethod_AVE);
      break;
    case SPPParameter_PoolMethod_STOCHASTIC:
      pooling->set_pool(PoolingParameter_PoolMethod_STOCHASTIC);
      break;
  }
  return param;
}

template <typename Dtype>
Blob<Dtype>* SPPLayer<Dtype>::NewBlob() {
  blobs_between_.push_back(std::make_shared<Blob<Dtype>>());
  return blobs_between_.back().get();
}

template <typename Dtype>
void SPPLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                 const vector<Blob<Dtype>*>& /*top*/) {
  const SPPParameter& param = this->layer_param_.spp_param();
  if (param.pyramid_height() < 1 || param.pyramid_height() > kMostLevels) {
    throw ValueError(Str("spp_param.pyramid_height is ", param.pyramid_height(),
                         ", expected 1 to ", kMostLevels, " levels"));
  }
  pyramid_height_ = static_cast<int>(param.pyramid_height());
  num_ = channels_ = bottom_h_ = bottom_w_ = 0;
  pooling_layers_.clear();
  pooling_bottom_vecs_.clear();
  pooling_top_vecs_.clear();
  split_top_vec_.clear();
  flatten_layers_.clear();
  flatten_top_vecs_.clear();
  concat_bottom_vec_.clear();
  blobs_between_.clear();
  if (pyramid_height_ == 1) return;
  const string& name = this->layer_param_.name();
  split_layer_ = MakeLayer<Dtype>({}, name + "/split", "Split", this->phase_);
  concat_layer_ = MakeLayer<Dtype>({}, name + "/concat", "Concat", this->phase_);
  for (int level = 0; level < pyramid_height_; ++level) {
    split_top_vec_.push_back(NewBlob());
    pooling_bottom_vecs_.push_back({split_top_vec_.back()});
    pooling_top_vecs_.push_back({NewBlob()});
    flatten_layers_.push_back(
        MakeLayer<Dtype>({}, Str(name, "/flatten", level), "Flatten", this->phase_));
    flatten_top_vecs_.push_back({NewBlob()});
    concat_bottom_vec_.push_back(flatten_top_vecs_.back()[0]);
  }
}

template <typename Dtype>
void SPPLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                              const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->num_axes() != 4 || bottom[0]->height() < 1 || bottom[0]->width() < 1) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         ", expected images (N, C, H, W)"));
  }
  const bool same_image = !pooling_layers_.empty() && bottom_h_ == bottom[0]->height() &&
                          bottom_w_ == bottom[0]->width();
  if (same_image && num_ == bottom[0]->num() && channels_ == bottom[0]->channels()) {
    return;
  }
  num_ = bottom[0]->num();
  channels_ = bottom[0]->channels();
  bottom_h_ = bottom[0]->height();
  bottom_w_ = bottom[0]->width();
  if (!same_image) {
    pooling_layers_.clear();
    for (int level = 0; level < pyramid_height_; ++level) {
      pooling_layers_.push_back(MakeLayer<Dtype>(
          GetPoolingParam(level, bottom_h_, bottom_w_, this->layer_param_.spp_param()),
          Str(this->layer_param_.name(), "/pooling", level), "Pooling", this->phase_));
    }
  }
  if (pyramid_height_ == 1) {
    pooling_layers_[0]->SetUp(bottom, top);
    return;
  }
  split_layer_->SetUp(bottom, split_top_vec_);
  for (int level = 0; level < pyramid_height_; ++level) {
    pooling_layers_[level]->SetUp(pooling_bottom_vecs_[level], pooling_top_vecs_[level]);
    flatten_layers_[level]->SetUp(pooling_top_vecs_[level], flatten_top_vecs_[level]);
  }
  concat_layer_->SetUp(concat_bottom_vec_, top);
}

template <typename Dtype>
void SPPLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  if (pyramid_height_ == 1) {
    pooling_layers_[0]->Forward(bottom, top);
    return;
  }
  split_layer_->Forward(bottom, split_top_vec_);
  for (int level = 0; level < pyramid_height_; ++level) {
    pooling_layers_[level]->Forward(pooling_bottom_vecs_[level],
                                    pooling_top_vecs_[level]);
    flatten_layers_[level]->Forward(pooling_top_vecs_[level], flatten_top_vecs_[level]);
  }
  concat_layer_->Forward(concat_bottom_vec_, top);
}

template <typename Dtype>
void SPPLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                   const vector<bool>& propagate_down,
                                   const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  if (pyramid_height_ == 1) {
    pooling_layers_[0]->Backward(top, propagate_down, bottom);
    return;
  }
  concat_layer_->Backward(top, vector<bool>(pyramid_height_, true), concat_bottom_vec_);
  for (int level = 0; level < pyramid_height_; ++level) {
    flatten_layers_[level]->Backward(flatten_top_vecs_[level], {true},
                                     pooling_top_vecs_[level]);
    pooling_layers_[level]->Backward(pooling_top_vecs_[level], {true},
                                     pooling_bottom_vecs_[level]);
  }
  split_layer_->Backward(split_top_vec_, propagate_down, bottom);
}

INSTANTIATE_CLASS(SPPLayer);
REGISTER_LAYER_CLASS(SPP);

}  // namespace caffe
