#ifndef CUDA_EMULATION_RUNTIME_IMMORTAL_H_
#define CUDA_EMULATION_RUNTIME_IMMORTAL_H_

namespace cuda_emulation::runtime {

/// A global variable that is there before every constructor, and that is never destroyed:
/// static objects of a program may free their memory after all of the runtime's own.
template <typename T>
union Immortal {
  T value;

  constexpr Immortal() : value() {}
  ~Immortal() {}
};

}  // namespace cuda_emulation::runtime

#endif  // CUDA_EMULATION_RUNTIME_IMMORTAL_H_
