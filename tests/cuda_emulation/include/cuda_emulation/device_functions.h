#ifndef CUDA_EMULATION_DEVICE_FUNCTIONS_H_
#define CUDA_EMULATION_DEVICE_FUNCTIONS_H_

// What code of a kernel calls.

#include <cmath>
#include <cstring>
#include <type_traits>

#include <vector_types.h>

// Set before a thread of a kernel goes on. One block runs at a time in the process.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
constexpr int warpSize = 32;

namespace cuda_emulation {

/// The place of the running thread in its warp.
int Lane();

/// Waits for all threads of the block.
void SyncBlock();

/// Leaves `size` bytes of this thread, at most 16, for the others of its warp, waits
/// until all have, and takes what thread `lane` of the warp left: its own if there is no
/// such thread. `mask` must name the whole warp; others are not emulated.
void Exchange(unsigned int mask, const void* mine, void* theirs, std::size_t size,
              int lane);

/// Bit i is set if thread i of the warp came with `predicate`.
unsigned int Ballot(unsigned int mask, bool predicate);

/// What can be shuffled: numbers, and the types of cuda_fp16.h and cuda_bf16.h.
template <typename T>
struct IsShuffled : std::is_arithmetic<T> {};

template <typename T>
T Shuffle(unsigned int mask, T value, int lane) {
  static_assert(IsShuffled<T>::value, "as CUDA's own");
  T result;
  Exchange(mask, &value, &result, sizeof(T), lane);
  return result;
}

template <typename T>
T Exchanged(T* address, T value) {
  const T old = *address;
  *address = value;
  return old;
}

template <typename To, typename From>
To BitsAs(From value) {
  static_assert(sizeof(To) == sizeof(From), "the same bits");
  To result;
  std::memcpy(&result, &value, sizeof(To));
  return result;
}

}  // namespace cuda_emulation

// Waiting

inline void __syncthreads() { cuda_emulation::SyncBlock(); }
inline void __syncwarp(unsigned int mask = 0xffffffffu) {
  cuda_emulation::Ballot(mask, true);
}
inline void __threadfence() {}
inline void __threadfence_block() {}

// Warps. `width` divides a warp into parts that shuffle among themselves.

template <typename T>
T __shfl_sync(unsigned int mask, T value, int source, int width = warpSize) {
  const int first = cuda_emulation::Lane() / width * width;
  return cuda_emulation::Shuffle(mask, value, first + (source & (width - 1)));
}
template <typename T>
T __shfl_down_sync(unsigned int mask, T value, unsigned int delta, int width = warpSize) {
  const int lane = cuda_emulation::Lane();
  const bool inside = delta < static_cast<unsigned int>(width - lane % width);
  return cuda_emulation::Shuffle(mask, value,
                                 inside ? lane + static_cast<int>(delta) : lane);
}
template <typename T>
T __shfl_up_sync(unsigned int mask, T value, unsigned int delta, int width = warpSize) {
  const int lane = cuda_emulation::Lane();
  const bool inside = delta <= static_cast<unsigned int>(lane % width);
  return cuda_emulation::Shuffle(mask, value,
                                 inside ? lane - static_cast<int>(delta) : lane);
}
/// A lane outside the own part of the warp gives the own value if it is of a later part.
template <typename T>
T __shfl_xor_sync(unsigned int mask, T value, int lanes, int width = warpSize) {
  const int lane = cuda_emulation::Lane();
  const int source = lane ^ lanes;
  const bool later = source >= lane / width * width + width;
  return cuda_emulation::Shuffle(mask, value, later ? lane : source);
}
inline unsigned int __ballot_sync(unsigned int mask, int predicate) {
  return cuda_emulation::Ballot(mask, predicate != 0);
}
inline int __any_sync(unsigned int mask, int predicate) {
  return cuda_emulation::Ballot(mask, predicate != 0) != 0;
}
inline int __all_sync(unsigned int mask, int predicate) {
  return cuda_emulation::Ballot(mask, predicate == 0) == 0;
}

// Atomics: threads change only where they wait. They return what was there before.

#define CUDA_EMULATION_ATOMIC(name, type, result)              \
  inline type name(type* address, type value) {                \
    return cuda_emulation::Exchanged<type>(address, (result)); \
  }
CUDA_EMULATION_ATOMIC(atomicAdd, int, *address + value)
CUDA_EMULATION_ATOMIC(atomicAdd, unsigned int, *address + value)
CUDA_EMULATION_ATOMIC(atomicAdd, unsigned long long, *address + value)
CUDA_EMULATION_ATOMIC(atomicAdd, float, *address + value)
CUDA_EMULATION_ATOMIC(atomicAdd, double, *address + value)
CUDA_EMULATION_ATOMIC(atomicMax, int, *address < value ? value : *address)
CUDA_EMULATION_ATOMIC(atomicMax, unsigned int, *address < value ? value : *address)
CUDA_EMULATION_ATOMIC(atomicMin, int, value < *address ? value : *address)
CUDA_EMULATION_ATOMIC(atomicMin, unsigned int, value < *address ? value : *address)
CUDA_EMULATION_ATOMIC(atomicExch, int, value)
CUDA_EMULATION_ATOMIC(atomicExch, unsigned int, value)
CUDA_EMULATION_ATOMIC(atomicExch, unsigned long long, value)
CUDA_EMULATION_ATOMIC(atomicExch, float, value)
#undef CUDA_EMULATION_ATOMIC

#define CUDA_EMULATION_ATOMIC_CAS(type)                                             \
  inline type atomicCAS(type* address, type compare, type value) {                  \
    return cuda_emulation::Exchanged<type>(address,                                 \
                                           *address == compare ? value : *address); \
  }
CUDA_EMULATION_ATOMIC_CAS(int)
CUDA_EMULATION_ATOMIC_CAS(unsigned int)
CUDA_EMULATION_ATOMIC_CAS(unsigned long long)
#undef CUDA_EMULATION_ATOMIC_CAS

// Memory and bits

template <typename T>
T __ldg(const T* address) {
  return *address;
}
inline int __float_as_int(float value) { return cuda_emulation::BitsAs<int>(value); }
inline unsigned int __float_as_uint(float value) {
  return cuda_emulation::BitsAs<unsigned int>(value);
}
inline float __int_as_float(int bits) { return cuda_emulation::BitsAs<float>(bits); }
inline float __uint_as_float(unsigned int bits) {
  return cuda_emulation::BitsAs<float>(bits);
}
inline long long __double_as_longlong(double value) {
  return cuda_emulation::BitsAs<long long>(value);
}
inline double __longlong_as_double(long long bits) {
  return cuda_emulation::BitsAs<double>(bits);
}
inline int __popc(unsigned int bits) { return __builtin_popcount(bits); }
inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
inline int __clz(int bits) {
  return bits == 0 ? 32 : __builtin_clz(static_cast<unsigned int>(bits));
}
inline int __ffs(int bits) { return __builtin_ffs(bits); }

// Numbers. The fast forms are as exact as the others here.

inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __powf(float x, float y) { return std::pow(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frsqrt_rn(float x) { return static_cast<float>(rsqrt(x)); }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }

#define CUDA_EMULATION_MIN_MAX(type)                        \
  inline type min(type a, type b) { return b < a ? b : a; } \
  inline type max(type a, type b) { return a < b ? b : a; }
CUDA_EMULATION_MIN_MAX(int)
CUDA_EMULATION_MIN_MAX(unsigned int)
CUDA_EMULATION_MIN_MAX(long)
CUDA_EMULATION_MIN_MAX(unsigned long)
CUDA_EMULATION_MIN_MAX(long long)
CUDA_EMULATION_MIN_MAX(unsigned long long)
#undef CUDA_EMULATION_MIN_MAX
// A NaN counts as missing.
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }
inline double min(double a, double b) { return std::fmin(a, b); }
inline double max(double a, double b) { return std::fmax(a, b); }

#endif  // CUDA_EMULATION_DEVICE_FUNCTIONS_H_
