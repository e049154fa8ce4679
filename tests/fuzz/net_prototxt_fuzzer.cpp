// A prototxt, from its text to a net that has run once forward and backward.

#include <string>

#include "caffe/net.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "fuzz.hpp"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace caffe {
namespace {

// Layers that write files, or wait for what reads a database, are other targets'.
bool TouchesFiles(const NetParameter& param) {
  for (const LayerParameter& layer : param.layer()) {
    if (layer.type().find("Data") != std::string::npos && layer.type() != "DummyData" &&
        layer.type() != "MemoryData") {
      return true;
    }
    if (layer.type() == "HDF5Output") return true;
  }
  return false;
}

// Blobs of more elements are made, not filled.
constexpr int kElements = 1 << 16;

bool IsCheap(const Net<float>& net) {
  double elements = 0;
  for (const auto& blob : net.blobs()) elements += blob->count();
  for (const auto& blob : net.params()) elements += blob->count();
  return elements < kElements;
}

}  // namespace
}  // namespace caffe

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace caffe;
  fuzz::MayRefuse([&] {
    NetParameter param;
    ParseProtoTextOrDie(std::string(reinterpret_cast<const char*>(data), size), "input",
                        &param);
    UpgradeNetAsNeeded("input", &param);
    if (TouchesFiles(param) || !fuzz::IsSmall(param, 1e6)) return;
    const bool runs = fuzz::IsSmall(param, 100);
    for (const Phase phase : {TRAIN, TEST}) {
      param.mutable_state()->set_phase(phase);
      Net<float> net(param);
      if (!runs || !IsCheap(net)) continue;
      net.Forward();
      if (phase == TRAIN) net.Backward();
    }
  });
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  caffe::NetParameter param;
  // One in eight as text, which tests the reader of text.
  if (seed % 8 != 0) {
    if (const size_t mutated =
            caffe::fuzz::MutateText(&param, data, size, max_size, seed)) {
      return mutated;
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
