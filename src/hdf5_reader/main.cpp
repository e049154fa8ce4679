// Copies the numbers and names of an HDF5 file, within limits of memory and time. If
// damage to the file makes HDF5 crash, it crashes this process and no other; its caller
// is src/caffe/util/hdf5_guard.cpp. Of many numbers that are stored one behind the other,
// as snapshots are, the copy only has the place in FILE: reading them takes no parsing.
//
//   caffe-hdf5-reader FILE BYTES SECONDS
//
// BYTES limits the memory taken, SECONDS the processor time.
// Exit status 0: descriptor 3 holds the groups and datasets of FILE. 1: one sentence on
// standard output says what of FILE cannot be read. 2: FILE is not opened; HDF5's reason
// is there.
//
// A dataset that no reader of weights takes (neither numbers nor one string, or larger
// than what the file can hold) has its shape but no values in the copy, so that who asks
// for it can say what is wrong with it.

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "caffe/util/hdf5_library.hpp"

namespace {

constexpr int kMaxDepth = 100;  // of groups; links may go in circles
constexpr long kMaxObjects = 1 << 20;
// Fewer values are copied faster than they are looked up in another file.
constexpr hsize_t kManyBytes = 1 << 16;
constexpr std::size_t kGrowth = 1 << 20;    // of the copy
constexpr std::size_t kMaxWrite = 1 << 30;  // Linux writes no more at once
constexpr int kCopy = 3;                    // descriptor

// What the exit status says, with what goes to standard output.
struct Failure {
  int status;
  std::string text;
};

// Passes a result of HDF5 on, or fails about the object at `path`.
template <typename T>
T Checked(T result, const std::string& path) {
  if (result >= 0) return result;
  throw Failure{1, "'" + path + "' cannot be read: " + caffe::Hdf5Reason()};
}

// An HDF5 identifier and the function that closes it.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t), const std::string& path)
      : id_(Checked(id, path)), close_(close) {}
  ~Handle() { close_(id_); }
  Handle(const Handle&) = delete;
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

class Copier {
 public:
  Copier(const std::string& file, hsize_t size) : file_(file), size_(size) {}

  void CopyGroup(hid_t from, hid_t to, const std::string& path, int depth) {
    if (depth > kMaxDepth) {
      throw Failure{1, "its groups are nested deeper than " + std::to_string(kMaxDepth) +
                           ", expected less; is it damaged?"};
    }
    H5G_info_t info;
    Checked(H5Gget_info(from, &info), path);
    for (hsize_t i = 0; i < info.nlinks; ++i) {
      if (++objects_ > kMaxObjects) {
        throw Failure{1, "it has more than " + std::to_string(kMaxObjects) +
                             " objects, expected less; is it damaged?"};
      }
      const std::string name = LinkName(from, i, path);
      CopyObject(from, to, name, path + (path.back() == '/' ? "" : "/") + name, depth);
    }
  }

 private:
  static std::string LinkName(hid_t group, hsize_t index, const std::string& path) {
    const auto get = [&](char* text, std::size_t size) {
      return Checked(H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_NATIVE, index,
                                        text, size, H5P_DEFAULT),
                     path);
    };
    std::string name(static_cast<std::size_t>(get(nullptr, 0)), '\0');
    get(name.data(), name.size() + 1);
    return name;
  }

  void CopyObject(hid_t from, hid_t to, const std::string& name, const std::string& path,
                  int depth) {
    H5L_info_t link;
    Checked(H5Lget_info(from, name.c_str(), &link, H5P_DEFAULT), path);
    // Links by name may lead nowhere.
    if (link.type != H5L_TYPE_HARD &&
        H5Oexists_by_name(from, name.c_str(), H5P_DEFAULT) <= 0) {
      return;
    }
    const Handle object(H5Oopen(from, name.c_str(), H5P_DEFAULT), H5Oclose, path);
    const H5I_type_t type = H5Iget_type(object);
    if (type == H5I_GROUP) {
      const Handle group(
          H5Gcreate2(to, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose,
          path);
      CopyGroup(object, group, path, depth + 1);
    } else if (type == H5I_DATASET) {
      CopyDataset(object, to, name, path);
    }
  }

  void CopyDataset(hid_t from, hid_t to, const std::string& name,
                   const std::string& path) const {
    const Handle type(H5Dget_type(from), H5Tclose, path);
    const Handle space(H5Dget_space(from), H5Sclose, path);
    const hssize_t elements = Checked(H5Sget_simple_extent_npoints(space), path);
    const H5T_class_t kind = H5Tget_class(type);
    const bool numbers = kind == H5T_INTEGER || kind == H5T_FLOAT;
    if (kind == H5T_STRING && elements == 1) return CopyString(from, to, name, path);
    const Handle copied(
        numbers ? H5Tget_native_type(type, H5T_DIR_ASCEND) : H5Tcreate(H5T_OPAQUE, 1),
        H5Tclose, path);
    const Handle shape(Shape(space, path), H5Sclose, path);
    const Handle made(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, path);
    bool filled = numbers && elements > 0 && elements <= INT_MAX;
    const hsize_t bytes =
        filled ? static_cast<hsize_t>(elements) * H5Tget_size(copied) : 0;
    filled = filled && caffe::CanBeStored(bytes, H5Dget_storage_size(from));
    if (filled && bytes >= kManyBytes && H5Tequal(type, copied) > 0) {
      const haddr_t place = PlaceOf(from, path);
      if (place != HADDR_UNDEF) {
        if (place > size_ || bytes > size_ - place) {
          throw Failure{1, "'" + path + "' lies behind the end of the file"};
        }
        Checked(H5Pset_external(made, file_.c_str(), static_cast<off_t>(place), bytes),
                path);
        filled = false;
      }
    }
    const Handle dataset(Create(to, name, copied, shape, made), H5Dclose, path);
    if (!filled) return;
    std::vector<char> values(bytes);
    Checked(H5Dread(from, copied, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), path);
    Checked(H5Dwrite(dataset, copied, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()),
            path);
  }

  // Where in the file the values lie one behind the other, if they do.
  static haddr_t PlaceOf(hid_t dataset, const std::string& path) {
    const Handle made(H5Dget_create_plist(dataset), H5Pclose, path);
    const bool contiguous =
        H5Pget_layout(made) == H5D_CONTIGUOUS && H5Pget_external_count(made) == 0;
    return contiguous ? H5Dget_offset(dataset) : HADDR_UNDEF;
  }

  static void CopyString(hid_t from, hid_t to, const std::string& name,
                         const std::string& path) {
    const Handle type(H5Dget_type(from), H5Tclose, path);
    const std::size_t size = H5Tget_size(type);
    std::string text;
    if (H5Tis_variable_str(type) > 0) {
      char* read = nullptr;
      Checked(H5Dread(from, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &read), path);
      if (read != nullptr) text = read;
      H5free_memory(read);
    } else if (size <= caffe::kMaxHdf5String) {
      text.assign(size, '\0');
      Checked(H5Dread(from, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()), path);
      text.resize(text.find('\0') == text.npos ? size : text.find('\0'));
    }
    // One that is too long keeps its length.
    const bool too_long =
        size > caffe::kMaxHdf5String || text.size() >= caffe::kMaxHdf5String;
    const Handle copied(H5Tcopy(H5T_C_S1), H5Tclose, path);
    Checked(H5Tset_size(copied, too_long ? caffe::kMaxHdf5String + 1 : text.size() + 1),
            path);
    const Handle scalar(H5Screate(H5S_SCALAR), H5Sclose, path);
    const Handle dataset(Create(to, name, copied, scalar, H5P_DEFAULT), H5Dclose, path);
    if (too_long) return;
    Checked(H5Dwrite(dataset, copied, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.c_str()), path);
  }

  static hid_t Shape(hid_t space, const std::string& path) {
    if (H5Sget_simple_extent_type(space) != H5S_SIMPLE) {
      return H5Screate(H5Sget_simple_extent_type(space));
    }
    const int axes = Checked(H5Sget_simple_extent_ndims(space), path);
    std::vector<hsize_t> extents(static_cast<std::size_t>(axes));
    Checked(H5Sget_simple_extent_dims(space, extents.data(), nullptr), path);
    return H5Screate_simple(axes, extents.data(), nullptr);
  }

  static hid_t Create(hid_t group, const std::string& name, hid_t type, hid_t space,
                      hid_t made) {
    return H5Dcreate2(group, name.c_str(), type, space, H5P_DEFAULT, made, H5P_DEFAULT);
  }

  std::string file_;
  hsize_t size_;
  long objects_ = 0;
};

// Writes a file that HDF5 has in memory to a descriptor.
void Save(hid_t file, int descriptor) {
  Checked(H5Fflush(file, H5F_SCOPE_GLOBAL), "/");
  std::vector<char> image(Checked(H5Fget_file_image(file, nullptr, 0), "/"));
  Checked(H5Fget_file_image(file, image.data(), image.size()), "/");
  for (std::size_t done = 0; done < image.size();) {
    const ssize_t size =
        write(descriptor, image.data() + done, std::min(image.size() - done, kMaxWrite));
    if (size < 0) {
      throw Failure{1, std::string("no room for a copy: ") + std::strerror(errno)};
    }
    done += static_cast<std::size_t>(size);
  }
}

void Copy(const char* path) {
  const hid_t id = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (id < 0) throw Failure{2, caffe::Hdf5Reason()};
  const Handle from(id, H5Fclose, "/");
  const std::filesystem::path file = std::filesystem::absolute(path);
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "/");
  Checked(H5Pset_fapl_core(access, kGrowth, /*backing_store=*/0), "/");
  const Handle to(H5Fcreate("copy", H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose, "/");
  Copier(file.string(), std::filesystem::file_size(file)).CopyGroup(from, to, "/", 0);
  Save(to, kCopy);
}

// The hard limits stay: the kernel warns of soft ones by signals that tell what they are.
void Limit(int resource, rlim_t value) {
  rlimit limit;
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur <= value) return;
  limit.rlim_cur = value;
  setrlimit(resource, &limit);
}

// What the process has of address space already.
rlim_t AddressSpace() {
  unsigned long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%lu", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return rlim_t{pages} * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 3;
  const rlim_t bytes = std::strtoull(argv[2], nullptr, 10);
  Limit(RLIMIT_AS, AddressSpace() + bytes);
  Limit(RLIMIT_CPU, std::strtoull(argv[3], nullptr, 10));
  Limit(RLIMIT_CORE, 0);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  try {
    Copy(argv[1]);
  } catch (const Failure& failure) {
    std::fputs(failure.text.c_str(), stdout);
    return failure.status;
  } catch (const std::filesystem::filesystem_error& error) {
    std::fputs(error.code().message().c_str(), stdout);
    return 2;
  } catch (const std::bad_alloc&) {
    std::fputs("it needs more memory than such a file may take; is it damaged?", stdout);
    return 1;
  }
  return 0;
}
