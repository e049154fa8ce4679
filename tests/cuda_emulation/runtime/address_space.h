#ifndef CUDA_EMULATION_RUNTIME_ADDRESS_SPACE_H_
#define CUDA_EMULATION_RUNTIME_ADDRESS_SPACE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>

namespace cuda_emulation::runtime {

/// A piece of device memory. It ends, rounded up to the 256 bytes to which CUDA aligns
/// memory, where its pages end, so that what runs past it meets a closed page.
struct Allocation {
  int device;
  std::uintptr_t begin;  // what the caller was given
  std::size_t bytes;     // what the caller asked for
  std::uintptr_t pages_begin, pages_end;
  bool open;

  std::uintptr_t end() const { return begin + bytes; }
  /// Lets the process use the pages, or not.
  void SetOpen(bool value);
  /// Whether the bytes around it are as they were; it must be open.
  bool SurroundingsIntact() const;
};

/// Lets the process use the pages that hold these bytes, or not.
void ProtectPages(std::uintptr_t address, std::size_t bytes, bool open);

/// The addresses of one device: a range that is reserved at first use, in which nothing
/// can be read or written but what SetOpen() opens. Addresses are used again only when
/// the range is used up, so that use of freed memory is found.
class AddressSpace {
 public:
  static constexpr std::size_t kRangeBytes = std::size_t{64} << 30;

  /// Fewer bytes are reserved where the process may not have so many.
  explicit AddressSpace(int device, std::size_t range_bytes = kRangeBytes)
      : device_(device), range_wanted_(range_bytes) {}
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  /// New memory, closed, which holds NaN; null if the machine has none.
  Allocation* Allocate(std::size_t bytes);
  void Free(Allocation* allocation);

  bool Contains(std::uintptr_t address) const {
    return address - range_begin_ < range_bytes_;
  }
  /// The allocation in whose pages `address` is; null if there is none.
  Allocation* Find(std::uintptr_t address);

  std::size_t used() const { return used_; }
  std::map<std::uintptr_t, Allocation>& allocations() { return allocations_; }

  /// What is at `address`, to say in a report.
  std::string Describe(std::uintptr_t address);

 private:
  struct Freed {
    std::uintptr_t begin, end;
    std::size_t bytes;
  };

  void Reserve();
  std::uintptr_t Place(std::size_t bytes);

  const int device_;
  const std::size_t range_wanted_;
  std::uintptr_t range_begin_ = 0;
  std::size_t range_bytes_ = 0;
  std::uintptr_t next_ = 0;
  std::size_t used_ = 0;
  std::map<std::uintptr_t, Allocation> allocations_;  // by the first page
  std::deque<Freed> freed_;                           // the latest
};

}  // namespace cuda_emulation::runtime

#endif  // CUDA_EMULATION_RUNTIME_ADDRESS_SPACE_H_
