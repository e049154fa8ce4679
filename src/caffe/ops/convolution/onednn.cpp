#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caffe/ops/channels_last.hpp"
#include "caffe/ops/convolution/engines.hpp"
#include "caffe/ops/onednn.hpp"
#include "caffe/util/zero_denormals.hpp"

namespace caffe {
namespace {

using dnnl::memory;
using onednn::ActivationBlock;
using onednn::ActivationDesc;
using onednn::CpuEngine;
using onednn::Execute;
using onednn::Wrap;

constexpr auto kFloat = memory::data_type::f32;

// What a primitive is made for: layouts, and the type of what is multiplied.
struct Form {
  bool src_plain, dst_plain;
  memory::data_type operands;
  // Copies with the channels last are multiplied, and the result is copied back: AMX,
  // which works in this layout only, is faster by far more than that takes.
  bool channels_last = false;
};

// A created primitive with what its execution needs.
template <typename Primitive>
struct Created {
  typename Primitive::primitive_desc desc;
  Primitive primitive;
  Form form;

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
    if (problem.bias) {
      bias_desc_ = memory::desc({problem.dst_channels()}, memory::data_type::f32, Tag::x);
    }
  }

  // Null when oneDNN has only its reference loops for this problem.
  bool Prepare(std::string* why) {
    // The slope of the ReLU is not to be taken for 0 yet.
    const KeepDenormals keep_denormals;
    if (problem_.precision == NetParameter::BF16 && !onednn::HasBfloat16()) {
      LOG_FIRST_N(WARNING, 1) << "precision BF16 has no effect: this CPU has neither "
                                 "AVX512-BF16 nor AMX; computing in float32";
    }
    forward_ = Create<dnnl::convolution_forward>(
        [this](const Form& form) { return ForwardDesc(form); });
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
    const auto& [desc, primitive, form] = *forward_;
    std::unordered_map<int, memory> args = {
        {DNNL_ARG_SRC, ReadSrc(src, form)},
        {DNNL_ARG_WEIGHTS,
         onednn::ReadWeights(weights, plain_weights_, desc.weights_desc())},
        {DNNL_ARG_DST, Result(dst, problem_.dst, form.dst_plain, form)}};
    // A deconvolution's backward calls this without the bias.
    if (problem_.bias) args[DNNL_ARG_BIAS] = Wrap(bias_desc_, bias);
    if (problem_.addend) {
      args[DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1] =
          Wrap(ActivationDesc(problem_.dst, form.dst_plain),
               DataOf(addend).Read(ActivationBlock(problem_.dst, form.dst_plain)));
    }
    const memory result = args[DNNL_ARG_DST];
    Execute(primitive, std::move(args), desc.scratchpad_desc());
    Deliver(result, dst, form);
  }

  void BackwardData(Tensor<float> diff_dst, Tensor<float> weights,
                    Tensor<float> diff_src) override {
    // Made when first needed: whether a gradient goes down is known only here.
    if (!asked_backward_data_) {
      asked_backward_data_ = true;
      backward_data_ = Create<dnnl::convolution_backward_data>([this](const Form& form) {
        return BackwardDesc<dnnl::convolution_backward_data>(
            Src(form, false), Weights(form.operands), Dst(form, true), form);
      });
    }
    if (!backward_data_) return fallback().BackwardData(diff_dst, weights, diff_src);
    const auto& [desc, primitive, form] = *backward_data_;
    const memory result = Result(diff_src, problem_.src, form.src_plain, form);
    Execute(primitive,
            {{DNNL_ARG_DIFF_DST, ReadDiffDst(diff_dst, form)},
             {DNNL_ARG_WEIGHTS,
              onednn::ReadWeights(weights, plain_weights_, desc.weights_desc())},
             {DNNL_ARG_DIFF_SRC, result}},
            desc.scratchpad_desc());
    Deliver(result, diff_src, form);
  }

  void BackwardWeights(Tensor<float> src, Tensor<float> diff_dst,
                       float* diff_weights) override {
    auto& created = backward_weights();
    if (!created) return fallback().BackwardWeights(src, diff_dst, diff_weights);
    const auto& [desc, primitive, form] = *created;
    const memory gradient = onednn::SharedBuffer(desc.diff_weights_desc(),
                                                 onednn::Momentary::kWeightsGradient);
    Execute(primitive,
            {{DNNL_ARG_SRC, ReadSrc(src, form)},
             {DNNL_ARG_DIFF_DST, ReadDiffDst(diff_dst, form)},
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
    Execute(
        accumulate_,
        {{DNNL_ARG_FROM, gradient}, {DNNL_ARG_TO, Wrap(plain_weights_, diff_weights)}},
        accumulate_desc_.scratchpad_desc());
  }

  std::string name() const override {
    return (forward_->form.operands == kFloat ? "onednn " : "onednn bf16 ") +
           forward_->implementation();
  }

 private:
  memory ReadSrc(Tensor<float> tensor, const Form& form) const {
    return ReadOperand(tensor, problem_.src, form.src_plain, form,
                       onednn::Momentary::kSource);
  }
  memory ReadDiffDst(Tensor<float> tensor, const Form& form) const {
    return ReadOperand(tensor, problem_.dst, form.dst_plain, form,
                       onednn::Momentary::kDestinationGradient);
  }
  static memory ReadOperand(Tensor<float> tensor, const std::vector<int>& shape,
                            bool plain, const Form& form, onednn::Momentary purpose) {
    const memory::desc desc = Desc(shape, plain, form.operands, form);
    if (form.channels_last) {
      memory copy = onednn::SharedBuffer(desc, purpose);
      CopyChannelsLast(tensor, static_cast<Bfloat16*>(copy.get_data_handle()));
      return copy;
    }
    const float* values = tensor.Read(ActivationBlock(shape, plain));
    if (form.operands == kFloat) return Wrap(desc, values);
    memory rounded = onednn::SharedBuffer(desc, purpose);
    ToBfloat16(values, tensor.count(), static_cast<Bfloat16*>(rounded.get_data_handle()));
    return rounded;
  }
  // Where a primitive writes, and what is then done to have it in the tensor.
  static memory Result(Tensor<float> tensor, const std::vector<int>& shape, bool plain,
                       const Form& form) {
    const memory::desc desc = Desc(shape, plain, kFloat, form);
    if (form.channels_last) return onednn::SharedBuffer(desc, onednn::Momentary::kResult);
    return Wrap(desc, tensor.Write(ActivationBlock(shape, plain)));
  }
  static void Deliver(const memory& result, Tensor<float> tensor, const Form& form) {
    if (!form.channels_last) return;
    StoreChannelsLast(static_cast<const float*>(result.get_data_handle()), tensor);
  }
  static memory::desc Desc(const std::vector<int>& shape, bool plain,
                           memory::data_type type, const Form& form) {
    if (!form.channels_last) return ActivationDesc(shape, plain, type);
    return memory::desc(onednn::Dims(shape), type, memory::format_tag::nhwc);
  }

  // Tries bfloat16 if it is allowed, then float32; in the blocked layouts, then the
  // plain ones. Refuses reference code.
  template <typename Primitive, typename MakeDesc>
  std::optional<Created<Primitive>> Create(MakeDesc make_desc) const {
    std::vector<Form> forms;
    const auto bf16 = memory::data_type::bf16;
    if (UsesBfloat16() && MayCopy()) forms.push_back({false, false, bf16, true});
    for (const auto operands : {bf16, kFloat}) {
      if (operands != kFloat && !UsesBfloat16()) continue;
      for (const auto& [src_plain, dst_plain] :
           {std::pair(false, false), std::pair(true, false), std::pair(true, true)}) {
        forms.push_back({src_plain, dst_plain, operands});
      }
    }
    for (const Form& form : forms) {
      try {
        auto desc = make_desc(form);
        const std::string implementation = desc.impl_info_str();
        if (implementation.rfind("ref", 0) == 0) continue;
        if (form.channels_last && implementation.find("amx") == std::string::npos)
          continue;
        return Created<Primitive>{desc, Primitive(desc), form};
      } catch (const dnnl::error&) {
        // Not supported in this form: the next may be.
      }
    }
    return std::nullopt;
  }

  // Grouped convolutions are no faster with it.
  bool UsesBfloat16() const {
    return problem_.precision == NetParameter::BF16 && problem_.group == 1 &&
           onednn::HasBfloat16();
  }

  bool MayCopy() const {
    // With one place the copy is worth no more than what it speeds up.
    return onednn::HasMatrixUnits() && problem_.spatial_axes() == 2 && !problem_.addend &&
           !SameInEveryLayout(problem_.dst);
  }

  // Results are float32 whatever the operands are.
  memory::desc Src(const Form& form, bool operand) const {
    return Desc(problem_.src, form.src_plain, operand ? form.operands : kFloat, form);
  }
  memory::desc Dst(const Form& form, bool operand) const {
    return Desc(problem_.dst, form.dst_plain, operand ? form.operands : kFloat, form);
  }
  memory::desc Weights(memory::data_type type) const {
    return memory::desc(weights_dims_, type, memory::format_tag::any);
  }

  // Leaves the scratchpad to Execute(); adds what follows the convolution.
  dnnl::primitive_attr ForwardAttributes(const Form& form) const {
    dnnl::primitive_attr attributes = onednn::UserScratchpad();
    dnnl::post_ops post;
    if (problem_.addend)
      post.append_binary(dnnl::algorithm::binary_add, Dst(form, false));
    // With a slope of 0 oneDNN computes max(x, 0), which makes 0 of NaN. With any other
    // it multiplies what is not above 0; by the smallest slope, which ZeroDenormals takes
    // for 0, that is the formula of the layer ReLU.
    constexpr float kSlope = std::numeric_limits<float>::denorm_min();
#if DNNL_VERSION_MAJOR >= 3
    if (problem_.relu) post.append_eltwise(dnnl::algorithm::eltwise_relu, kSlope, 0.0f);
#else
    if (problem_.relu)
      post.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, kSlope, 0.0f);
#endif
    attributes.set_post_ops(post);
    return attributes;
  }

  // The forward primitive of a form, and the one that a backward primitive wants as a
  // hint, whose descriptions have the types of that.
  dnnl::convolution_forward::primitive_desc ForwardDesc(const Form& form) const {
    return ForwardDesc(Src(form, true), Weights(form.operands), Dst(form, false),
                       ForwardAttributes(form));
  }
  dnnl::convolution_forward::primitive_desc Hint(const Form& form) const {
    return ForwardDesc(Src(form, true), Weights(form.operands), Dst(form, true),
                       onednn::UserScratchpad());
  }

  // oneDNN 3 dropped the operation descriptors that version 2 wants in between.
  dnnl::convolution_forward::primitive_desc ForwardDesc(
      const memory::desc& src, const memory::desc& weights, const memory::desc& dst,
      const dnnl::primitive_attr& attributes) const {
    const auto kind = problem_.training ? dnnl::prop_kind::forward_training
                                        : dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
    return dnnl::convolution_forward::primitive_desc(
        CpuEngine(), kind, dnnl::algorithm::convolution_direct, src, weights, bias_desc_,
        dst, geometry_.strides, geometry_.dilates, geometry_.pads, geometry_.pads,
        attributes);
#else
    const dnnl::convolution_forward::desc desc(
        kind, dnnl::algorithm::convolution_direct, src, weights, bias_desc_, dst,
        geometry_.strides, geometry_.dilates, geometry_.pads, geometry_.pads);
    return {desc, attributes, CpuEngine()};
#endif
  }

  // Of either backward primitive.
  template <typename Backward>
  typename Backward::primitive_desc BackwardDesc(const memory::desc& first,
                                                 const memory::desc& second,
                                                 const memory::desc& third,
                                                 const Form& form) const {
#if DNNL_VERSION_MAJOR >= 3
    return typename Backward::primitive_desc(
        CpuEngine(), dnnl::algorithm::convolution_direct, first, second, third,
        geometry_.strides, geometry_.dilates, geometry_.pads, geometry_.pads, Hint(form),
        onednn::UserScratchpad());
#else
    const typename Backward::desc desc(dnnl::algorithm::convolution_direct, first, second,
                                       third, geometry_.strides, geometry_.dilates,
                                       geometry_.pads, geometry_.pads);
    return {desc, onednn::UserScratchpad(), CpuEngine(), Hint(form)};
#endif
  }

  std::optional<Created<dnnl::convolution_backward_weights>>& backward_weights() {
    if (!asked_backward_weights_) {
      asked_backward_weights_ = true;
      backward_weights_ =
          Create<dnnl::convolution_backward_weights>([this](const Form& form) {
            return BackwardDesc<dnnl::convolution_backward_weights>(
                Src(form, true), Weights(kFloat), Dst(form, true), form);
          });
    }
    return backward_weights_;
  }

  ConvolutionOp<float>& fallback() {
    if (!fallback_) fallback_ = MakeReferenceConvolution<float>(problem_, nullptr);
    return *fallback_;
  }

  ConvolutionProblem problem_;
  Geometry geometry_;
  memory::dims weights_dims_;
  memory::desc plain_weights_, bias_desc_;
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

std::unique_ptr<ConvolutionOp<float>> MakeOnednnConvolution(
    const ConvolutionProblem& problem, std::string* why) {
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
