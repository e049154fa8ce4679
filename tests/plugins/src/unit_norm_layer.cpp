#include <vector>

#include "caffe/filler.hpp"
#include "caffe/layers/unit_norm_layer.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
void UnitNormLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  CHECK_GE(bottom[0]->num_axes(), 2) << "Number of axes of bottom blob must be >=2.";
  eps_ = Dtype(1e-10);
  if (this->blobs_.size() > 0) {
    LOG(INFO) << "Skipping parameter initialization";
  } else {
    this->blobs_.resize(1);
    vector<int> scale_shape(1, bottom[0]->shape(1));
    this->blobs_[0].reset(new Blob<Dtype>(scale_shape));
    ScaleParameter scale_param = this->layer_param_.scale_param();
    FillerParameter* filler_param = scale_param.mutable_filler();
    if (!this->layer_param_.scale_param().has_filler()) {
      filler_param->set_type("constant");
      filler_param->set_value(1);
    }
    shared_ptr<Filler<Dtype>> filler(GetFiller<Dtype>(*filler_param));
    filler->Fill(this->blobs_[0].get());
  }
  this->param_propagate_down_.resize(this->blobs_.size(), true);
}

template <typename Dtype>
void UnitNormLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  CHECK_EQ(this->blobs_[0]->count(), bottom[0]->shape(1))
      << "The number of channels must not change.";
  top[0]->ReshapeLike(*bottom[0]);
  const int num = bottom[0]->shape(0);
  const int channels = bottom[0]->shape(1);
  const int spatial_dim = bottom[0]->count(2);
  unit_.ReshapeLike(*bottom[0]);
  inv_norm_.Reshape(num, 1, 1, spatial_dim);
  buffer_.Reshape(1, channels, 1, spatial_dim);
  row_.Reshape(1, 1, 1, spatial_dim);
  sum_channel_multiplier_.Reshape(1, channels, 1, 1);
  caffe_set(channels, Dtype(1), sum_channel_multiplier_.mutable_cpu_data());
  sum_spatial_multiplier_.Reshape(1, 1, 1, spatial_dim);
  caffe_set(spatial_dim, Dtype(1), sum_spatial_multiplier_.mutable_cpu_data());
}

template <typename Dtype>
void UnitNormLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  const Dtype* bottom_data = bottom[0]->cpu_data();
  Dtype* top_data = top[0]->mutable_cpu_data();
  Dtype* unit_data = unit_.mutable_cpu_data();
  Dtype* inv_norm_data = inv_norm_.mutable_cpu_data();
  Dtype* buffer_data = buffer_.mutable_cpu_data();
  const Dtype* scale = this->blobs_[0]->cpu_data();
  const int num = bottom[0]->shape(0);
  const int channels = bottom[0]->shape(1);
  const int spatial_dim = bottom[0]->count(2);
  const int dim = channels * spatial_dim;
  for (int n = 0; n < num; ++n) {
    // norm: sqrt(eps + sum over channels of x^2)
    caffe_sqr<Dtype>(dim, bottom_data, buffer_data);
    caffe_set(spatial_dim, eps_, inv_norm_data);
    caffe_cpu_gemv<Dtype>(CblasTrans, channels, spatial_dim, Dtype(1), buffer_data,
                          sum_channel_multiplier_.cpu_data(), Dtype(1), inv_norm_data);
    caffe_powx<Dtype>(spatial_dim, inv_norm_data, Dtype(-0.5), inv_norm_data);
    // every channel times 1 / norm
    caffe_cpu_gemm<Dtype>(CblasNoTrans, CblasNoTrans, channels, spatial_dim, 1, Dtype(1),
                          sum_channel_multiplier_.cpu_data(), inv_norm_data, Dtype(0),
                          buffer_data);
    caffe_mul<Dtype>(dim, bottom_data, buffer_data, unit_data);
    // every position times scale
    caffe_cpu_gemm<Dtype>(CblasNoTrans, CblasNoTrans, channels, spatial_dim, 1, Dtype(1),
                          scale, sum_spatial_multiplier_.cpu_data(), Dtype(0),
                          buffer_data);
    caffe_mul<Dtype>(dim, unit_data, buffer_data, top_data);
    bottom_data += bottom[0]->count(1);
    top_data += top[0]->count(1);
    unit_data += dim;
    inv_norm_data += spatial_dim;
  }
}

template <typename Dtype>
void UnitNormLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                        const vector<bool>& propagate_down,
                                        const vector<Blob<Dtype>*>& bottom) {
  const Dtype* top_diff = top[0]->cpu_diff();
  const Dtype* unit_data = unit_.cpu_data();
  const Dtype* inv_norm_data = inv_norm_.cpu_data();
  const Dtype* scale = this->blobs_[0]->cpu_data();
  Dtype* buffer_data = buffer_.mutable_cpu_data();
  Dtype* row_data = row_.mutable_cpu_data();
  const int num = bottom[0]->shape(0);
  const int channels = bottom[0]->shape(1);
  const int spatial_dim = bottom[0]->count(2);
  const int dim = channels * spatial_dim;

  if (this->param_propagate_down_[0]) {
    Dtype* scale_diff = this->blobs_[0]->mutable_cpu_diff();
    for (int n = 0; n < num; ++n) {
      for (int c = 0; c < channels; ++c) {
        const int offset = (n * channels + c) * spatial_dim;
        scale_diff[c] +=
            caffe_cpu_dot<Dtype>(spatial_dim, top_diff + offset, unit_data + offset);
      }
    }
  }

  if (propagate_down[0]) {
    Dtype* bottom_diff = bottom[0]->mutable_cpu_diff();
    for (int n = 0; n < num; ++n) {
      // g = scale * dy, u = x / norm: dx = (g - u * sum_c(g * u)) / norm
      for (int c = 0; c < channels; ++c) {
        caffe_cpu_scale<Dtype>(spatial_dim, scale[c], top_diff + c * spatial_dim,
                               bottom_diff + c * spatial_dim);
      }
      caffe_mul<Dtype>(dim, bottom_diff, unit_data, buffer_data);
      caffe_cpu_gemv<Dtype>(CblasTrans, channels, spatial_dim, Dtype(1), buffer_data,
                            sum_channel_multiplier_.cpu_data(), Dtype(0), row_data);
      for (int c = 0; c < channels; ++c) {
        Dtype* diff = bottom_diff + c * spatial_dim;
        caffe_mul<Dtype>(spatial_dim, unit_data + c * spatial_dim, row_data, buffer_data);
        caffe_axpy<Dtype>(spatial_dim, Dtype(-1), buffer_data, diff);
        caffe_mul<Dtype>(spatial_dim, diff, inv_norm_data, diff);
      }
      top_diff += dim;
      bottom_diff += dim;
      unit_data += dim;
      inv_norm_data += spatial_dim;
    }
  }
}

INSTANTIATE_CLASS(UnitNormLayer);
REGISTER_LAYER_CLASS(UnitNorm);

}  // namespace caffe
