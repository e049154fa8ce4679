#ifndef CAFFE_TESTS_NET_NET_FIXTURE_HPP_
#define CAFFE_TESTS_NET_NET_FIXTURE_HPP_

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"

namespace caffe {
namespace test {

inline NetParameter NetFromText(const std::string& text) {
  NetParameter param;
  if (!google::protobuf::TextFormat::ParseFromString(text, &param)) {
    throw ValueError("a test has a wrong net text: " + text);
  }
  return param;
}

template <typename T>
std::unique_ptr<Net<T>> MakeNet(const std::string& text, Phase phase = TRAIN,
                                unsigned int seed = 1701) {
  Caffe::set_random_seed(seed);
  NetParameter param = NetFromText(text);
  param.mutable_state()->set_phase(phase);
  return std::make_unique<Net<T>>(param);
}

/// The message with which a net of this text is refused; "" if it is not.
inline std::string NetError(const std::string& text, Phase phase = TRAIN) {
  try {
    MakeNet<double>(text, phase);
  } catch (const ValueError& error) {
    return error.what();
  }
  return "";
}

// Pieces of nets.

inline std::string InputLayer(const std::string& top, const std::vector<int>& shape) {
  std::string dims;
  for (int dim : shape) dims += Str(" dim: ", dim);
  return Str("layer { name: '", top, "' type: 'Input' top: '", top,
             "' input_param { shape {", dims, " } } }\n");
}

/// An InnerProduct `name` of `bottom` with `outputs` outputs and Gaussian weights;
/// `more` goes into the layer.
inline std::string IpLayer(const std::string& name, const std::string& bottom,
                           int outputs, const std::string& more = "") {
  return Str("layer { name: '", name, "' type: 'InnerProduct' bottom: '", bottom,
             "' top: '", name, "' inner_product_param { num_output: ", outputs,
             " weight_filler { type: 'gaussian' std: 0.5 }"
             " bias_filler { type: 'constant' value: 0.25 } } ",
             more, " }\n");
}

inline std::string LossLayer(const std::string& name, const std::string& a,
                             const std::string& b, const std::string& more = "") {
  return Str("layer { name: '", name, "' type: 'EuclideanLoss' bottom: '", a,
             "' bottom: '", b, "' top: '", name, "' ", more, " }\n");
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_NET_NET_FIXTURE_HPP_
