#include "caffe/util/shared_object.hpp"

#include <link.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "caffe/error.hpp"
#include "caffe/util/input_file.hpp"

namespace caffe {
namespace {

using FileHeader = ElfW(Ehdr);
using Segment = ElfW(Phdr);
using Entry = ElfW(Dyn);

constexpr unsigned char kClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
// Far above any real file; what is read into memory stays below it.
constexpr std::uint64_t kMostTableBytes = 1 << 20;
constexpr std::size_t kMostNameBytes = 4096;

class Reader {
 public:
  explicit Reader(const std::string& path) : file_(path) {}

  [[noreturn]] void Refuse(const std::string& what) const {
    throw FileError(Str("'", file_.path(),
                        "' is not a shared object that can be loaded: ", what,
                        "; expected a library made with 'caffe build-plugin'"));
  }

  /// `count` records of type T at `offset`.
  template <typename T>
  std::vector<T> Table(std::uint64_t offset, std::uint64_t count,
                       const char* name) const {
    if (count > kMostTableBytes / sizeof(T)) Refuse(Str("its ", name, " is too long"));
    std::vector<T> table(count);
    if (ReadAt(offset, table.data(), count * sizeof(T)) != count * sizeof(T)) {
      Refuse(Str("it ends inside its ", name));
    }
    return table;
  }

  std::string Name(std::uint64_t offset) const {
    std::string name(kMostNameBytes, '\0');
    name.resize(ReadAt(offset, name.data(), name.size()));
    const std::size_t end = name.find('\0');
    if (end == std::string::npos) Refuse("it ends inside a name");
    return name.substr(0, end);
  }

 private:
  /// The bytes read: fewer than asked for only at the end of the file.
  std::size_t ReadAt(std::uint64_t offset, void* to, std::size_t size) const {
    if (file_.size() < 0 || offset > static_cast<std::uint64_t>(file_.size())) return 0;
    std::size_t done = 0;
    while (done < size) {
      const ssize_t got = ::pread(file_.fd(), static_cast<char*>(to) + done, size - done,
                                  static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  InputFile file_;
};

/// Where in the file the byte lies that is loaded at `address`.
std::uint64_t FileOffset(const Reader& reader, const std::vector<Segment>& segments,
                         std::uint64_t address) {
  for (const Segment& segment : segments) {
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
        address - segment.p_vaddr < segment.p_filesz) {
      return segment.p_offset + (address - segment.p_vaddr);
    }
  }
  reader.Refuse("its string table is in none of its segments");
}

}  // namespace

SharedObject ReadSharedObject(const std::string& path) {
  const Reader reader(path);
  const FileHeader header = reader.Table<FileHeader>(0, 1, "header")[0];
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    reader.Refuse("its first bytes are not those of one");
  }
  if (header.e_ident[EI_CLASS] != kClass) reader.Refuse("it is for another machine");
  if (header.e_type == ET_REL) reader.Refuse("it is an object file not linked yet");
  if (header.e_type != ET_DYN) reader.Refuse("it is a program or a core file");
  if (header.e_phentsize != sizeof(Segment)) reader.Refuse("its header is damaged");

  const auto segments =
      reader.Table<Segment>(header.e_phoff, header.e_phnum, "program header");
  SharedObject object;
  for (const Segment& segment : segments) {
    if (segment.p_type != PT_DYNAMIC) continue;
    const auto entries = reader.Table<Entry>(
        segment.p_offset, segment.p_filesz / sizeof(Entry), "dynamic section");
    std::uint64_t strings = 0;
    for (const Entry& entry : entries) {
      if (entry.d_tag == DT_STRTAB) {
        strings = FileOffset(reader, segments, entry.d_un.d_ptr);
      }
    }
    for (const Entry& entry : entries) {
      if (entry.d_tag == DT_NULL) break;
      if (entry.d_tag != DT_NEEDED && entry.d_tag != DT_SONAME) continue;
      const std::string name = reader.Name(strings + entry.d_un.d_val);
      if (entry.d_tag == DT_SONAME) {
        object.soname = name;
      } else {
        object.needed.push_back(name);
      }
    }
    return object;
  }
  reader.Refuse("it has no dynamic section");
}

}  // namespace caffe
