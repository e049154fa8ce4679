// An entry of a database, as it becomes a net's input.

#include "caffe/data_transformer.hpp"
#include "caffe/util/io.hpp"
#include "fuzz.hpp"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace caffe;
  fuzz::MayRefuse([&] {
    Datum datum;
    if (!datum.ParseFromArray(data, static_cast<int>(size))) return;
    for (const char* text : {"", "crop_size: 3 mirror: true mean_value: 1 scale: 0.5",
                             "resize_short: 5 crop_size: 4 force_color: true"}) {
      TransformationParameter param;
      ParseProtoTextOrDie(text, "transform_param", &param);
      DataTransformer<float> transformer(param, TRAIN);
      transformer.InitRand();
      Blob<float> blob(transformer.InferBlobShape(datum));
      transformer.Transform(datum, &blob);
    }
  });
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  caffe::Datum datum;
  if (seed % 2 != 0) {
    if (const size_t mutated =
            caffe::fuzz::MutateBytes(&datum, data, size, max_size, seed)) {
      return mutated;
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
