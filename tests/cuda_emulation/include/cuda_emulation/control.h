#ifndef CUDA_EMULATION_CONTROL_H_
#define CUDA_EMULATION_CONTROL_H_

// What CUDA does not have: how the emulated libraries hand their work to the emulated
// devices, and what tests set and ask.

#include <cstddef>
#include <functional>
#include <string>

#include <driver_types.h>

namespace cuda_emulation {

// For libraries

/// Has `work` done in the order of `stream`, on the device of that stream, or records it
/// if the stream is being captured; it may then run many times, or never.
///
/// `work` is given by value what it needs: it runs after the call returned, with access
/// to device memory, on one thread. It must not wait for other threads or streams:
/// cudaStreamWaitEvent() is for that. `name` lives forever and names it in reports.
cudaError_t Enqueue(cudaStream_t stream, std::function<void()> work,
                    const char* name = "a library's work");

/// Whether `pointer` is into memory made by cudaMalloc().
bool IsDevicePointer(const void* pointer);

/// Whether the `bytes` from `pointer` on are all in one piece of memory of cudaMalloc().
bool IsDeviceRange(const void* pointer, std::size_t bytes);

/// Waits for the work of the current device. Its memory can be used by this thread while
/// one of these lives; meanwhile other threads wait, and calls of CUDA are refused.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;

 private:
  bool outermost_;
};

// For tests

/// Makes all devices and settings as they were at first, and the calling thread use
/// device 0.
void ResetAll();

/// The number of devices, 0 to 8. Initially CUDA_EMULATION_DEVICES of the environment,
/// or 2.
void SetDeviceCount(int count);

/// The memory of each device: more than `bytes` of live allocations are refused.
void SetDeviceMemory(std::size_t bytes);

/// More than `bytes` of page-locked memory at once are refused, as by a system with such
/// a limit.
void SetLockableMemory(std::size_t bytes);

/// What cudaDriverGetVersion() and cudaRuntimeGetVersion() say, like 13000. With a driver
/// of an older major version, or 0 for none, calls fail as CUDA's do.
void SetVersions(int driver, int runtime);

/// Whether devices can be peers at all.
void SetPeersPossible(bool possible);

/// In which order blocks run, and threads of a block as far as they do not wait. A kernel
/// whose results depend on it is wrong, or says so.
enum class Order { kForward, kReverse, kShuffled };
void SetOrder(Order order, unsigned seed = 0);

/// Pieces of memory that cudaMalloc() made on `device` and nobody freed.
std::size_t LiveAllocations(int device);

/// Calls that gave devices work, and bytes that they sent them from the host: kernels,
/// copies, what libraries do. A graph is one call, what is recorded none.
struct Given {
  std::size_t calls = 0, bytes_sent = 0;
};
/// Since the process began.
Given CountGiven();

/// The sentence that was printed about the last fault of device code; empty before.
std::string LastFault();

}  // namespace cuda_emulation

/// How often a program has waited for a device, a stream or an event. By its plain name
/// programs in other languages find it, too.
extern "C" unsigned long cuda_emulation_waits();

#endif  // CUDA_EMULATION_CONTROL_H_
