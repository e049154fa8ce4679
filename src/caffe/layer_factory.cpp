#include "caffe/layer_factory.hpp"

#include <string>
#include <vector>

#include "caffe/layer.hpp"
#include "caffe/proto/check_numbers.hpp"
#include "caffe/util/closest.hpp"
#include "caffe/util/forks.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/registration_log.hpp"

namespace caffe {

template <typename Dtype>
typename LayerRegistry<Dtype>::CreatorRegistry& LayerRegistry<Dtype>::Registry() {
  // Never destroyed: plugins may outlive static destruction.
  static CreatorRegistry* registry = new CreatorRegistry();
  return *registry;
}

template <typename Dtype>
typename LayerRegistry<Dtype>::CreatorRegistry& LayerRegistry<Dtype>::Spellings() {
  static CreatorRegistry* spellings = new CreatorRegistry();
  return *spellings;
}

template <typename Dtype>
void LayerRegistry<Dtype>::AddSpelling(const string& type, Creator creator) {
  Spellings()[type] = creator;
}

template <typename Dtype>
void LayerRegistry<Dtype>::AddCreator(const string& type, Creator creator) {
  // Runs in static initialisers, where an exception would end the process: a
  // second registration is recorded, and LoadPlugin() reports it.
  const bool added = Registry().emplace(type, creator).second;
  RecordRegistration(type, added);
}

template <typename Dtype>
shared_ptr<Layer<Dtype>> LayerRegistry<Dtype>::CreateLayer(const LayerParameter& param) {
  const string& type = param.type();
  const auto found = Registry().find(type);
  const auto spelling = Spellings().find(type);
  const bool is_type = found != Registry().end();
  try {
    if (!is_type && spelling == Spellings().end()) throw ValueError(UnknownType(type));
    CheckNumbers(param, NameOf(param));
    return is_type ? found->second(param) : spelling->second(param);
  } catch (Error& error) {
    error.SetWho(NameOf(param));
    throw;
  }
}

template <typename Dtype>
string LayerRegistry<Dtype>::UnknownType(const string& type) {
  const string home = HomeOfLayerType(type);
  if (!home.empty()) {
    return Str("type '", type, "' is a layer of ", home,
               ", which this version does not have; ", kLoadAsPlugin);
  }
  vector<string> known = LayerTypeList();
  for (const auto& entry : Spellings()) known.push_back(entry.first);
  return Str("unknown layer type '", type, "'", Suggestion(type, known),
             " (a layer of your own is loaded with caffe.load_plugin() or caffe train "
             "-plugin)");
}

template <typename Dtype>
vector<string> LayerRegistry<Dtype>::LayerTypeList() {
  vector<string> types;
  for (const auto& entry : Registry()) types.push_back(entry.first);
  return types;
}

template class LayerRegistry<float>;
template class LayerRegistry<double>;

}  // namespace caffe
