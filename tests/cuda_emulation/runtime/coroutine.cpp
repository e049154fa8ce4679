#include "coroutine.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Saves the registers that a called function must keep on the present stack, leaves that
// stack's pointer in *from, and takes registers and return address from the stack `to`.
extern "C" void CudaEmulationSwitch(void** from, void* to);
// Where the first switch to a new stack returns to: calls what it finds in one register
// with what is in another.
extern "C" void CudaEmulationStart();

namespace {
// Words of a saved stack, as the switch below takes them: their number, and which of them
// are the return address and the two registers of CudaEmulationStart.
#if defined(__x86_64__)
constexpr int kFrame = 7, kReturnTo = 6, kArgument = 5, kFunction = 4;
#elif defined(__aarch64__)
constexpr int kFrame = 20, kReturnTo = 11, kArgument = 0, kFunction = 1;
#else
#error "A switch between stacks is written for x86-64 and aarch64; add this processor's."
#endif
}  // namespace

#if defined(__x86_64__)
asm(R"(
.text
.globl CudaEmulationSwitch
.hidden CudaEmulationSwitch
.type CudaEmulationSwitch, @function
CudaEmulationSwitch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
.size CudaEmulationSwitch, .-CudaEmulationSwitch

.globl CudaEmulationStart
.hidden CudaEmulationStart
.type CudaEmulationStart, @function
CudaEmulationStart:
  movq %rbp, %rdi
  xorl %ebp, %ebp
  call *%rbx
  ud2
.size CudaEmulationStart, .-CudaEmulationStart
)");
#else
asm(R"(
.text
.globl CudaEmulationSwitch
.hidden CudaEmulationSwitch
.type CudaEmulationSwitch, %function
CudaEmulationSwitch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size CudaEmulationSwitch, .-CudaEmulationSwitch

.globl CudaEmulationStart
.hidden CudaEmulationStart
.type CudaEmulationStart, %function
CudaEmulationStart:
  mov x0, x19
  mov x29, xzr
  blr x20
  brk #0
.size CudaEmulationStart, .-CudaEmulationStart
)");
#endif

namespace cuda_emulation::runtime {
namespace {

constexpr std::size_t kCacheLine = 64, kColours = 64;

#ifdef __SANITIZE_ADDRESS__
void Leaving(void** fake_stack, const void* bottom, std::size_t bytes) {
  __sanitizer_start_switch_fiber(fake_stack, bottom, bytes);
}
void Arrived(void* fake_stack, const void** bottom, std::size_t* bytes) {
  __sanitizer_finish_switch_fiber(fake_stack, bottom, bytes);
}
/// The functions whose variables it watches there did not return.
void Forget(const void* stack, std::size_t bytes) {
  __asan_unpoison_memory_region(stack, bytes);
}
#else
void Leaving(void**, const void*, std::size_t) {}
void Arrived(void*, const void**, std::size_t*) {}
void Forget(const void*, std::size_t) {}
#endif

char* NewStack(std::size_t bytes, std::size_t guard) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, guard, PROT_NONE) != 0) {
    std::perror("cuda_emulation: no memory for a stack");
    std::abort();
  }
  return static_cast<char*>(memory);
}

}  // namespace

Coroutine::Coroutine(std::size_t stack_bytes, void (*main)(void*), void* argument)
    : main_(main),
      argument_(argument),
      guard_bytes_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))),
      bytes_(stack_bytes + guard_bytes_),
      memory_(NewStack(bytes_, guard_bytes_)) {
  // Tops at equal places of their pages would compete for the same lines of the cache.
  static std::size_t made = 0;
  const std::size_t offset = made++ % kColours * kCacheLine;
  void** frame = reinterpret_cast<void**>(memory_ + bytes_ - offset) - kFrame;
  frame[kReturnTo] = reinterpret_cast<void*>(&CudaEmulationStart);
  frame[kArgument] = this;
  frame[kFunction] = reinterpret_cast<void*>(&Main);
  stack_pointer_ = frame;
}

Coroutine::~Coroutine() {
  Forget(memory_, bytes_);
  munmap(memory_, bytes_);
}

void Coroutine::Main(Coroutine* self) {
  Arrived(nullptr, &self->resumer_stack_, &self->resumer_stack_bytes_);
  self->main_(self->argument_);
  std::abort();
}

void Coroutine::Resume() {
  void* fake_stack = nullptr;
  Leaving(&fake_stack, memory_ + guard_bytes_, bytes_ - guard_bytes_);
  CudaEmulationSwitch(&resumer_, stack_pointer_);
  Arrived(fake_stack, nullptr, nullptr);
}

void Coroutine::Suspend() {
  void* fake_stack = nullptr;
  Leaving(&fake_stack, resumer_stack_, resumer_stack_bytes_);
  CudaEmulationSwitch(&stack_pointer_, resumer_);
  Arrived(fake_stack, &resumer_stack_, &resumer_stack_bytes_);
}

bool Coroutine::Overflows(const void* address) const {
  const char* place = static_cast<const char*>(address);
  return place >= memory_ && place < memory_ + guard_bytes_;
}

}  // namespace cuda_emulation::runtime
