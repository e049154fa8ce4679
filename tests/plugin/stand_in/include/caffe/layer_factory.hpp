#ifndef CAFFE_LAYER_FACTORY_H_
#define CAFFE_LAYER_FACTORY_H_

#include <map>
#include <string>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

template <typename Dtype>
class Layer;

template <typename Dtype>
class LayerRegistry {
 public:
  typedef shared_ptr<Layer<Dtype>> (*Creator)(const LayerParameter&);
  typedef std::map<string, Creator> CreatorRegistry;

  // In the header, as there: every library of a process must see the same one.
  static CreatorRegistry& Registry() {
    static CreatorRegistry* registry = new CreatorRegistry();
    return *registry;
  }
  static void AddCreator(const string& type, Creator creator) {
    CHECK_EQ(Registry().count(type), 0u)
        << "Layer type " << type << " already registered.";
    Registry()[type] = creator;
  }
  static shared_ptr<Layer<Dtype>> CreateLayer(const LayerParameter& param) {
    CHECK_EQ(Registry().count(param.type()), 1u)
        << "Unknown layer type: " << param.type();
    return Registry()[param.type()](param);
  }

 private:
  LayerRegistry() {}
};

template <typename Dtype>
class LayerRegisterer {
 public:
  LayerRegisterer(const string& type,
                  shared_ptr<Layer<Dtype>> (*creator)(const LayerParameter&)) {
    LayerRegistry<Dtype>::AddCreator(type, creator);
  }
};

#define REGISTER_LAYER_CREATOR(type, creator)                              \
  static LayerRegisterer<float> g_creator_f_##type(#type, creator<float>); \
  static LayerRegisterer<double> g_creator_d_##type(#type, creator<double>)

#define REGISTER_LAYER_CLASS(type)                                              \
  template <typename Dtype>                                                     \
  shared_ptr<Layer<Dtype>> Creator_##type##Layer(const LayerParameter& param) { \
    return shared_ptr<Layer<Dtype>>(new type##Layer<Dtype>(param));             \
  }                                                                             \
  REGISTER_LAYER_CREATOR(type, Creator_##type##Layer)

}  // namespace caffe

#endif  // CAFFE_LAYER_FACTORY_H_
