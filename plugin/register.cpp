// Registers the layers with the Caffe into whose process libsknet_layers.so is loaded.

#include <iostream>
#include <string>

#include "caffe/layer_factory.hpp"
#ifdef SKNET_AXPY
#include "caffe/layers/axpy_layer.hpp"
#endif
#ifdef SKNET_CUDNN_BATCH_NORM
#include "caffe/layers/cudnn_batch_norm_layer.hpp"
#endif

namespace caffe {
namespace {

template <typename Dtype, template <typename> class LayerOf>
shared_ptr<Layer<Dtype>> Create(const LayerParameter& param) {
  return shared_ptr<Layer<Dtype>>(new LayerOf<Dtype>(param));
}

bool IsTaken(const string& type) {
  return LayerRegistry<float>::Registry().count(type) > 0;
}

template <template <typename> class LayerOf>
void Add(const string& type) {
  LayerRegistry<float>::AddCreator(type, Create<float, LayerOf>);
  LayerRegistry<double>::AddCreator(type, Create<double, LayerOf>);
}

// A second definition of a type ends the process in most Caffes, so theirs is left alone.
bool Register() {
  string taken;
#ifdef SKNET_AXPY
  if (IsTaken("Axpy")) taken = "Axpy";
#endif
#ifdef SKNET_CUDNN_BATCH_NORM
  if (IsTaken("CuDNNBatchNorm")) {
    taken += taken.empty() ? "CuDNNBatchNorm" : " and CuDNNBatchNorm";
  }
#endif
  if (!taken.empty()) {
    std::cerr << "libsknet_layers.so: this Caffe already has " << taken
              << "; nothing was registered, so use its own or build this library with "
                 "-DSKNET_LAYERS= and the type that is missing\n";
    return false;
  }
#ifdef SKNET_AXPY
  Add<AxpyLayer>("Axpy");
#endif
#ifdef SKNET_CUDNN_BATCH_NORM
  Add<CuDNNBatchNormLayer>("CuDNNBatchNorm");
#endif
  return true;
}

const bool registered = Register();

}  // namespace
}  // namespace caffe

/// 1 if the layers of this library were registered, for programs that load it.
extern "C" int sknet_layers_registered() { return caffe::registered ? 1 : 0; }
