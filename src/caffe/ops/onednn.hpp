#ifndef CAFFE_OPS_ONEDNN_HPP_
#define CAFFE_OPS_ONEDNN_HPP_

#include <dnnl.hpp>

#include <string>
#include <unordered_map>
#include <vector>

#include "caffe/ops/tensor.hpp"

// What the engines built on oneDNN share: its runtime, and how blobs lie in its memory.

namespace caffe::onednn {

dnnl::engine& CpuEngine();
dnnl::stream& CpuStream();

/// Runs a primitive and waits; its scratchpad is one buffer per thread of the
/// program, shared by all primitives. oneDNN's errors become RuntimeFailure.
void Execute(const dnnl::primitive& primitive, std::unordered_map<int, dnnl::memory> args,
             const dnnl::memory::desc& scratchpad);

/// Attributes that leave the scratchpad to Execute().
dnnl::primitive_attr UserScratchpad();

dnnl::memory::dims Dims(const std::vector<int>& shape);

/// How an activation of `shape` lies in memory: blocked by PreferredBlock's unit
/// whenever the channels divide (a single spatial position included, where the
/// blocked and the plain layout are the same bytes), else plain.
dnnl::memory::desc ActivationDesc(
    const std::vector<int>& shape, bool plain = false,
    dnnl::memory::data_type type = dnnl::memory::data_type::f32);

/// The block to Read() or Write() for that description.
int ActivationBlock(const std::vector<int>& shape, bool plain = false);

/// Weights in the layout a primitive wants, kept beside the blob's plain copy
/// until that changes.
class PackedWeights : public PackedTensor {
 public:
  PackedWeights(const dnnl::memory::desc& plain, const dnnl::memory::desc& desc);
  ~PackedWeights() override;
  void UnpackTo(void* plain) const override;
  std::size_t bytes() const override { return desc_.get_size(); }
  const dnnl::memory& memory() const { return memory_; }
  const dnnl::memory::desc& desc() const { return desc_; }

 private:
  dnnl::memory::desc plain_, desc_;
  dnnl::memory memory_;
};

/// `weights` as `wanted`; `plain` describes the blob's own copy.
dnnl::memory ReadWeights(Tensor<float> weights, const dnnl::memory::desc& plain,
                         const dnnl::memory::desc& wanted);

/// What memory for a moment is for: each has one buffer on every thread.
enum class Momentary { kWeightsGradient, kSource, kDestinationGradient, kResult };

/// Memory for something that is used at once: the next call with this purpose on this
/// thread gives the same.
dnnl::memory SharedBuffer(const dnnl::memory::desc& desc, Momentary purpose);

/// Whether this CPU multiplies bfloat16 faster than float32 (AVX512-BF16 or AMX).
bool HasBfloat16();

/// Whether it has AMX, and this process may use it.
bool HasMatrixUnits();

/// Wraps a buffer without copying.
dnnl::memory Wrap(const dnnl::memory::desc& desc, const float* data);

/// Turns an exception of oneDNN into a sentence.
std::string Reason(const dnnl::error& error);

}  // namespace caffe::onednn

#endif  // CAFFE_OPS_ONEDNN_HPP_
