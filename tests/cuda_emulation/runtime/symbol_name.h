#ifndef CUDA_EMULATION_RUNTIME_SYMBOL_NAME_H_
#define CUDA_EMULATION_RUNTIME_SYMBOL_NAME_H_

#include <string>

namespace cuda_emulation::runtime {

/// The name of the function at `address` as in C++ source, also of one that is local to
/// its file, unless the program was stripped: then the address.
std::string SymbolName(const void* address);

}  // namespace cuda_emulation::runtime

#endif  // CUDA_EMULATION_RUNTIME_SYMBOL_NAME_H_
