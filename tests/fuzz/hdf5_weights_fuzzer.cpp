// Weights in HDF5.

#include "caffe/net.hpp"
#include "caffe/util/io.hpp"
#include "fuzz.hpp"
#include "small_net.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace caffe;
  static Net<float>* const net = [] {
    NetParameter param;
    ParseProtoTextOrDie(fuzz::kSmallNet, "small net", &param);
    return new Net<float>(param);
  }();
  const fuzz::InputFile file(data, size, ".caffemodel.h5");
  fuzz::MayRefuse([&] { net->CopyTrainedLayersFrom(file.path()); });
  return 0;
}
