// Weights in Caffe's binary format.

#include "caffe/net.hpp"
#include "caffe/util/io.hpp"
#include "fuzz.hpp"
#include "small_net.hpp"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace caffe;
  static Net<float>* const net = [] {
    NetParameter param;
    ParseProtoTextOrDie(fuzz::kSmallNet, "small net", &param);
    return new Net<float>(param);
  }();
  const fuzz::InputFile file(data, size, ".caffemodel");
  fuzz::MayRefuse([&] {
    net->CopyTrainedLayersFrom(file.path());
    net->Forward();
  });
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  caffe::NetParameter param;
  if (seed % 2 != 0) {
    if (const size_t mutated =
            caffe::fuzz::MutateBytes(&param, data, size, max_size, seed)) {
      return mutated;
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
