// A mean image (binaryproto), as data layers read it.

#include <string>

#include "caffe/data_transformer.hpp"
#include "fuzz.hpp"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace caffe;
  const fuzz::InputFile file(data, size, ".binaryproto");
  fuzz::MayRefuse([&] {
    TransformationParameter param;
    param.set_mean_file(file.path());
    DataTransformer<float> transformer(param, TEST);
    Datum datum;
    datum.set_channels(3);
    datum.set_height(4);
    datum.set_width(5);
    datum.set_data(std::string(3 * 4 * 5, 'm'));
    Blob<float> blob(transformer.InferBlobShape(datum));
    transformer.Transform(datum, &blob);
  });
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  caffe::BlobProto mean;
  if (seed % 2 != 0) {
    if (const size_t mutated =
            caffe::fuzz::MutateBytes(&mean, data, size, max_size, seed)) {
      return mutated;
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
