#ifndef CUDA_EMULATION_RUNTIME_COROUTINE_H_
#define CUDA_EMULATION_RUNTIME_COROUTINE_H_

#include <cstddef>

namespace cuda_emulation::runtime {

/// A function with a stack of its own, which goes on where it stopped. A switch saves the
/// registers that a call keeps and takes nanoseconds; swapcontext() would ask the kernel
/// to save the signal mask each time.
class Coroutine {
 public:
  /// `main(argument)` starts at the first Resume() and never returns.
  Coroutine(std::size_t stack_bytes, void (*main)(void*), void* argument);
  /// Whatever is on its stack is forgotten, not destroyed.
  ~Coroutine();
  Coroutine(const Coroutine&) = delete;
  Coroutine& operator=(const Coroutine&) = delete;

  /// Goes on in the coroutine until it calls Suspend().
  void Resume();
  /// Goes back to who resumed it. From any stack: a signal's handler, or a coroutine that
  /// this one resumed, may leave both for good.
  void Suspend();

  /// Whether `address` is in the closed page below the stack.
  bool Overflows(const void* address) const;

 private:
  static void Main(Coroutine* self);

  void (*const main_)(void*);
  void* const argument_;
  const std::size_t guard_bytes_;
  const std::size_t bytes_;  // with the guard
  char* const memory_;
  void* stack_pointer_;
  void* resumer_;

  // What AddressSanitizer is told of the switches.
  const void* resumer_stack_ = nullptr;
  std::size_t resumer_stack_bytes_ = 0;
};

}  // namespace cuda_emulation::runtime

#endif  // CUDA_EMULATION_RUNTIME_COROUTINE_H_
