#ifndef CAFFE_LAYER_FACTORY_H_
#define CAFFE_LAYER_FACTORY_H_

#include <map>
#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

template <typename Dtype>
class Layer;

/// Maps layer type names to constructors. A layer registers itself with
/// REGISTER_LAYER_CLASS at namespace scope, in this library or in a plugin.
template <typename Dtype>
class LayerRegistry {
 public:
  typedef shared_ptr<Layer<Dtype>> (*Creator)(const LayerParameter&);
  typedef std::map<string, Creator> CreatorRegistry;

  static CreatorRegistry& Registry();
  /// Throws ValueError when `type` is taken.
  static void AddCreator(const string& type, Creator creator);
  /// Adds another name, under which forks of Caffe have a type of LayerTypeList().
  /// A layer that is registered under this name, such as a plugin's, comes first.
  static void AddSpelling(const string& type, Creator creator);
  /// Throws ValueError when the type is unknown, saying which fork has it, or which
  /// known type is close.
  static shared_ptr<Layer<Dtype>> CreateLayer(const LayerParameter& param);
  static vector<string> LayerTypeList();

 private:
  LayerRegistry() {}
  static CreatorRegistry& Spellings();
  static string UnknownType(const string& type);
};

template <typename Dtype>
class LayerRegisterer {
 public:
  LayerRegisterer(const string& type,
                  shared_ptr<Layer<Dtype>> (*creator)(const LayerParameter&)) {
    LayerRegistry<Dtype>::AddCreator(type, creator);
  }
};

#define REGISTER_LAYER_CREATOR(type, creator)                                       \
  static ::caffe::LayerRegisterer<float> g_creator_f_##type(#type, creator<float>); \
  static ::caffe::LayerRegisterer<double> g_creator_d_##type(#type, creator<double>)

#define REGISTER_LAYER_CLASS(type)                                                    \
  template <typename Dtype>                                                           \
  ::caffe::shared_ptr<::caffe::Layer<Dtype>> Creator_##type##Layer(                   \
      const ::caffe::LayerParameter& param) {                                         \
    return ::caffe::shared_ptr<::caffe::Layer<Dtype>>(new type##Layer<Dtype>(param)); \
  }                                                                                   \
  REGISTER_LAYER_CREATOR(type, Creator_##type##Layer)

}  // namespace caffe

#endif  // CAFFE_LAYER_FACTORY_H_
