// Times the layers that have device code, on a GPU, at shapes of SKNet-50 and 32 images.
// Counterpart of gpu_layer_times.py, which times PyTorch's; prints the same columns:
//
//   layer,shape,pass,milliseconds,GB/s
//
// Milliseconds are the median of 50 runs after 5, between device events. GB/s counts each
// operand once, read or written, which is the least a pass can move; "copy" is a copy
// from device to device, the rate that memory can reach.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "caffe/layer.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace {

using test::LayerRun;

double MedianMilliseconds(const std::function<void()>& work) {
  constexpr int kWarmup = 5;
  constexpr int kRuns = 50;
  cudaEvent_t begin, end;
  CUDA_CHECK(cudaEventCreate(&begin));
  CUDA_CHECK(cudaEventCreate(&end));
  std::vector<float> times;
  for (int run = -kWarmup; run < kRuns; ++run) {
    CUDA_CHECK(cudaEventRecord(begin));
    work();
    CUDA_CHECK(cudaEventRecord(end));
    CUDA_CHECK(cudaEventSynchronize(end));
    float milliseconds;
    CUDA_CHECK(cudaEventElapsedTime(&milliseconds, begin, end));
    if (run >= 0) times.push_back(milliseconds);
  }
  CUDA_CHECK(cudaEventDestroy(begin));
  CUDA_CHECK(cudaEventDestroy(end));
  std::nth_element(times.begin(), times.begin() + kRuns / 2, times.end());
  return times[kRuns / 2];
}

void Report(const std::string& layer, const std::vector<int>& shape, const char* pass,
            double milliseconds, double elements_moved) {
  std::printf("%s,%dx%dx%dx%d,%s,%.4f,%.0f\n", layer.c_str(), shape[0], shape[1],
              shape[2], shape[3], pass, milliseconds,
              elements_moved * sizeof(float) / milliseconds / 1e6);
}

void TimeCopy(const std::vector<int>& shape) {
  Blob<float> from(shape), to(shape);
  const float* source = from.gpu_data();
  float* target = to.mutable_gpu_data();
  const double milliseconds = MedianMilliseconds([&] {
    CUDA_CHECK(cudaMemcpyAsync(target, source, from.count() * sizeof(float),
                               cudaMemcpyDeviceToDevice));
  });
  Report("copy", shape, "forward", milliseconds, 2.0 * from.count());
}

/// `forward` and `backward`: how many tensors of the shape a pass must move.
void TimeLayer(const std::string& name, LayerRun<float>* run, double forward,
               double backward) {
  run->Forward();
  run->Backward();
  const Blob<float>& tensor = *run->bottom.back();
  const std::vector<bool> all(run->bottom.size(), true);
  Report(name, tensor.shape(), "forward",
         MedianMilliseconds([&] { run->layer->Forward(run->bottom, run->top); }),
         forward * tensor.count());
  Report(name, tensor.shape(), "backward",
         MedianMilliseconds([&] { run->layer->Backward(run->top, all, run->bottom); }),
         backward * tensor.count());
}

void TimeAll() {
  Caffe::set_mode(Caffe::GPU);
  cudaDeviceProp device;
  CUDA_CHECK(cudaGetDeviceProperties(&device, 0));
  std::printf("# %s\nlayer,shape,pass,milliseconds,GB/s\n", device.name);
  const std::vector<std::vector<int>> shapes = {
      {32, 256, 56, 56}, {32, 512, 28, 28}, {32, 1024, 14, 14}, {32, 2048, 7, 7}};
  for (const std::vector<int>& shape : shapes) {
    TimeCopy(shape);
    LayerRun<float> axpy("type: 'Axpy'", {{shape[0], shape[1], 1, 1}, shape, shape});
    TimeLayer("Axpy", &axpy, 3, 4);
    LayerRun<float> norm("type: 'CuDNNBatchNorm'", {shape});
    TimeLayer("CuDNNBatchNorm", &norm, 2, 3);
    LayerRun<float> in_place("type: 'CuDNNBatchNorm'", {shape});
    in_place.InPlace();
    in_place.layer->Prepare({.top_preserved = {true}});
    TimeLayer("CuDNNBatchNorm in place", &in_place, 2, 3);
    LayerRun<float> test("type: 'CuDNNBatchNorm'", {shape}, 1, TEST);
    TimeLayer("CuDNNBatchNorm TEST", &test, 2, 3);
  }
}

}  // namespace
}  // namespace caffe

int main() {
  try {
    caffe::TimeAll();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
