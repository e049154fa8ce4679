// The bytes of an image in any format.

#include <string>

#include "caffe/util/image_io.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace caffe;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  for (const ImageColors colors : {ImageColors::kAsStored, ImageColors::kColor}) {
    fuzz::MayRefuse([&] { DecodeImage(bytes, colors); });
  }
  return 0;
}
