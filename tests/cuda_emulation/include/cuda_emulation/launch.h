#ifndef CUDA_EMULATION_LAUNCH_H_
#define CUDA_EMULATION_LAUNCH_H_

// Kernels are started through these functions alone: <<<>>> is not C++.

#include <cstddef>
#include <functional>
#include <tuple>
#include <utility>

#include <driver_types.h>

namespace cuda_emulation {

/// Enqueues a grid that runs `thread` once for every thread. `kernel` gives the name in
/// reports; device pointers among the bytes of `arguments` are what it will use.
cudaError_t LaunchGrid(const void* kernel, const cudaLaunchConfig_t& config,
                       std::function<void()> thread, const void* arguments,
                       std::size_t bytes);

// C++11 has no std::index_sequence.
template <std::size_t... I>
struct Indices {};
template <std::size_t N, std::size_t... I>
struct IndicesBelow : IndicesBelow<N - 1, N - 1, I...> {};
template <std::size_t... I>
struct IndicesBelow<0, I...> {
  typedef Indices<I...> Type;
};

/// A kernel with a copy of its arguments, as a launch makes one.
template <typename... Params>
class KernelCall {
 public:
  KernelCall(void (*kernel)(Params...), void** arguments)
      : KernelCall(kernel, arguments, All()) {}
  void operator()() const { Call(All()); }
  const std::tuple<Params...>& arguments() const { return arguments_; }

 private:
  typedef typename IndicesBelow<sizeof...(Params)>::Type All;

  template <std::size_t... I>
  KernelCall(void (*kernel)(Params...), void** arguments, Indices<I...>)
      : kernel_(kernel), arguments_(*static_cast<Params*>(arguments[I])...) {
    (void)arguments;  // of a kernel without parameters
  }
  template <std::size_t... I>
  void Call(Indices<I...>) const {
    kernel_(std::get<I>(arguments_)...);
  }

  void (*kernel_)(Params...);
  std::tuple<Params...> arguments_;
};

}  // namespace cuda_emulation

template <typename... Params>
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config,
                                void (*kernel)(Params...), void** args) {
  const cuda_emulation::KernelCall<Params...> call(kernel, args);
  const bool any = sizeof...(Params) > 0;
  return cuda_emulation::LaunchGrid(reinterpret_cast<const void*>(kernel), *config, call,
                                    any ? &call.arguments() : nullptr,
                                    any ? sizeof(call.arguments()) : 0);
}

/// `sharedMem` must be 0: a kernel's shared memory is static, since
/// `extern __shared__` arrays of a size given at the launch are not C++.
template <typename... Params>
cudaError_t cudaLaunchKernel(void (*kernel)(Params...), dim3 gridDim, dim3 blockDim,
                             void** args, std::size_t sharedMem = 0,
                             cudaStream_t stream = nullptr) {
  const cudaLaunchConfig_t config = {gridDim, blockDim, sharedMem, stream, nullptr, 0};
  return cudaLaunchKernelExC(&config, kernel, args);
}

namespace cuda_emulation {

template <typename... Params, std::size_t... I>
cudaError_t LaunchTuple(const cudaLaunchConfig_t* config, void (*kernel)(Params...),
                        std::tuple<Params...> arguments, Indices<I...>) {
  (void)arguments;  // of a kernel without parameters
  void* addresses[] = {static_cast<void*>(&std::get<I>(arguments))..., nullptr};
  return cudaLaunchKernelExC(config, kernel, addresses);
}

}  // namespace cuda_emulation

/// Arguments convert to the kernel's parameter types.
template <typename... Params, typename... Args>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config,
                               void (*kernel)(Params...), Args&&... args) {
  return cuda_emulation::LaunchTuple(
      config, kernel, std::tuple<Params...>(std::forward<Args>(args)...),
      typename cuda_emulation::IndicesBelow<sizeof...(Params)>::Type());
}

#endif  // CUDA_EMULATION_LAUNCH_H_
