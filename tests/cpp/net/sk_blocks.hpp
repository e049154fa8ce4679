#ifndef CAFFE_TESTS_NET_SK_BLOCKS_HPP_
#define CAFFE_TESTS_NET_SK_BLOCKS_HPP_

#include <string>
#include <vector>

#include "net/net_fixture.hpp"

// Text of small residual blocks with SK units, written as in the release.

namespace caffe {
namespace test {

inline std::string LayerText(const std::string& name, const std::string& type,
                             const std::vector<std::string>& bottoms,
                             const std::string& top, const std::string& param = "") {
  std::string text =
      "layer { name: '" + name + "' type: '" + type + "' top: '" + top + "'";
  for (const std::string& bottom : bottoms) text += " bottom: '" + bottom + "'";
  return text + " " + param + " }\n";
}

inline std::string Conv(const std::string& name, const std::string& bottom, int outputs,
                        const std::string& param, bool bias = false) {
  return LayerText(
      name, "Convolution", {bottom}, name,
      Str("convolution_param { num_output: ", outputs,
          " weight_filler { type: 'msra' } bias_term: ", bias ? "true" : "false",
          " bias_filler { type: 'gaussian' } ", param, " }"));
}

inline std::string NormRelu(const std::string& bottom) {
  const std::string name = bottom + "/bn";
  return LayerText(name, "CuDNNBatchNorm", {bottom}, name) +
         LayerText(name + "/relu", "ReLU", {name}, name);
}

// An SK unit of two branches behind `bottom`, with the release's layers; top "axpy".
inline std::string SkUnit(const std::string& bottom, int channels, int groups,
                          int stride) {
  const std::string window = Str("kernel_size: 3 group: ", groups, " stride: ", stride);
  return Conv("a", bottom, channels, window + " pad: 1") + NormRelu("a") +
         Conv("b", bottom, channels, window + " pad: 2 dilation: 2") + NormRelu("b") +
         LayerText("sum", "Eltwise", {"a/bn", "b/bn"}, "sum") +
         LayerText("gap", "Pooling", {"sum"}, "gap",
                   "pooling_param { pool: AVE global_pooling: true }") +
         Conv("fc1", "gap", 16, "kernel_size: 1") + NormRelu("fc1") +
         Conv("fc2", "fc1/bn", 2 * channels, "kernel_size: 1") +
         LayerText("re", "Reshape", {"fc2"}, "re",
                   "reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } }") +
         LayerText("softmax", "Softmax", {"re"}, "softmax", "softmax_param { axis: 1 }") +
         "layer { name: 'slice' type: 'Slice' bottom: 'softmax' top: 's0' top: 's1' "
         "slice_param { axis: 1 slice_point: 1 } }\n" +
         LayerText("w1", "Reshape", {"s1"}, "w1",
                   Str("reshape_param { shape { dim: 0 dim: ", channels,
                       " dim: -1 dim: 0 } }")) +
         LayerText("w0", "Reshape", {"s0"}, "w0",
                   Str("reshape_param { shape { dim: 0 dim: ", channels, " } }")) +
         LayerText("scale", "Scale", {"a/bn", "w0"}, "scale", "scale_param { axis: 0 }") +
         LayerText("axpy", "Axpy", {"w1", "b/bn", "scale"}, "axpy");
}

// A bottleneck with an SK unit and a projected shortcut, then one with BatchNorm, Scale
// and Bias in place and an identity shortcut.
inline std::string Blocks(int stride) {
  return InputLayer("data", {2, 16, 9, 9}) + SkUnit("data", 32, 8, stride) +
         Conv("increase", "axpy", 48, "kernel_size: 1") +
         LayerText("increase/bn", "CuDNNBatchNorm", {"increase"}, "increase/bn") +
         Conv("proj", "data", 48, Str("kernel_size: 1 stride: ", stride)) +
         LayerText("proj/bn", "CuDNNBatchNorm", {"proj"}, "proj/bn") +
         LayerText("block1", "Eltwise", {"increase/bn", "proj/bn"}, "block1") +
         LayerText("block1/relu", "ReLU", {"block1"}, "block1") +
         Conv("c", "block1", 48, "kernel_size: 3 pad: 1", true) +
         LayerText("c/bn", "BatchNorm", {"c"}, "c") +
         LayerText("c/scale", "Scale", {"c"}, "c", "scale_param { bias_term: true }") +
         LayerText("c/bias", "Bias", {"c"}, "c") +
         LayerText("block2", "Eltwise", {"c", "block1"}, "block2") +
         LayerText("block2/relu", "ReLU", {"block2"}, "block2") +
         Conv("head", "block2", 5, "kernel_size: 2", true) +
         LayerText("head/relu", "ReLU", {"head"}, "head");
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_NET_SK_BLOCKS_HPP_
