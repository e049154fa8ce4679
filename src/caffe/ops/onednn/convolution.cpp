#include "caffe/ops/convolution.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caffe/ops/onednn/runtime.hpp"

namespace caffe {
namespace {

using dnnl::memory;
using onednn::ActivationBlock;
using onednn::ActivationDesc;
using onednn::CpuEngine;
using onednn::Execute;
using onednn::Wrap;

// A created primitive with what its execution needs.
template <typename Primitive>
struct Created {
  typename Primitive::primitive_desc desc;
  Primitive primitive;
  bool src_plain, dst_plain;

  std::string implementation() const { return desc.impl_info_str(); }
};

struct Geometry {
  memory::dims strides, dilates, pads;
};

class OnednnConvolution : public ConvolutionOp<float> {
 public:
  explicit OnednnConvolution(const ConvolutionProblem& problem) : problem_(problem) {
    for (int i = 0; i < problem.spatial_axes(); ++i) {
      geometry_.strides.push_back(problem.stride[i]);
      geometry_.dilates.push_back(problem.dilation[i] - 1);
      // Both sides alike, though the last window may not need it: oneDNN rounds the
      // output size down as Caffe does, and its fast kernels refuse a negative pad.
      geometry_.pads.push_back(problem.pad[i]);
    }
    std::vector<int> weights = problem.WeightsShape();
    if (problem.group > 1) {
      weights[0] /= problem.group;
      weights.insert(weights.begin(), problem.group);
    }
    weights_dims_ = onednn::Dims(weights);
    using Tag = memory::format_tag;
    static const Tag kPlain[] = {Tag::oiw, Tag::oihw, Tag::oidhw};
    static const Tag kGrouped[] = {Tag::goiw, Tag::goihw, Tag::goidhw};
    const int axes = problem.spatial_axes() - 1;
    plain_weights_ = memory::desc(weights_dims_, memory::data_type::f32,
                                  problem.group > 1 ? kGrouped[axes] : kPlain[axes]);
    any_weights_ = memory::desc(weights_dims_, memory::data_type::f32, Tag::any);
    if (problem.bias) {
      bias_desc_ = memory::desc({problem.dst_channels()}, memory::data_type::f32, Tag::x);
    }
  }

  // Null when oneDNN has only its reference loops for this problem.
  bool Prepare(std::string* why) {
    forward_ = Create<dnnl::convolution_forward>(
        [this](bool src_plain, bool dst_plain) { return ForwardDesc(src_plain, dst_plain); });
    if (!forward_) {
      *why = "only a reference implementation for " + problem_.Text();
      return false;
    }
    if (problem_.training) backward_weights();
    return true;
  }

  using ConvolutionOp<float>::Forward;
  void Forward(Tensor<float> src, Tensor<float> weights, const float* bias,
               Tensor<float> dst, const Blob<float>* addend) override {
    const auto& desc = forward_->desc;
    std::unordered_map<int, memory> args = {
        {DNNL_ARG_SRC, Read(src, problem_.src, forward_->src_plain)},
        {DNNL_ARG_WEIGHTS, onednn::ReadWeights(weights, plain_weights_, desc.weights_desc())},
        {DNNL_ARG_DST, Write(dst, problem_.dst, forward_->dst_plain)}};
    // A deconvolution's backward calls this without the bias.
    if (problem_.bias) args[DNNL_ARG_BIAS] = Wrap(bias_desc_, bias);
    if (problem_.addend) {
      args[DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1] =
          Read(DataOf(addend), problem_.dst, forward_->dst_plain);
    }
    Execute(forward_->primitive, std::move(args), desc.scratchpad_desc());
  }

  void BackwardData(Tensor<float> diff_dst, Tensor<float> weights,
                    Tensor<float> diff_src) override {
    // Made when first needed: whether a gradient goes down is known only here.
    if (!asked_backward_data_) {
      asked_backward_data_ = true;
      backward_data_ = Create<dnnl::convolution_backward_data>(
          [this](bool src_plain, bool dst_plain) {
            return BackwardDataDesc(src_plain, dst_plain);
          });
    }
    if (!backward_data_) return fallback().BackwardData(diff_dst, weights, diff_src);
    const auto& desc = backward_data_->desc;
    Execute(backward_data_->primitive,
            {{DNNL_ARG_DIFF_DST, Read(diff_dst, problem_.dst, backward_data_->dst_plain)},
             {DNNL_ARG_WEIGHTS,
              onednn::ReadWeights(weights, plain_weights_, desc.weights_desc())},
             {DNNL_ARG_DIFF_SRC, Write(diff_src, problem_.src, backward_data_->src_plain)}},
            desc.scratchpad_desc());
  }

  void BackwardWeights(Tensor<float> src, Tensor<float> diff_dst,
                       float* diff_weights) override {
    auto& created = backward_weights();
    if (!created) return fallback().BackwardWeights(src, diff_dst, diff_weights);
    const auto& desc = created->desc;
    const memory gradient = onednn::SharedBuffer(desc.diff_weights_desc());
    Execute(created->primitive,
            {{DNNL_ARG_SRC, Read(src, problem_.src, created->src_plain)},
             {DNNL_ARG_DIFF_DST, Read(diff_dst, problem_.dst, created->dst_plain)},
             {DNNL_ARG_DIFF_WEIGHTS, gradient}},
            desc.scratchpad_desc());
    if (!accumulate_) {
      dnnl::post_ops sum;
      sum.append_sum(1.0f);
      dnnl::primitive_attr attr = onednn::UserScratchpad();
      attr.set_post_ops(sum);
      accumulate_desc_ = dnnl::reorder::primitive_desc(
          CpuEngine(), desc.diff_weights_desc(), CpuEngine(), plain_weights_, attr);
      accumulate_ = dnnl::reorder(accumulate_desc_);
    }
    Execute(accumulate_,
            {{DNNL_ARG_FROM, gradient}, {DNNL_ARG_TO, Wrap(plain_weights_, diff_weights)}},
            accumulate_desc_.scratchpad_desc());
  }

  std::string name() const override { return "onednn " + forward_->implementation(); }

 private:
  static memory Read(Tensor<float> tensor, const std::vector<int>& shape, bool plain) {
    return Wrap(ActivationDesc(shape, plain), tensor.Read(ActivationBlock(shape, plain)));
  }
  static memory Write(Tensor<float> tensor, const std::vector<int>& shape, bool plain) {
    return Wrap(ActivationDesc(shape, plain), tensor.Write(ActivationBlock(shape, plain)));
  }

  // Tries the blocked layouts, then the plain ones, and refuses reference code.
  template <typename Primitive, typename MakeDesc>
  static std::optional<Created<Primitive>> Create(MakeDesc make_desc) {
    for (const auto& [src_plain, dst_plain] :
         {std::pair(false, false), std::pair(true, false), std::pair(true, true)}) {
      try {
        auto desc = make_desc(src_plain, dst_plain);
        if (std::string(desc.impl_info_str()).rfind("ref", 0) == 0) continue;
        return Created<Primitive>{desc, Primitive(desc), src_plain, dst_plain};
      } catch (const dnnl::error&) {
        // Not supported in this layout: the next may be.
      }
    }
    return std::nullopt;
  }

  memory::desc Src(bool plain) const { return ActivationDesc(problem_.src, plain); }
  memory::desc Dst(bool plain) const { return ActivationDesc(problem_.dst, plain); }

  // Leaves the scratchpad to Execute(); adds what follows the convolution.
  dnnl::primitive_attr ForwardAttributes(bool dst_plain) const {
    dnnl::primitive_attr attributes = onednn::UserScratchpad();
    dnnl::post_ops post;
    if (problem_.addend) post.append_binary(dnnl::algorithm::binary_add, Dst(dst_plain));
#if DNNL_VERSION_MAJOR >= 3
    if (problem_.relu) post.append_eltwise(dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
#else
    if (problem_.relu) post.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
#endif
    attributes.set_post_ops(post);
    return attributes;
  }

  // oneDNN 3 dropped the operation descriptors that version 2 wants in between.
#if DNNL_VERSION_MAJOR >= 3
  dnnl::convolution_forward::primitive_desc ForwardDesc(bool src_plain, bool dst_plain) const {
    const auto kind =
        problem_.training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    return dnnl::convolution_forward::primitive_desc(
        CpuEngine(), kind, dnnl::algorithm::convolution_direct, Src(src_plain), any_weights_,
        bias_desc_, Dst(dst_plain), geometry_.strides, geometry_.dilates, geometry_.pads,
        geometry_.pads, ForwardAttributes(dst_plain));
  }
  dnnl::convolution_backward_data::primitive_desc BackwardDataDesc(bool src_plain,
                                                                   bool dst_plain) const {
    return dnnl::convolution_backward_data::primitive_desc(
        CpuEngine(), dnnl::algorithm::convolution_direct, Src(src_plain), any_weights_,
        Dst(dst_plain), geometry_.strides, geometry_.dilates, geometry_.pads,
        geometry_.pads, ForwardDesc(src_plain, dst_plain), onednn::UserScratchpad());
  }
  dnnl::convolution_backward_weights::primitive_desc BackwardWeightsDesc(
      bool src_plain, bool dst_plain) const {
    return dnnl::convolution_backward_weights::primitive_desc(
        CpuEngine(), dnnl::algorithm::convolution_direct, Src(src_plain), any_weights_,
        Dst(dst_plain), geometry_.strides, geometry_.dilates, geometry_.pads,
        geometry_.pads, ForwardDesc(src_plain, dst_plain), onednn::UserScratchpad());
  }
#else
  dnnl::convolution_forward::primitive_desc ForwardDesc(bool src_plain, bool dst_plain) const {
    const auto kind =
        problem_.training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    const dnnl::convolution_forward::desc desc(
        kind, dnnl::algorithm::convolution_direct, Src(src_plain), any_weights_, bias_desc_,
        Dst(dst_plain), geometry_.strides, geometry_.dilates, geometry_.pads,
        geometry_.pads);
    return {desc, ForwardAttributes(dst_plain), CpuEngine()};
  }
  dnnl::convolution_backward_data::primitive_desc BackwardDataDesc(bool src_plain,
                                                                   bool dst_plain) const {
    const dnnl::convolution_backward_data::desc desc(
        dnnl::algorithm::convolution_direct, Src(src_plain), any_weights_, Dst(dst_plain),
        geometry_.strides, geometry_.dilates, geometry_.pads, geometry_.pads);
    return {desc, onednn::UserScratchpad(), CpuEngine(), ForwardDesc(src_plain, dst_plain)};
  }
  dnnl::convolution_backward_weights::primitive_desc BackwardWeightsDesc(
      bool src_plain, bool dst_plain) const {
    const dnnl::convolution_backward_weights::desc desc(
        dnnl::algorithm::convolution_direct, Src(src_plain), any_weights_, Dst(dst_plain),
        geometry_.strides, geometry_.dilates, geometry_.pads, geometry_.pads);
    return {desc, onednn::UserScratchpad(), CpuEngine(), ForwardDesc(src_plain, dst_plain)};
  }
#endif

  std::optional<Created<dnnl::convolution_backward_weights>>& backward_weights() {
    if (!asked_backward_weights_) {
      asked_backward_weights_ = true;
      backward_weights_ = Create<dnnl::convolution_backward_weights>(
          [this](bool src_plain, bool dst_plain) {
            return BackwardWeightsDesc(src_plain, dst_plain);
          });
    }
    return backward_weights_;
  }

  ConvolutionOp<float>& fallback() {
    if (!fallback_) fallback_ = MakeNativeConvolution<float>(problem_, nullptr);
    return *fallback_;
  }

  ConvolutionProblem problem_;
  Geometry geometry_;
  memory::dims weights_dims_;
  memory::desc plain_weights_, any_weights_, bias_desc_;
  std::optional<Created<dnnl::convolution_forward>> forward_;
  bool asked_backward_data_ = false;
  std::optional<Created<dnnl::convolution_backward_data>> backward_data_;
  bool asked_backward_weights_ = false;
  std::optional<Created<dnnl::convolution_backward_weights>> backward_weights_;
  dnnl::reorder::primitive_desc accumulate_desc_;
  dnnl::primitive accumulate_;
  std::unique_ptr<ConvolutionOp<float>> fallback_;
};

}  // namespace

std::unique_ptr<ConvolutionOp<float>> MakeOnednnConvolution(const ConvolutionProblem& problem,
                                                            std::string* why) {
  if (problem.spatial_axes() < 1 || problem.spatial_axes() > 3) {
    *why = Str(problem.spatial_axes(), " spatial axes");
    return nullptr;
  }
  if (!problem.batch_is_axis0) {
    *why = "several batch axes";
    return nullptr;
  }
  for (int dim : problem.src) {
    if (dim == 0) {
      *why = "empty input";
      return nullptr;
    }
  }
  auto op = std::make_unique<OnednnConvolution>(problem);
  if (!op->Prepare(why)) return nullptr;
  return op;
}

}  // namespace caffe
