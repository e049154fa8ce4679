#include "caffe/layers/base_conv_layer.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "caffe/filler.hpp"
#include "caffe/gpu/convolution.hpp"
#include "caffe/layers/convolution_window.hpp"
#include "caffe/ops/convolution.hpp"
#include "caffe/ops/convolution/unfolded.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {
namespace {

void Store(const vector<int>& values, Blob<int>* blob) {
  blob->Reshape(vector<int>{std::max<int>(static_cast<int>(values.size()), 1)});
  std::copy(values.begin(), values.end(), blob->mutable_cpu_data());
}

vector<int> Values(const Blob<int>& blob, int axes) {
  return vector<int>(blob.cpu_data(), blob.cpu_data() + axes);
}

}  // namespace

template <typename Dtype>
BaseConvolutionLayer<Dtype>::BaseConvolutionLayer(const LayerParameter& param)
    : Layer<Dtype>(param), bottom_shape_(nullptr) {}

template <typename Dtype>
BaseConvolutionLayer<Dtype>::~BaseConvolutionLayer() = default;

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>&) {
  const ConvolutionParameter& param = this->layer_param_.convolution_param();
  force_nd_im2col_ = param.force_nd_im2col();
  channel_axis_ = bottom[0]->CanonicalAxisIndex(param.axis());
  num_spatial_axes_ = bottom[0]->num_axes() - channel_axis_ - 1;
  ReadWindow(bottom);
  channels_ = bottom[0]->shape(channel_axis_);
  num_output_ = static_cast<int>(param.num_output());
  group_ = static_cast<int>(param.group());
  if (num_output_ <= 0) throw ValueError("num_output must be positive");
  if (group_ <= 0) throw ValueError("group must be positive");
  if (channels_ % group_ != 0) {
    throw ValueError(Str("bottom[0] has ", channels_,
                         " channels, expected a multiple of group (", group_, ")"));
  }
  if (num_output_ % group_ != 0) {
    throw ValueError(Str("num_output is ", num_output_,
                         ", expected a multiple of group (", group_, ")"));
  }
  bias_term_ = param.bias_term();
  SetUpWeights();
  this->param_propagate_down_.resize(this->blobs_.size(), true);
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::ReadWindow(const vector<Blob<Dtype>*>&) {
  const auto [kernel, stride, pad, dilation] =
      ReadConvolutionWindow(this->layer_param_.convolution_param(), num_spatial_axes_);
  Store(kernel, &kernel_shape_);
  Store(stride, &stride_);
  Store(pad, &pad_);
  Store(dilation, &dilation_);
  is_1x1_ = std::all_of(kernel.begin(), kernel.end(), [](int v) { return v == 1; }) &&
            std::all_of(stride.begin(), stride.end(), [](int v) { return v == 1; }) &&
            std::all_of(pad.begin(), pad.end(), [](int v) { return v == 0; });
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::SetUpWeights() {
  const ConvolutionParameter& param = this->layer_param_.convolution_param();
  const bool reversed = reverse_dimensions();
  vector<int> weight_shape = {reversed ? channels_ : num_output_,
                              (reversed ? num_output_ : channels_) / group_};
  const vector<int> kernel = Values(kernel_shape_, num_spatial_axes_);
  weight_shape.insert(weight_shape.end(), kernel.begin(), kernel.end());
  const vector<int> bias_shape = {num_output_};
  if (!this->blobs_.empty()) {
    // Weights came with the layer's description.
    const size_t expected = 1 + bias_term_;
    if (this->blobs_.size() != expected) {
      throw ValueError(
          Str("got ", this->blobs_.size(), " weight blob(s), expected ", expected));
    }
    if (this->blobs_[0]->shape() != weight_shape) {
      throw ValueError(Str("weights of shape ", ShapeText(this->blobs_[0]->shape()),
                           ", expected ", ShapeText(weight_shape)));
    }
    if (bias_term_ && this->blobs_[1]->shape() != bias_shape) {
      throw ValueError(Str("bias of shape ", ShapeText(this->blobs_[1]->shape()),
                           ", expected ", ShapeText(bias_shape)));
    }
  } else {
    this->blobs_.resize(1 + bias_term_);
    this->blobs_[0] = std::make_shared<Blob<Dtype>>(weight_shape);
    std::unique_ptr<Filler<Dtype>> weight_filler(GetFiller<Dtype>(param.weight_filler()));
    weight_filler->Fill(this->blobs_[0].get());
    if (bias_term_) {
      this->blobs_[1] = std::make_shared<Blob<Dtype>>(bias_shape);
      std::unique_ptr<Filler<Dtype>> bias_filler(GetFiller<Dtype>(param.bias_filler()));
      bias_filler->Fill(this->blobs_[1].get());
    }
  }
  weight_offset_ = this->blobs_[0]->count() / group_;
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  const int first_spatial_axis = channel_axis_ + 1;
  if (bottom[0]->num_axes() != first_spatial_axis + num_spatial_axes_) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         ", expected ", first_spatial_axis + num_spatial_axes_,
                         " axes as when the layer was set up"));
  }
  num_ = bottom[0]->count(0, channel_axis_);
  if (bottom[0]->shape(channel_axis_) != channels_) {
    throw ValueError(Str("bottom[0] has ", bottom[0]->shape(channel_axis_),
                         " channels, expected ", channels_));
  }
  for (size_t i = 1; i < bottom.size(); ++i) {
    if (bottom[i]->shape() != bottom[0]->shape()) {
      throw ValueError(Str("bottom[", i, "] has shape ", ShapeText(bottom[i]->shape()),
                           ", expected ", ShapeText(bottom[0]->shape()),
                           " like bottom[0]"));
    }
  }
  bottom_shape_ = &bottom[0]->shape();
  compute_output_shape();
  for (int i = 0; i < num_spatial_axes_; ++i) {
    if (output_shape_[i] < 1) {
      throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                           ": the window does not fit spatial axis ", i,
                           "; use a larger image, a smaller kernel or more padding"));
    }
  }
  vector<int> top_shape(bottom_shape_->begin(), bottom_shape_->begin() + channel_axis_);
  top_shape.push_back(num_output_);
  top_shape.insert(top_shape.end(), output_shape_.begin(),
                   output_shape_.begin() + num_spatial_axes_);
  for (Blob<Dtype>* blob : top) blob->Reshape(top_shape);

  ConvolutionProblem problem;
  const bool reversed = reverse_dimensions();
  vector<int> in(bottom_shape_->begin() + channel_axis_, bottom_shape_->end());
  vector<int> out(top_shape.begin() + channel_axis_, top_shape.end());
  in.insert(in.begin(), num_);
  out.insert(out.begin(), num_);
  problem.src = reversed ? out : in;
  problem.dst = reversed ? in : out;
  problem.kernel = Values(kernel_shape_, num_spatial_axes_);
  problem.stride = Values(stride_, num_spatial_axes_);
  problem.pad = Values(pad_, num_spatial_axes_);
  problem.dilation = Values(dilation_, num_spatial_axes_);
  problem.group = group_;
  problem.bias = bias_term_ && !reversed;
  problem.training = this->phase_ == TRAIN;
  problem.precision = precision_;
  problem.reference_only = this->layer_param_.convolution_param().engine() ==
                           ConvolutionParameter_Engine_CAFFE;
  problem.batch_is_axis0 = channel_axis_ == 1;
  bottom_dim_ = bottom[0]->count(channel_axis_);
  top_dim_ = top[0]->count(channel_axis_);
  out_spatial_dim_ = top[0]->count(first_spatial_axis);
  if (problem_ && *problem_ == problem) return;
  conv_input_shape_.Reshape(vector<int>{num_spatial_axes_ + 1});
  std::copy(problem.src.begin() + 1, problem.src.end(),
            conv_input_shape_.mutable_cpu_data());
  col_buffer_shape_ = {static_cast<int>(this->blobs_[0]->count(1) * group_)};
  col_buffer_shape_.insert(col_buffer_shape_.end(), problem.dst.begin() + 2,
                           problem.dst.end());
  problem_ = std::make_unique<ConvolutionProblem>(problem);
  unfolded_.reset();
  device_unfolded_.reset();
  device_op_.reset();
  op_.reset();
  if (Caffe::mode() == Caffe::CPU) op();
}

template <typename Dtype>
ConvolutionOp<Dtype>& BaseConvolutionLayer<Dtype>::op() {
  if (!op_) op_ = MakeConvolution<Dtype>(*problem_);
  return *op_;
}

template <typename Dtype>
string BaseConvolutionLayer<Dtype>::engine_name() const {
  if (device_op_) return device_op_->name();
  return op_ ? op_->name() : "";
}

template <typename Dtype>
UnfoldedConvolution<Dtype>& BaseConvolutionLayer<Dtype>::unfolded() {
  if (!unfolded_) unfolded_ = MakeUnfoldedConvolution<Dtype>(*problem_);
  return *unfolded_;
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::forward_cpu_gemm(const Dtype* input,
                                                   const Dtype* weights, Dtype* output,
                                                   bool skip_im2col) {
  unfolded().Forward(input, weights, output, skip_im2col);
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::forward_cpu_bias(Dtype* output, const Dtype* bias) {
  for (int k = 0; k < num_output_; ++k) {
    caffe_add_scalar(out_spatial_dim_, bias[k], output + k * out_spatial_dim_);
  }
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::backward_cpu_gemm(const Dtype* input,
                                                    const Dtype* weights, Dtype* output) {
  unfolded().BackwardData(input, weights, output);
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::weight_cpu_gemm(const Dtype* input, const Dtype* output,
                                                  Dtype* weights) {
  unfolded().BackwardWeights(input, output, weights);
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::backward_cpu_bias(Dtype* bias, const Dtype* input) {
  for (int k = 0; k < num_output_; ++k) {
    double sum = 0;
    const Dtype* row = input + k * out_spatial_dim_;
    for (int i = 0; i < out_spatial_dim_; ++i) sum += row[i];
    bias[k] += static_cast<Dtype>(sum);
  }
}

INSTANTIATE_CLASS(BaseConvolutionLayer);

}  // namespace caffe
