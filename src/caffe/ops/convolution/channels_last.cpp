#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caffe/ops/channels_last.hpp"
#include "caffe/ops/convolution/engines.hpp"
#include "caffe/ops/onednn.hpp"
#include "caffe/util/parallel.hpp"
#include "caffe/util/zero_denormals.hpp"

// Inference in bfloat16 on processors with matrix units (AMX): data has its channels last
// and stays bfloat16 from layer to layer. oneDNN uses these units in this layout only.
//
// A tile of them multiplies 32 channels at once. Groups of fewer channels, 4 or 8 in
// SKNet's branches, are put together to groups of 32 whose other weights are 0, which is
// still several times as fast as vectors: the units do 8 to 20 times the multiplications.

namespace caffe {
namespace {

using dnnl::memory;

constexpr int kTileChannels = 32;

class ChannelsLastConvolution : public ConvolutionOp<float> {
 public:
  explicit ChannelsLastConvolution(const ConvolutionProblem& problem)
      : problem_(problem), group_(problem.group), width_(GroupWidth(problem)) {
    const int inputs = problem.src_channels() / problem.group;
    if (width_ != inputs) group_ = problem.src_channels() / width_;
  }

  // Null when oneDNN would not use the units.
  bool Prepare(std::string* why) {
    // The slope of the ReLU is not to be taken for 0 yet.
    const KeepDenormals keep_denormals;
    using Tag = memory::format_tag;
    const auto data = [](const std::vector<int>& shape) {
      return memory::desc(onednn::Dims(shape), memory::data_type::bf16, Tag::nhwc);
    };
    memory::dims weights = onednn::Dims(problem_.WeightsShape());
    if (group_ > 1 || problem_.group > 1) {
      weights[0] = problem_.dst_channels() / group_;
      weights[1] = width_;
      weights.insert(weights.begin(), group_);
    }
    plain_weights_ = memory::desc(weights, memory::data_type::f32,
                                  weights.size() == 5 ? Tag::goihw : Tag::oihw);
    if (problem_.bias) {
      bias_ = memory::desc({problem_.dst_channels()}, memory::data_type::f32, Tag::x);
    }
    dnnl::post_ops post;
    if (problem_.addend)
      post.append_binary(dnnl::algorithm::binary_add, data(problem_.dst));
    // As in the engine "onednn": NaN stays NaN.
    constexpr float kSlope = std::numeric_limits<float>::denorm_min();
    dnnl::primitive_attr attributes = onednn::UserScratchpad();
    const auto& p = problem_;
    const memory::dims strides = onednn::Dims(p.stride), pads = onednn::Dims(p.pad);
    const memory::dims dilates = {p.dilation[0] - 1, p.dilation[1] - 1};
    const memory::desc any(weights, memory::data_type::bf16, Tag::any);
    try {
#if DNNL_VERSION_MAJOR >= 3
      if (p.relu) post.append_eltwise(dnnl::algorithm::eltwise_relu, kSlope, 0.0f);
      attributes.set_post_ops(post);
      desc_ = {onednn::CpuEngine(),
               dnnl::prop_kind::forward_inference,
               dnnl::algorithm::convolution_direct,
               data(p.src),
               any,
               bias_,
               data(p.dst),
               strides,
               dilates,
               pads,
               pads,
               attributes};
#else
      if (p.relu) post.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, kSlope, 0.0f);
      attributes.set_post_ops(post);
      desc_ = {{dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
                data(p.src), any, bias_, data(p.dst), strides, dilates, pads, pads},
               attributes,
               onednn::CpuEngine()};
#endif
      primitive_ = dnnl::convolution_forward(desc_);
    } catch (const dnnl::error& error) {
      *why = onednn::Reason(error);
      return false;
    }
    if (std::string(desc_.impl_info_str()).find("amx") == std::string::npos) {
      *why = "no kernel that uses AMX for " + problem_.Text();
      return false;
    }
    return true;
  }

  using ConvolutionOp<float>::Forward;
  void Forward(Tensor<float> src, Tensor<float> weights, const float* bias,
               Tensor<float> dst, const Blob<float>* addend) override {
    std::unordered_map<int, memory> args = {
        {DNNL_ARG_SRC, Read(src, onednn::Momentary::kSource)},
        {DNNL_ARG_WEIGHTS, Weights(weights)}};
    if (problem_.bias) args[DNNL_ARG_BIAS] = onednn::Wrap(bias_, bias);
    if (problem_.addend) {
      args[DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1] =
          Read(DataOf(addend), onednn::Momentary::kDestinationGradient);
    }
    Bfloat16* to = WriteChannelsLast(dst);
    args[DNNL_ARG_DST] = memory(desc_.dst_desc(), onednn::CpuEngine(), to);
    onednn::Execute(primitive_, std::move(args), desc_.scratchpad_desc());
    if (widens() && HasNan(to, dst.count())) {
      // What is not finite in one group, times the zeros of the others, is NaN in all.
      narrow().Forward(src, weights, bias, dst, addend);
    }
  }

  void BackwardData(Tensor<float>, Tensor<float>, Tensor<float>) override { Refuse(); }
  void BackwardWeights(Tensor<float>, Tensor<float>, float*) override { Refuse(); }

  std::string name() const override {
    return std::string("channels-last bf16 ") + desc_.impl_info_str();
  }

 private:
  // Input channels of the groups that are multiplied.
  static int GroupWidth(const ConvolutionProblem& p) {
    const int inputs = p.src_channels() / p.group;
    const bool widen =
        p.group > 1 && inputs >= 4 && p.src_channels() == p.dst_channels() &&
        kTileChannels % inputs == 0 && p.src_channels() % kTileChannels == 0;
    return widen ? kTileChannels : inputs;
  }
  bool widens() const { return group_ != problem_.group; }

  memory Read(Tensor<float> tensor, onednn::Momentary purpose) const {
    const memory::desc desc(onednn::Dims(tensor.shape()), memory::data_type::bf16,
                            memory::format_tag::nhwc);
    if (const Bfloat16* values = ChannelsLast(tensor)) {
      return memory(desc, onednn::CpuEngine(), const_cast<Bfloat16*>(values));
    }
    memory rounded = onednn::SharedBuffer(desc, purpose);
    CopyChannelsLast(tensor, static_cast<Bfloat16*>(rounded.get_data_handle()));
    return rounded;
  }

  memory Weights(Tensor<float> weights) {
    if (!widens()) {
      return onednn::ReadWeights(weights, plain_weights_, desc_.weights_desc());
    }
    const std::shared_ptr<SyncedMemory>& memory = weights.memory();
    if (memory != widened_from_ || memory->version() != widened_version_) {
      Widen(weights.Read(1));
      widened_from_ = memory;
      widened_version_ = memory->version();
    }
    const auto wide =
        onednn::ReadWeights(DataOf(&widened_), plain_weights_, desc_.weights_desc());
    widened_.data()->KeepPackedOnly();
    return wide;
  }

  // The weights of groups of 32 channels: zero between the groups that they are made of.
  void Widen(const float* from) {
    const int outputs = problem_.dst_channels();
    const int inputs = problem_.src_channels() / problem_.group;
    const int taps = problem_.kernel[0] * problem_.kernel[1];
    widened_.Reshape({outputs, width_, problem_.kernel[0], problem_.kernel[1]});
    float* to = static_cast<float*>(widened_.data()->overwrite_cpu_data());
    std::fill_n(to, widened_.count(), 0.0f);
    for (int k = 0; k < outputs; ++k) {
      // Groups have as many outputs as inputs.
      const int first = k / inputs * inputs % width_;
      std::copy_n(from + std::int64_t{k} * inputs * taps, inputs * taps,
                  to + (std::int64_t{k} * width_ + first) * taps);
    }
  }

  static bool HasNan(const Bfloat16* values, std::int64_t count) {
    std::atomic<bool> found{false};
    ParallelChunks(count, [&](std::int64_t begin, std::int64_t end) {
      Bfloat16 largest = 0;
      for (std::int64_t i = begin; i < end; ++i) {
        largest = std::max<Bfloat16>(largest, values[i] & 0x7fff);
      }
      if (largest > 0x7f80) found = true;
    });
    return found;
  }

  ConvolutionOp<float>& narrow() {
    if (!narrow_) {
      ConvolutionProblem problem = problem_;
      problem.leaves_bfloat16 = false;
      narrow_ = MakeConvolution<float>(problem);
    }
    return *narrow_;
  }

  [[noreturn]] static void Refuse() {
    throw NotImplementedFailure("convolutions of inference have no gradients");
  }

  ConvolutionProblem problem_;
  int group_, width_;
  memory::desc plain_weights_, bias_;
  dnnl::convolution_forward::primitive_desc desc_;
  dnnl::convolution_forward primitive_;
  Blob<float> widened_;
  std::shared_ptr<SyncedMemory> widened_from_;
  std::uint64_t widened_version_ = 0;
  std::unique_ptr<ConvolutionOp<float>> narrow_;
};

}  // namespace

std::unique_ptr<ConvolutionOp<float>> MakeChannelsLastConvolution(
    const ConvolutionProblem& p, std::string* why) {
  const auto declines = [&]() -> const char* {
    if (!p.leaves_bfloat16 || p.precision != NetParameter::BF16) return "not asked for";
    if (p.training) return "training";
    if (!onednn::HasMatrixUnits()) return "no AMX";
    if (p.spatial_axes() != 2 || !p.batch_is_axis0) return "not (N, C, H, W)";
    if (p.src[0] == 0 || !FitsChannelsLast(p.dst)) return "channels or places do not fit";
    return nullptr;
  };
  if (const char* reason = declines()) {
    *why = reason;
    return nullptr;
  }
  auto op = std::make_unique<ChannelsLastConvolution>(p);
  if (!op->Prepare(why)) return nullptr;
  return op;
}

}  // namespace caffe
