// Grids, blocks, threads, and what threads of a block do together.

#include <cstdint>
#include <numeric>
#include <stdexcept>

#include "test_support.h"

namespace cuda_emulation::test {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr unsigned kAll = 0xffffffffu;

class KernelsTest : public RuntimeTest {};

__global__ void CountVisits(int* visits) {
  const dim3 threads = blockDim;
  const unsigned thread =
      (threadIdx.z * threads.y + threadIdx.y) * threads.x + threadIdx.x;
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  ++visits[block * threads.x * threads.y * threads.z + thread];
}

TEST_F(KernelsTest, EveryThreadRunsOnce) {
  struct Shape {
    dim3 grid, block;
  };
  for (const Order order : {Order::kForward, Order::kReverse, Order::kShuffled}) {
    SetOrder(order, 5);
    for (const Shape& shape : {Shape{1, 1}, Shape{7, 33}, Shape{{3, 2, 4}, {5, 3, 2}},
                               Shape{2, 1024}, Shape{{1, 1, 3}, {1, 1, 64}}}) {
      const unsigned count = shape.grid.x * shape.grid.y * shape.grid.z * shape.block.x *
                             shape.block.y * shape.block.z;
      int* visits = NewArrayOf(std::vector<int>(count, 0));
      EXPECT_CUDA(Launch(CountVisits, shape.grid, shape.block, visits));
      EXPECT_EQ(Read(visits, count), std::vector<int>(count, 1));
    }
  }
}

__global__ void Append(int* list) {
  list[1 + list[0]++] = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
}

TEST_F(KernelsTest, OrderCanBeChosen) {
  const auto order_of = [](Order order, unsigned seed) {
    SetOrder(order, seed);
    int* list = NewArrayOf(std::vector<int>(7, 0));
    EXPECT_CUDA(Launch(Append, 2, 3, list));
    std::vector<int> values = Read(list, 7);
    values.erase(values.begin());
    return values;
  };
  EXPECT_THAT(order_of(Order::kForward, 0), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(order_of(Order::kReverse, 0), ElementsAre(5, 4, 3, 2, 1, 0));
  EXPECT_EQ(order_of(Order::kShuffled, 1), order_of(Order::kShuffled, 1));
  bool differs = false;
  for (unsigned seed = 1; seed < 9; ++seed) {
    differs |= order_of(Order::kShuffled, seed) != order_of(Order::kForward, 0);
  }
  EXPECT_TRUE(differs);
}

__global__ void Reverse(int* values) {
  __shared__ int copy[1024];
  const unsigned last = blockDim.x - 1;
  for (int round = 0; round < 3; ++round) {
    copy[threadIdx.x] = values[threadIdx.x];
    __syncthreads();
    values[threadIdx.x] = copy[last - threadIdx.x];
    __syncthreads();
  }
}

TEST_F(KernelsTest, BarriersSeparateWhatThreadsDo) {
  for (const Order order : {Order::kForward, Order::kReverse, Order::kShuffled}) {
    SetOrder(order);
    for (const int threads : {1, 31, 32, 512, 1024}) {
      std::vector<int> values(threads);
      std::iota(values.begin(), values.end(), 0);
      int* device = NewArrayOf(values);
      EXPECT_CUDA(Launch(Reverse, 1, threads, device));
      EXPECT_THAT(Read(device, threads),
                  ElementsAreArray(values.rbegin(), values.rend()));
    }
  }
}

enum class Shuffled { kFrom, kDown, kUp, kXor };

__global__ void Shuffles(Shuffled kind, int argument, int width, int* out) {
  const int thread = static_cast<int>(
      (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x);
  switch (kind) {
    case Shuffled::kFrom:
      out[thread] = __shfl_sync(kAll, thread, argument, width);
      break;
    case Shuffled::kDown:
      out[thread] = __shfl_down_sync(kAll, thread, argument, width);
      break;
    case Shuffled::kUp:
      out[thread] = __shfl_up_sync(kAll, thread, argument, width);
      break;
    case Shuffled::kXor:
      out[thread] = __shfl_xor_sync(kAll, thread, argument, width);
      break;
  }
}

TEST_F(KernelsTest, ShufflesStayInTheirPartOfTheWarp) {
  // The lane of the part from which CUDA's guide has lane `lane` take; outside: itself.
  const auto source = [](Shuffled kind, int lane, int argument, int width) {
    const int part = lane / width;
    int from = lane;
    if (kind == Shuffled::kFrom) return part * width + argument % width;
    if (kind == Shuffled::kDown) from = lane + argument;
    if (kind == Shuffled::kUp) from = lane - argument;
    if (kind == Shuffled::kXor) from = lane ^ argument;
    const bool outside =
        kind == Shuffled::kXor ? from / width > part : from < 0 || from / width != part;
    return outside ? lane : from;
  };
  for (const Shuffled kind :
       {Shuffled::kFrom, Shuffled::kDown, Shuffled::kUp, Shuffled::kXor}) {
    for (const int width : {32, 16, 8, 2}) {
      for (const int argument : {0, 1, 5, 16}) {
        int* out = NewArray<int>(64);
        EXPECT_CUDA(Launch(Shuffles, 1, dim3(16, 2, 2), kind, argument, width, out));
        const std::vector<int> values = Read(out, 64);
        for (int i = 0; i < 64; ++i) {
          EXPECT_EQ(values[i], i / 32 * 32 + source(kind, i % 32, argument, width))
              << static_cast<int>(kind) << " of width " << width << " by " << argument;
        }
      }
    }
  }
}

__global__ void Votes(unsigned* ballots, int* any, int* all) {
  const int i = static_cast<int>(threadIdx.x);
  ballots[i] = __ballot_sync(kAll, i % 3 == 0);
  any[i] = __any_sync(kAll, i == 33);
  __syncwarp();
  all[i] = __all_sync(kAll, i != 33);
}

TEST_F(KernelsTest, WarpsVoteByThemselves) {
  unsigned* ballots = NewArray<unsigned>(40);
  int *any = NewArray<int>(40), *all = NewArray<int>(40);
  EXPECT_CUDA(Launch(Votes, 1, 40, ballots, any, all));  // a whole warp and eight threads
  unsigned expected[2] = {};
  for (int i = 0; i < 40; ++i) {
    if (i % 3 == 0) expected[i / 32] |= 1u << (i % 32);
  }
  const auto ballot = Read(ballots, 40);
  const auto some = Read(any, 40), every = Read(all, 40);
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(ballot[i], expected[i / 32]);
    EXPECT_EQ(some[i], i >= 32);
    EXPECT_EQ(every[i], i < 32);
  }
}

template <typename T>
__global__ void SumAll(const T* values, T* sum) {
  atomicAdd(sum, values[blockIdx.x * blockDim.x + threadIdx.x]);
}

template <typename T>
void TestSum() {
  std::vector<T> values(96);
  std::iota(values.begin(), values.end(), T(1));
  T* sum = NewArrayOf(std::vector<T>{0});
  EXPECT_CUDA(Launch(SumAll<T>, 3, 32, NewArrayOf(values), sum));
  EXPECT_EQ(Read(sum, 1)[0], T(96 * 97 / 2));
}

TEST_F(KernelsTest, AtomicsAddUp) {
  TestSum<int>();
  TestSum<unsigned>();
  TestSum<unsigned long long>();
  TestSum<float>();
  TestSum<double>();
}

__global__ void OtherAtomics(int* values, unsigned* words, int* before) {
  before[0] = atomicMax(&values[0], 7);
  before[1] = atomicMin(&values[1], 7);
  before[2] = atomicExch(&values[2], 7);
  before[3] = atomicCAS(&values[3], 4, 7);
  before[4] = atomicCAS(&values[4], 9, 7);
  atomicMax(&words[0], 0x80000000u);
  atomicMin(&words[1], 0x80000000u);
}

TEST_F(KernelsTest, AtomicsReturnWhatWasThere) {
  int* values = NewArrayOf<int>({1, 2, 3, 4, 5});
  unsigned* words = NewArrayOf<unsigned>({1, 1});
  int* before = NewArray<int>(5);
  EXPECT_CUDA(Launch(OtherAtomics, 1, 1, values, words, before));
  EXPECT_THAT(Read(values, 5), ElementsAre(7, 2, 7, 7, 5));
  EXPECT_THAT(Read(before, 5), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(Read(words, 2), ElementsAre(0x80000000u, 1u));
}

__global__ void UseBits(const float* in, int* out) {
  out[0] = __float_as_int(__ldg(in));
  out[1] = __popc(0xf0fu) + __clz(1) + __ffs(8);
  out[2] = static_cast<int>(max(min(3, 5), 2));
  out[3] = static_cast<int>(4 * rsqrtf(4.f) + 8 * rsqrt(16.0));
  out[4] = __int_as_float(__float_as_int(5.f)) ==
           __longlong_as_double(__double_as_longlong(5.0));
}

TEST_F(KernelsTest, FunctionsOfNumbersAndBits) {
  int* out = NewArray<int>(5);
  EXPECT_CUDA(Launch(UseBits, 1, 1, NewArrayOf<float>({1.f}), out));
  EXPECT_THAT(Read(out, 5), ElementsAre(0x3f800000, 8 + 31 + 4, 3, 4, 1));
}

struct Wide {
  double a;
  int* out;
  float4 b;
};
__global__ void TakeStruct(const Wide wide, char c) {
  *wide.out = static_cast<int>(wide.a + wide.b.w) + c;
}

TEST_F(KernelsTest, ArgumentsAreCopiedAtTheLaunch) {
  int* out = NewArray<int>(1);
  Wide wide = {1, out, make_float4(0, 0, 0, 2)};
  char c = 3;
  void* addresses[] = {&wide, &c};
  EXPECT_CUDA(cudaLaunchKernel(TakeStruct, dim3(1), dim3(1), addresses));
  wide.a = 100;
  c = 100;
  EXPECT_EQ(Read(out, 1)[0], 6);
}

TEST_F(KernelsTest, LaunchesThatNoDeviceTakesAreRefused) {
  int* list = NewArray<int>(1);
  for (const auto& [grid, block] : {std::pair<dim3, dim3>{1, 1025},
                                    {0, 1},
                                    {1, 0},
                                    {{1, 65536, 1}, 1},
                                    {1, {1, 1, 65}},
                                    {1, {64, 32}}}) {
    EXPECT_EQ(Launch(Append, grid, block, list), cudaErrorInvalidConfiguration);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
    EXPECT_CUDA(cudaGetLastError());
  }
  void* addresses[] = {&list};
  EXPECT_EQ(cudaLaunchKernel(Append, dim3(1), dim3(1), addresses, 16),
            cudaErrorNotSupported);
  EXPECT_EQ(
      cudaLaunchKernel(static_cast<void (*)(int*)>(nullptr), dim3(1), dim3(1), addresses),
      cudaErrorInvalidDeviceFunction);
}

__global__ void BarrierInOneBranch() {
  if (threadIdx.x % 2 == 0) __syncthreads();
}
__global__ void BarrierAndShuffle() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncwarp();
    __syncthreads();
    __syncthreads();
  }
}
__global__ void HalfWarpShuffles() { __shfl_sync(0xffffu, 1, 0); }
__global__ void Throws() { throw std::runtime_error("no kernel throws"); }

/// Runs a kernel that does wrong, and checks the sentence and the error that stay.
template <typename... Params, typename... Args>
void ExpectFault(cudaError_t error, const std::vector<std::string>& words,
                 void (*kernel)(Params...), dim3 block, Args... args) {
  EXPECT_CUDA(Launch(kernel, 2, block, args...));
  EXPECT_EQ(cudaDeviceSynchronize(), error);
  for (const std::string& word : words) EXPECT_THAT(LastFault(), HasSubstr(word));
  EXPECT_EQ(cudaGetLastError(), error);
  EXPECT_EQ(cudaGetLastError(), error) << "it stays";
  int* more = nullptr;
  EXPECT_EQ(cudaMalloc(&more, sizeof(int)), error);
  EXPECT_CUDA(cudaDeviceReset());
  EXPECT_EQ(cudaGetLastError(), error) << "of the call before";
  EXPECT_CUDA(cudaGetLastError());
}

TEST_F(KernelsTest, BarriersThatSomeThreadsMissAreFound) {
  ExpectFault(cudaErrorLaunchFailure,
              {"BarrierInOneBranch()", "block (0, 0, 0), thread (0, 0, 0)",
               "at a barrier of its block", "thread (1, 0, 0) has ended"},
              BarrierInOneBranch, 32);
  ExpectFault(cudaErrorLaunchFailure,
              {"BarrierAndShuffle()", "thread (32, 0, 0)", "thread (0, 0, 0) has ended"},
              BarrierAndShuffle, 64);
  ExpectFault(cudaErrorNotSupported, {"HalfWarpShuffles()", "a part of a warp"},
              HalfWarpShuffles, 32);
  ExpectFault(cudaErrorLaunchFailure, {"Throws()", "no kernel throws"}, Throws, 1);
}

__global__ void ReadAt(const int* values, long i, int* out) {
  if (threadIdx.x == 3) *out = values[i];
}
__global__ void WriteAt(int* values, long i) {
  if (threadIdx.x == 3) values[i] = -1;
}
__global__ void Recurse(int* out, int depth) {
  volatile char frame[1024];
  frame[0] = 0;
  if (depth > 0) Recurse(out, depth - 1);
  *out = frame[0];
}

TEST_F(KernelsTest, AccessOutsideOfMemoryIsFound) {
  constexpr std::size_t kCount = 1024;  // bytes of a multiple of 256: the end is exact
  int* out = NewArray<int>(1);
  ExpectFault(cudaErrorIllegalAddress,
              {"kernel", "ReadAt(int const*, long, int*)", "block (0, 0, 0)",
               "thread (3, 0, 0)", "0 bytes past the end of an allocation of 4096 bytes"},
              ReadAt, 32, NewArray<int>(kCount), long{kCount}, out);
  ExpectFault(cudaErrorIllegalAddress, {"WriteAt", "40 bytes past the end"}, WriteAt, 32,
              NewArray<int>(kCount), long{kCount} + 10);
  ExpectFault(cudaErrorIllegalAddress, {"WriteAt", "4 bytes before"}, WriteAt, 32,
              NewArray<int>(kCount), -1L);
  ExpectFault(cudaErrorIllegalAddress, {"WriteAt", "no device memory"}, WriteAt, 32,
              reinterpret_cast<int*>(std::uintptr_t{4096}), 0L);
  ExpectFault(cudaErrorIllegalAddress, {"Recurse", "stack is too small"}, Recurse, 1,
              NewArray<int>(1), 1 << 20);
}

TEST_F(KernelsTest, WritesJustOutsideOfMemoryAreFound) {
  ExpectFault(cudaErrorIllegalAddress,
              {"WriteAt", "wrote just outside of an allocation of 12 bytes"}, WriteAt, 32,
              NewArray<int>(3), 3L);
  ExpectFault(cudaErrorIllegalAddress,
              {"WriteAt", "wrote just outside of an allocation of 12 bytes"}, WriteAt, 32,
              NewArray<int>(3), -1L);
}

TEST_F(KernelsTest, UseOfFreedMemoryIsFound) {
  int* values = NewArray<int>(100);
  EXPECT_CUDA(cudaFree(values));
  // Not even a later allocation is taken for it.
  NewArray<int>(100);
  ExpectFault(cudaErrorIllegalAddress,
              {"WriteAt", "freed memory, once an allocation of 400 bytes"}, WriteAt, 32,
              values, 0L);
}

TEST_F(KernelsTest, AFaultIsOfItsDeviceAlone) {
  EXPECT_CUDA(Launch(BarrierInOneBranch, 1, 32));
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  EXPECT_CUDA(cudaSetDevice(1));
  int* values = NewArrayOf<int>({1});
  EXPECT_CUDA(Launch(AddOne, 1, 1, 1, values));
  EXPECT_EQ(Read(values, 1)[0], 2);
}

}  // namespace
}  // namespace cuda_emulation::test
