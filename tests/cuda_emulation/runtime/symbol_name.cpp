#include "symbol_name.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <link.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <vector>

namespace cuda_emulation::runtime {
namespace {

/// `count` values of T at `offset`; none if the file is shorter.
template <typename T>
std::vector<T> ReadAt(std::ifstream* file, std::uint64_t offset, std::size_t count) {
  std::vector<T> values(count);
  file->seekg(static_cast<std::streamoff>(offset));
  file->read(reinterpret_cast<char*>(values.data()),
             static_cast<std::streamsize>(count * sizeof(T)));
  if (!*file) values.clear();
  return values;
}

/// The name in the file's full table of symbols, which has those that are local to a
/// source, too; dladdr() knows those alone that other files can link to.
std::string NameInFile(const char* path, std::uintptr_t offset) {
  std::ifstream file(path, std::ios::binary);
  const auto header = ReadAt<ElfW(Ehdr)>(&file, 0, 1);
  if (header.empty()) return "";
  const auto sections = ReadAt<ElfW(Shdr)>(&file, header[0].e_shoff, header[0].e_shnum);
  for (const ElfW(Shdr) & section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    const ElfW(Shdr) & strings = sections[section.sh_link];
    const auto names = ReadAt<char>(&file, strings.sh_offset, strings.sh_size);
    for (const ElfW(Sym) & symbol : ReadAt<ElfW(Sym)>(
             &file, section.sh_offset, section.sh_size / sizeof(ElfW(Sym)))) {
      if ((symbol.st_info & 0xf) == STT_FUNC && symbol.st_value == offset &&
          symbol.st_name < names.size()) {
        return &names[symbol.st_name];
      }
    }
  }
  return "";
}

}  // namespace

std::string SymbolName(const void* address) {
  Dl_info info;
  link_map* map = nullptr;
  std::string name;
  if (dladdr1(address, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) != 0) {
    if (info.dli_sname && info.dli_saddr == address) {
      name = info.dli_sname;
    } else {
      // The table has addresses before the file was loaded somewhere.
      name = NameInFile(map->l_name[0] ? map->l_name : "/proc/self/exe",
                        reinterpret_cast<std::uintptr_t>(address) - map->l_addr);
    }
  }
  if (name.empty()) {
    char text[32];
    std::snprintf(text, sizeof(text), "at %p", address);
    return text;
  }
  const std::unique_ptr<char, void (*)(void*)> plain(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, nullptr), std::free);
  return plain ? plain.get() : name;
}

}  // namespace cuda_emulation::runtime
