// Which GPU a thread works on, and NVIDIA's libraries there.

#include "caffe/device.hpp"

#include <atomic>
#include <string>

#include "caffe/common.hpp"
#include "caffe/device_graph.hpp"
#include "caffe/gpu/device.hpp"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace {

// As "13.2" of CUDA's number 13020.
string VersionText(int version) { return Str(version / 1000, ".", version % 1000 / 10); }

// What the error of a device that cannot be used means, and what to do about it.
string Explanation(cudaError_t error) {
  switch (error) {
    case cudaErrorNoDevice:
      return "there is no GPU that CUDA can use; nvidia-smi lists those of this machine, "
             "and CUDA_VISIBLE_DEVICES may hide them";
    case cudaErrorInsufficientDriver: {
      int driver = 0, runtime = 0;
      cudaDriverGetVersion(&driver);
      cudaRuntimeGetVersion(&runtime);
      if (driver == 0) {
        return "no NVIDIA driver is loaded; install one, or compute on the CPU";
      }
      return Str("the NVIDIA driver supports CUDA ", VersionText(driver),
                 ", this library was built with CUDA ", VersionText(runtime),
                 "; install a newer driver, or build with the older CUDA");
    }
    case cudaErrorDevicesUnavailable:
      return "the GPU is busy with another process and set to serve one alone "
             "(compute mode exclusive); wait for that process, or take another GPU";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
      return "this library has no code for GPUs of this architecture; build it with "
             "-DCMAKE_CUDA_ARCHITECTURES=native on this machine";
    default:
      return Str("CUDA: ", cudaGetErrorString(error));
  }
}

[[noreturn]] void ThrowUnusable(const string& who, cudaError_t error) {
  cudaGetLastError();  // forgets it
  throw RuntimeFailure(Str(who, ": ", Explanation(error)));
}

std::uint64_t NewContext() {
  static std::atomic<std::uint64_t> count{0};
  return ++count;
}
thread_local std::uint64_t graph_context = NewContext();

int CountDevices() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) ThrowUnusable("GPU mode", error);
  if (count == 0) ThrowUnusable("GPU mode", cudaErrorNoDevice);
  return count;
}

void CheckId(int id) {
  const int count = CountDevices();
  if (id >= 0 && id < count) return;
  throw ValueError(Str("GPU ", id, " does not exist: this machine has ", count,
                       count == 1 ? " GPU, number 0" : " GPUs, numbered from 0",
                       "; 'caffe device_query -gpu all' lists them"));
}

}  // namespace

// Handles of one thread on one device, made when they are first asked for.
struct Caffe::Device {
  explicit Device(int id) : id(id) {}
  // Ignores their status: a process that ends gives them back in any case.
  ~Device() {
    if (cublas) cublasDestroy(cublas);
    if (curand) curandDestroyGenerator(curand);
    if (cudnn) cudnnDestroy(cudnn);
  }
  const int id;
  cublasHandle_t cublas = nullptr;
  curandGenerator_t curand = nullptr;
  cudnnHandle_t cudnn = nullptr;
  /// Where they start their work, as kernels do (LaunchStream).
  cudaStream_t cublas_stream = nullptr, cudnn_stream = nullptr;
};

Caffe::Device& Caffe::device() {
  shared_ptr<Device>& device = Get().device_;
  if (!device) device = std::make_shared<Device>(device::Selected());
  return *device;
}

cublasHandle_t Caffe::cublas_handle() {
  Device& d = device();
  if (!d.cublas) CUBLAS_CHECK(cublasCreate(&d.cublas));
  if (d.cublas_stream != LaunchStream()) {
    CUBLAS_CHECK(cublasSetStream(d.cublas, LaunchStream()));
    d.cublas_stream = LaunchStream();
  }
  return d.cublas;
}

curandGenerator_t Caffe::curand_generator() {
  if (LaunchStream()) throw RuntimeFailure("random numbers cannot be recorded");
  curandGenerator_t& generator = device().curand;
  if (!generator) {
    CURAND_CHECK(curandCreateGenerator(&generator, CURAND_RNG_PSEUDO_DEFAULT));
    CURAND_CHECK(curandSetPseudoRandomGeneratorSeed(generator, random_seed()));
  }
  return generator;
}

cudnnHandle_t Caffe::cudnn_handle() {
  Device& d = device();
  if (!d.cudnn) CUDNN_CHECK(cudnnCreate(&d.cudnn));
  if (d.cudnn_stream != LaunchStream()) {
    CUDNN_CHECK(cudnnSetStream(d.cudnn, LaunchStream()));
    d.cudnn_stream = LaunchStream();
  }
  return d.cudnn;
}

void Caffe::SetDevice(const int device_id) {
  CheckId(device_id);
  device::Select(device_id);
  if (!Get().device_ || Get().device_->id == device_id) return;
  Get().device_.reset();
  graph_context = NewContext();
}

void Caffe::DeviceQuery() {
  CountDevices();
  const int id = device::Selected();
  cudaDeviceProp prop;
  CUDA_CHECK(cudaGetDeviceProperties(&prop, id));
  LOG(INFO) << "Device id:                     " << id;
  LOG(INFO) << "Major revision number:         " << prop.major;
  LOG(INFO) << "Minor revision number:         " << prop.minor;
  LOG(INFO) << "Name:                          " << prop.name;
  LOG(INFO) << "Total global memory:           " << prop.totalGlobalMem;
  LOG(INFO) << "Total shared memory per block: " << prop.sharedMemPerBlock;
  LOG(INFO) << "Total registers per block:     " << prop.regsPerBlock;
  LOG(INFO) << "Warp size:                     " << prop.warpSize;
  LOG(INFO) << "Maximum threads per block:     " << prop.maxThreadsPerBlock;
  LOG(INFO) << "Maximum dimension of block:    " << prop.maxThreadsDim[0] << ", "
            << prop.maxThreadsDim[1] << ", " << prop.maxThreadsDim[2];
  LOG(INFO) << "Maximum dimension of grid:     " << prop.maxGridSize[0] << ", "
            << prop.maxGridSize[1] << ", " << prop.maxGridSize[2];
  LOG(INFO) << "Total constant memory:         " << prop.totalConstMem;
  LOG(INFO) << "Number of multiprocessors:     " << prop.multiProcessorCount;
}

bool Caffe::CheckDevice(const int device_id) {
  if (device_id < 0 || device_id >= device::Count()) return false;
  const int before = device::Selected();
  const bool usable =
      cudaSetDevice(device_id) == cudaSuccess && cudaFree(nullptr) == cudaSuccess;
  cudaGetLastError();
  cudaSetDevice(before);
  return usable;
}

int Caffe::FindDevice(const int start_id) {
  for (int id = std::max(start_id, 0); id < device::Count(); ++id) {
    if (CheckDevice(id)) return id;
  }
  return -1;
}

void Caffe::SeedDevice() {
  if (Get().device_ && Get().device_->curand) {
    CURAND_CHECK(
        curandSetPseudoRandomGeneratorSeed(Get().device_->curand, random_seed()));
    CURAND_CHECK(curandSetGeneratorOffset(Get().device_->curand, 0));
  }
}

const char* cublasGetErrorString(cublasStatus_t error) {
  return cublasGetStatusString(error);
}

const char* curandGetErrorString(curandStatus_t error) {
  switch (error) {
    case CURAND_STATUS_SUCCESS:
      return "CURAND_STATUS_SUCCESS";
    case CURAND_STATUS_VERSION_MISMATCH:
      return "CURAND_STATUS_VERSION_MISMATCH";
    case CURAND_STATUS_NOT_INITIALIZED:
      return "CURAND_STATUS_NOT_INITIALIZED";
    case CURAND_STATUS_ALLOCATION_FAILED:
      return "CURAND_STATUS_ALLOCATION_FAILED";
    case CURAND_STATUS_TYPE_ERROR:
      return "CURAND_STATUS_TYPE_ERROR";
    case CURAND_STATUS_OUT_OF_RANGE:
      return "CURAND_STATUS_OUT_OF_RANGE";
    case CURAND_STATUS_LENGTH_NOT_MULTIPLE:
      return "CURAND_STATUS_LENGTH_NOT_MULTIPLE";
    case CURAND_STATUS_LAUNCH_FAILURE:
      return "CURAND_STATUS_LAUNCH_FAILURE";
    case CURAND_STATUS_INTERNAL_ERROR:
      return "CURAND_STATUS_INTERNAL_ERROR";
    default:
      return "unknown cuRAND status";
  }
}

namespace device {

bool Supported() { return true; }

void Require() {
  CheckId(Selected());
  // Makes the context, which is where a device that cannot be had says so.
  cudaError_t error = cudaFree(nullptr);
  if (error == cudaSuccess) error = StartNothing();
  if (error != cudaSuccess) ThrowUnusable(Str("GPU ", Selected()), error);
}

int Count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

int Selected() {
  int id = 0;
  CUDA_CHECK(cudaGetDevice(&id));
  return id;
}

void Select(int id) {
  const cudaError_t error = cudaSetDevice(id);
  if (error != cudaSuccess) ThrowUnusable(Str("GPU ", id), error);
}

std::uint64_t GraphContext() { return graph_context; }

void Synchronize() {
  if (LaunchStream()) throw RuntimeFailure("waiting for the GPU cannot be recorded");
  CUDA_CHECK(cudaDeviceSynchronize());
}
bool HasFailed() {
  // Nothing runs while it is recorded, and waiting would end that.
  return !LaunchStream() && cudaDeviceSynchronize() != cudaSuccess;
}

}  // namespace device
}  // namespace caffe
