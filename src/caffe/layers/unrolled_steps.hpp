#ifndef CAFFE_LAYERS_UNROLLED_STEPS_HPP_
#define CAFFE_LAYERS_UNROLLED_STEPS_HPP_

// How recurrent layers write down their steps.

#include <set>
#include <string>
#include <vector>

#include "caffe/proto/caffe.pb.h"
#include "caffe/util/format.hpp"

namespace caffe {

/// Appends layers to the net of a recurrent layer. Names of layers, blobs and parameters
/// are those of Caffe, whose tools and users look for them.
class UnrolledSteps {
 public:
  UnrolledSteps(const RecurrentParameter& param, NetParameter* net)
      : param_(param), net_(*net) {}

  /// "name_t".
  static std::string At(const std::string& name, int t) {
    return name + "_" + format_int(t);
  }

  LayerParameter* Add(const std::string& type, const std::string& name,
                      const std::vector<std::string>& bottoms,
                      const std::vector<std::string>& tops) {
    LayerParameter* layer = net_.add_layer();
    layer->set_type(type);
    layer->set_name(name);
    for (const std::string& bottom : bottoms) layer->add_bottom(bottom);
    for (const std::string& top : tops) layer->add_top(top);
    return layer;
  }

  /// top = weights · bottom (+ bias, unless that is ""), over all axes from `axis` on.
  LayerParameter* AddProduct(const std::string& name, const std::string& bottom,
                             const std::string& top, int num_output, int axis,
                             const std::string& weights, const std::string& bias = "") {
    LayerParameter* layer = Add("InnerProduct", name, {bottom}, {top});
    InnerProductParameter* product = layer->mutable_inner_product_param();
    product->set_num_output(num_output);
    product->set_axis(axis);
    product->set_bias_term(!bias.empty());
    layer->add_param()->set_name(weights);
    if (!bias.empty()) layer->add_param()->set_name(bias);
    // Later steps share what the first has filled.
    if (filled_.insert(weights).second) {
      product->mutable_weight_filler()->CopyFrom(param_.weight_filler());
      product->mutable_bias_filler()->CopyFrom(param_.bias_filler());
    }
    return layer;
  }

  /// The inputs' part in all steps at once: tops `product`_t, and with a static input
  /// `product`_static of (1, N, num_output).
  void AddInputs(const std::string& product, int num_output, bool has_static, int steps,
                 const std::string& weights, const std::string& bias) {
    AddProduct("x_transform", "x", product, num_output, 2, weights, bias)
        ->add_propagate_down(true);
    if (has_static) {
      const std::string flat = product + "_static_preshape", top = product + "_static";
      AddProduct(top, "x_static", flat, num_output, 1, weights + "_static")
          ->add_propagate_down(true);
      BlobShape* shape = Add("Reshape", top + "_reshape", {flat}, {top})
                             ->mutable_reshape_param()
                             ->mutable_shape();
      shape->add_dim(1);
      shape->add_dim(-1);
      shape->add_dim(num_output);
    }
    AddSlices("cont_slice", "cont", steps);
    AddSlices(product + "_slice", product, steps);
  }

  /// `name`_conted_t = cont_{t + 1} · `name`_t: a state that a new sequence forgets.
  std::string AddConted(const std::string& name, int t) {
    const std::string conted = At(name + "_conted", t);
    Add("Scale", conted, {At(name, t), At("cont", t + 1)}, {conted})
        ->mutable_scale_param()
        ->set_axis(0);
    return conted;
  }

  void AddSum(const std::string& name, const std::vector<std::string>& bottoms,
              const std::string& top) {
    Add("Eltwise", name, bottoms, {top})
        ->mutable_eltwise_param()
        ->set_operation(EltwiseParameter_EltwiseOp_SUM);
  }

  /// `name` of all steps, one behind the other.
  void AddConcat(const std::string& layer, const std::string& name, int steps) {
    std::vector<std::string> bottoms;
    for (int t = 1; t <= steps; ++t) bottoms.push_back(At(name, t));
    Add("Concat", layer, bottoms, {name})->mutable_concat_param()->set_axis(0);
  }

 private:
  void AddSlices(const std::string& layer, const std::string& name, int steps) {
    std::vector<std::string> tops;
    for (int t = 1; t <= steps; ++t) tops.push_back(At(name, t));
    Add("Slice", layer, {name}, tops)->mutable_slice_param()->set_axis(0);
  }

  const RecurrentParameter& param_;
  NetParameter& net_;
  std::set<std::string> filled_;  ///< weights
};

/// (1, streams, num_output).
inline BlobShape StateShape(int streams, int num_output) {
  BlobShape shape;
  shape.add_dim(1);
  shape.add_dim(streams);
  shape.add_dim(num_output);
  return shape;
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_UNROLLED_STEPS_HPP_
