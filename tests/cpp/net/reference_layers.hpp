#ifndef CAFFE_TESTS_NET_REFERENCE_LAYERS_HPP_
#define CAFFE_TESTS_NET_REFERENCE_LAYERS_HPP_

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "caffe/net.hpp"

// Reads the tables of the SKNet release in tests/data/reference and writes a net from
// them, layer by layer.

namespace caffe {
namespace test {

inline std::vector<std::string> SplitText(const std::string& text, char separator) {
  std::vector<std::string> parts;
  if (text.empty()) return parts;
  size_t start = 0;
  for (size_t end; (end = text.find(separator, start)) != std::string::npos;
       start = end + 1) {
    parts.push_back(text.substr(start, end - start));
  }
  parts.push_back(text.substr(start));
  return parts;
}

/// One row: cells by the names of the columns.
class ReferenceLayer {
 public:
  ReferenceLayer(const std::vector<std::string>& columns, const std::string& line) {
    std::vector<std::string> cells = SplitText(line, ',');
    if (cells.size() != columns.size())
      throw ValueError("a reference row is torn: " + line);
    for (size_t i = 0; i < columns.size(); ++i) cells_[columns[i]] = cells[i];
    for (const std::string& entry : SplitText(cells_["extra"], ';')) {
      const size_t equals = entry.find('=');
      extra_[entry.substr(0, equals)] = entry.substr(equals + 1);
    }
  }

  const std::string& operator[](const std::string& column) const {
    return cells_.at(column);
  }
  bool Has(const std::string& column) const { return !cells_.at(column).empty(); }
  int Int(const std::string& column) const { return std::stoi(cells_.at(column)); }
  std::vector<std::string> List(const std::string& column) const {
    return SplitText(cells_.at(column), '|');
  }
  /// An entry of the column `extra`, "" if absent.
  std::string Extra(const std::string& key) const {
    const auto found = extra_.find(key);
    return found == extra_.end() ? "" : found->second;
  }

  /// Shapes of the tops; "scalar" has no axes.
  std::vector<std::vector<int>> OutShapes() const {
    std::vector<std::vector<int>> shapes;
    for (const std::string& text : List("out_shape")) {
      shapes.emplace_back();
      if (text == "scalar") continue;
      for (const std::string& dim : SplitText(text, 'x'))
        shapes.back().push_back(std::stoi(dim));
    }
    return shapes;
  }

 private:
  std::map<std::string, std::string> cells_, extra_;
};

inline std::vector<ReferenceLayer> ReadReferenceLayers(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  if (!std::getline(in, line)) throw FileError(path + ": cannot be read");
  const std::vector<std::string> columns = SplitText(line, ',');
  std::vector<ReferenceLayer> rows;
  while (std::getline(in, line)) rows.emplace_back(columns, line);
  return rows;
}

/// "gaussian(0.01)", "constant(1)", "msra".
inline void SetFiller(const std::string& text, FillerParameter* filler) {
  const std::string type = text.substr(0, text.find('('));
  filler->set_type(type);
  if (type == text) return;
  const float value = std::stof(text.substr(type.size() + 1));
  if (type == "gaussian") {
    filler->set_std(value);
  } else {
    filler->set_value(value);
  }
}

inline LayerParameter LayerFromReference(const ReferenceLayer& row) {
  LayerParameter layer;
  const std::string& type = row["type"];
  layer.set_name(row["name"]);
  layer.set_type(type);
  for (const std::string& bottom : row.List("bottoms")) layer.add_bottom(bottom);
  for (const std::string& top : row.List("tops")) layer.add_top(top);
  const auto lr = row.List("lr_mult"), decay = row.List("decay_mult");
  for (size_t i = 0; i < lr.size(); ++i) {
    ParamSpec* spec = layer.add_param();
    spec->set_lr_mult(std::stof(lr[i]));
    spec->set_decay_mult(std::stof(decay[i]));
  }
  if (type == "Input") {
    for (const auto& shape : row.OutShapes()) {
      BlobShape* dims = layer.mutable_input_param()->add_shape();
      for (int dim : shape) dims->add_dim(dim);
    }
  } else if (type == "Convolution") {
    ConvolutionParameter* p = layer.mutable_convolution_param();
    p->set_num_output(row.Int("num_output"));
    p->add_kernel_size(row.Int("kernel"));
    p->add_stride(row.Int("stride"));
    p->add_pad(row.Int("pad"));
    p->set_group(row.Int("group"));
    p->add_dilation(row.Int("dilation"));
    p->set_bias_term(row["bias"] == "1");
    SetFiller(row["weight_filler"], p->mutable_weight_filler());
  } else if (type == "CuDNNBatchNorm") {
    CuDNNBatchNormParameter* p = layer.mutable_cudnn_batch_norm_param();
    p->set_frozen(row.Extra("frozen") == "1");
    p->set_momentum(std::stof(row.Extra("momentum")));
    SetFiller(row.Extra("scale"), p->mutable_scale_filler());
    SetFiller(row.Extra("bias"), p->mutable_bias_filler());
  } else if (type == "Pooling") {
    PoolingParameter* p = layer.mutable_pooling_param();
    p->set_pool(row.Extra("pool") == "MAX" ? PoolingParameter::MAX
                                           : PoolingParameter::AVE);
    if (row.Extra("global") == "1") p->set_global_pooling(true);
    if (row.Extra("engine") == "CAFFE") p->set_engine(PoolingParameter::CAFFE);
    if (row.Has("kernel")) p->set_kernel_size(row.Int("kernel"));
    if (row.Has("stride")) p->set_stride(row.Int("stride"));
    if (row.Has("pad")) p->set_pad(row.Int("pad"));
  } else if (type == "InnerProduct") {
    InnerProductParameter* p = layer.mutable_inner_product_param();
    p->set_num_output(row.Int("num_output"));
    SetFiller(row["weight_filler"], p->mutable_weight_filler());
    SetFiller(row["bias_filler"], p->mutable_bias_filler());
  } else if (type == "Reshape") {
    for (const std::string& dim : SplitText(row.Extra("shape"), 'x')) {
      layer.mutable_reshape_param()->mutable_shape()->add_dim(std::stoi(dim));
    }
  } else if (type == "Softmax") {
    layer.mutable_softmax_param()->set_axis(std::stoi(row.Extra("axis")));
  } else if (type == "Slice") {
    layer.mutable_slice_param()->set_axis(std::stoi(row.Extra("axis")));
    layer.mutable_slice_param()->add_slice_point(std::stoi(row.Extra("slice_point")));
  } else if (type == "Scale") {
    layer.mutable_scale_param()->set_axis(std::stoi(row.Extra("axis")));
    layer.mutable_scale_param()->set_bias_term(row.Extra("bias_term") == "1");
  } else if (type == "Eltwise") {
    layer.mutable_eltwise_param()->set_operation(EltwiseParameter::SUM);
  } else if (type == "Accuracy") {
    layer.mutable_accuracy_param()->set_top_k(std::stoi(row.Extra("top_k")));
  } else if (type != "ReLU" && type != "Axpy" && type != "SoftmaxWithLoss") {
    throw ValueError("the reference table has a layer of an unexpected type " + type);
  }
  return layer;
}

inline NetParameter NetFromReference(const std::vector<ReferenceLayer>& rows,
                                     const std::string& name) {
  NetParameter param;
  param.set_name(name);
  for (const ReferenceLayer& row : rows) *param.add_layer() = LayerFromReference(row);
  return param;
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_NET_REFERENCE_LAYERS_HPP_
