#include "caffe/util/hdf5.hpp"

#include <algorithm>
#include <atomic>
#include <climits>
#include <memory>
#include <utility>

#include "caffe/util/atomic_file.hpp"
#include "caffe/util/hdf5_guard.hpp"
#include "caffe/util/hdf5_library.hpp"
#include "caffe/util/input_file.hpp"

namespace caffe {

namespace {

// Keeps HDF5 from printing its error stack while in scope.
class Quiet {
 public:
  Quiet() {
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Quiet() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }
  Quiet(const Quiet&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

// An HDF5 identifier and the function that closes it.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(const Handle&) = delete;
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// HDF5 demands of a file in memory that its name be on no disk, and takes two of one
// name for one: behind this in the name of a copy stands a number.
constexpr char kCopyMark = '\1';

string FileName(hid_t id) {
  const ssize_t size = H5Fget_name(id, nullptr, 0);
  if (size <= 0) return "?";
  string name(static_cast<std::size_t>(size), '\0');
  H5Fget_name(id, name.data(), name.size() + 1);
  return name.substr(0, name.rfind(kCopyMark));
}

// "'weights.h5': dataset '/data/conv1/0'".
string Who(hid_t id, const string& dataset, const char* kind = "dataset") {
  const ssize_t size = H5Iget_name(id, nullptr, 0);
  string group;
  if (size > 0) {
    group.resize(static_cast<std::size_t>(size));
    H5Iget_name(id, group.data(), group.size() + 1);
  }
  if (group.empty() || group.back() != '/') group += '/';
  return Str("'", FileName(id), "': ", kind, " '", group, dataset, "' ");
}

[[noreturn]] void FailToRead(hid_t id, const string& dataset) {
  const string reason = Hdf5Reason();
  throw FileError(Str(Who(id, dataset), "cannot be read: ", reason));
}

[[noreturn]] void FailToWrite(hid_t id, const string& dataset) {
  const string reason = Hdf5Reason();
  throw FileError(Str(Who(id, dataset), "cannot be written: ", reason));
}

Handle OpenDataset(hid_t id, const string& name) {
  if (!hdf5_has_link(id, name)) throw FileError(Who(id, name) + "does not exist");
  return Handle(H5Dopen2(id, name.c_str(), H5P_DEFAULT), H5Dclose);
}

template <typename Dtype>
hid_t NativeType();
template <>
hid_t NativeType<float>() {
  return H5T_NATIVE_FLOAT;
}
template <>
hid_t NativeType<double>() {
  return H5T_NATIVE_DOUBLE;
}

// The dataset's extents, checked against everything that would fail later.
vector<int> CheckedShape(hid_t id, const string& name, hid_t dataset, int min_dim,
                         int max_dim) {
  const Handle type(H5Dget_type(dataset), H5Tclose);
  const Handle space(H5Dget_space(dataset), H5Sclose);
  if (type < 0 || space < 0) FailToRead(id, name);
  const H5T_class_t kind = H5Tget_class(type);
  if (kind != H5T_FLOAT && kind != H5T_INTEGER) {
    throw FileError(Who(id, name) + "holds no numbers, expected integers or floats");
  }
  const int axes = H5Sget_simple_extent_ndims(space);
  if (axes < min_dim || axes > max_dim || axes > kMaxBlobAxes) {
    throw FileError(Str(Who(id, name), "has ", axes, " axes, expected ", min_dim,
                        min_dim == max_dim ? "" : Str(" to ", max_dim)));
  }
  vector<hsize_t> extents(static_cast<std::size_t>(axes));
  if (H5Sget_simple_extent_dims(space, extents.data(), nullptr) < 0) FailToRead(id, name);
  vector<int> shape;
  hsize_t count = 1;
  for (const hsize_t extent : extents) {
    if (extent != 0 && count > INT_MAX / extent) {
      throw FileError(
          Str(Who(id, name), "has more than the ", INT_MAX, " elements a blob may have"));
    }
    count *= extent;
    shape.push_back(static_cast<int>(extent));
  }
  const hsize_t bytes = count * H5Tget_size(type);
  const hsize_t stored = H5Dget_storage_size(dataset);
  if (!CanBeStored(bytes, stored)) {
    throw FileError(Str(Who(id, name), "claims ", bytes,
                        " bytes of which the file holds ", stored,
                        "; it is damaged or was never filled"));
  }
  return shape;
}

}  // namespace

Hdf5File Hdf5File::Open(const string& path) {
  std::unique_ptr<Hdf5Copy> copy;
  {
    const InputFile file(path);  // a missing file is told from a malformed one
    const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(file.size(), 0));
    try {
      copy = std::make_unique<Hdf5Copy>(path, DefaultHdf5Reader(size));
    } catch (const FileError&) {
      const Contents found = GuessContents(file.Head());
      if (found == Contents::kHdf5 || found == Contents::kUnknown) throw;
      throw FileError(
          Str("'", path, "' is ", DescribeContents(found), ", expected an HDF5 file"));
    }
  }
  const Quiet quiet;
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_core(access, 1 << 16, /*backing_store=*/0);
  static std::atomic<unsigned> serial{0};
  const string name = Str(path, kCopyMark, serial++);
  H5Pset_file_image(access, copy->data(), copy->size());
  const hid_t id = H5Fopen(name.c_str(), H5F_ACC_RDONLY, access);
  if (id < 0) {
    const string reason = Hdf5Reason();
    throw RuntimeFailure(Str("'", path, "': its copy cannot be read: ", reason));
  }
  return Hdf5File(id);
}

Hdf5File::~Hdf5File() {
  if (id_ >= 0) H5Fclose(id_);
}

Hdf5File::Hdf5File(Hdf5File&& other) noexcept : id_(std::exchange(other.id_, -1)) {}

Hdf5Writer::Hdf5Writer(const string& path) : file_(std::make_unique<AtomicFile>(path)) {
  const Quiet quiet;
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  constexpr std::size_t kGrowth = 16 << 20;
  H5Pset_fapl_core(access, kGrowth, /*backing_store=*/0);
  id_ = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  if (id_ < 0) {
    const string reason = Hdf5Reason();
    throw FileError(Str("cannot write '", path, "': ", reason));
  }
}

Hdf5Writer::~Hdf5Writer() {
  const Quiet quiet;
  H5Fclose(id_);
}

void Hdf5Writer::Commit() {
  const Quiet quiet;
  ssize_t size =
      H5Fflush(id_, H5F_SCOPE_GLOBAL) < 0 ? -1 : H5Fget_file_image(id_, nullptr, 0);
  vector<char> image(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  if (size > 0) size = H5Fget_file_image(id_, image.data(), image.size());
  if (size <= 0) {
    const string reason = Hdf5Reason();
    throw FileError(Str("cannot write '", file_->path(), "': ", reason));
  }
  file_->Write(image.data(), image.size());
  file_->Commit();
}

hid_t hdf5_open_group(hid_t loc_id, const string& name) {
  const Quiet quiet;
  if (!hdf5_has_link(loc_id, name)) {
    throw FileError(Who(loc_id, name, "group") + "does not exist");
  }
  const hid_t group = H5Gopen2(loc_id, name.c_str(), H5P_DEFAULT);
  if (group < 0) {
    const string reason = Hdf5Reason();
    throw FileError(Str(Who(loc_id, name, "group"), "cannot be opened: ", reason));
  }
  return group;
}

hid_t hdf5_create_group(hid_t loc_id, const string& name) {
  // A slash in a name makes groups on the way; a later name may be one of those.
  if (hdf5_has_link(loc_id, name)) return hdf5_open_group(loc_id, name);
  const Quiet quiet;
  const Handle link(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(link, 1);
  const hid_t group = H5Gcreate2(loc_id, name.c_str(), link, H5P_DEFAULT, H5P_DEFAULT);
  if (group < 0) {
    const string reason = Hdf5Reason();
    throw FileError(Str(Who(loc_id, name, "group"), "cannot be created: ", reason));
  }
  return group;
}

template <typename Dtype>
void hdf5_load_nd_dataset_helper(hid_t file_id, const char* dataset_name_, int min_dim,
                                 int max_dim, Blob<Dtype>* blob, bool reshape) {
  const Quiet quiet;
  const Handle dataset = OpenDataset(file_id, dataset_name_);
  if (dataset < 0) FailToRead(file_id, dataset_name_);
  const vector<int> shape =
      CheckedShape(file_id, dataset_name_, dataset, min_dim, max_dim);
  if (reshape) {
    blob->Reshape(shape);
  } else if (shape != blob->shape()) {
    throw FileError(Str(Who(file_id, dataset_name_), "has shape ", ShapeText(shape),
                        ", expected ", ShapeText(blob->shape())));
  }
}

template <typename Dtype>
void hdf5_load_nd_dataset(hid_t file_id, const char* dataset_name_, int min_dim,
                          int max_dim, Blob<Dtype>* blob, bool reshape) {
  hdf5_load_nd_dataset_helper(file_id, dataset_name_, min_dim, max_dim, blob, reshape);
  const Quiet quiet;
  const Handle dataset = OpenDataset(file_id, dataset_name_);
  if (H5Dread(dataset, NativeType<Dtype>(), H5S_ALL, H5S_ALL, H5P_DEFAULT,
              blob->mutable_cpu_data()) < 0) {
    FailToRead(file_id, dataset_name_);
  }
}

template <typename Dtype>
void hdf5_save_nd_dataset(const hid_t file_id, const string& dataset_name,
                          const Blob<Dtype>& blob, bool write_diff) {
  const Quiet quiet;
  const vector<hsize_t> extents(blob.shape().begin(), blob.shape().end());
  // Rank 0 is a dataspace of one element.
  const Handle space(H5Screate_simple(blob.num_axes(), extents.data(), nullptr),
                     H5Sclose);
  const Handle dataset(H5Dcreate2(file_id, dataset_name.c_str(), NativeType<Dtype>(),
                                  space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                       H5Dclose);
  if (dataset < 0 || H5Dwrite(dataset, NativeType<Dtype>(), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                              write_diff ? blob.cpu_diff() : blob.cpu_data()) < 0) {
    FailToWrite(file_id, dataset_name);
  }
}

#define INSTANTIATE_HDF5(Dtype)                                                         \
  template void hdf5_load_nd_dataset_helper<Dtype>(hid_t, const char*, int, int,        \
                                                   Blob<Dtype>*, bool);                 \
  template void hdf5_load_nd_dataset<Dtype>(hid_t, const char*, int, int, Blob<Dtype>*, \
                                            bool);                                      \
  template void hdf5_save_nd_dataset<Dtype>(const hid_t, const string&,                 \
                                            const Blob<Dtype>&, bool)
INSTANTIATE_HDF5(float);
INSTANTIATE_HDF5(double);
#undef INSTANTIATE_HDF5

int hdf5_load_int(hid_t loc_id, const string& dataset_name) {
  const Quiet quiet;
  const Handle dataset = OpenDataset(loc_id, dataset_name);
  if (dataset < 0) FailToRead(loc_id, dataset_name);
  const Handle space(H5Dget_space(dataset), H5Sclose);
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (count != 1) {
    throw FileError(
        Str(Who(loc_id, dataset_name), "has ", count, " elements, expected one"));
  }
  int value = 0;
  if (H5Dread(dataset, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) < 0) {
    FailToRead(loc_id, dataset_name);
  }
  return value;
}

void hdf5_save_int(hid_t loc_id, const string& dataset_name, int i) {
  const Quiet quiet;
  const hsize_t one = 1;  // BVLC writes a vector of one
  const Handle space(H5Screate_simple(1, &one, nullptr), H5Sclose);
  const Handle dataset(H5Dcreate2(loc_id, dataset_name.c_str(), H5T_NATIVE_INT, space,
                                  H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                       H5Dclose);
  if (dataset < 0 ||
      H5Dwrite(dataset, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, &i) < 0) {
    FailToWrite(loc_id, dataset_name);
  }
}

string hdf5_load_string(hid_t loc_id, const string& dataset_name) {
  const Quiet quiet;
  const Handle dataset = OpenDataset(loc_id, dataset_name);
  if (dataset < 0) FailToRead(loc_id, dataset_name);
  const Handle type(H5Dget_type(dataset), H5Tclose);
  const Handle space(H5Dget_space(dataset), H5Sclose);
  if (H5Tget_class(type) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1) {
    throw FileError(Who(loc_id, dataset_name) + "is no single string");
  }
  if (H5Tis_variable_str(type) > 0) {  // as h5py writes them
    char* text = nullptr;
    if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text) < 0) {
      FailToRead(loc_id, dataset_name);
    }
    const string value = text == nullptr ? "" : text;
    H5free_memory(text);
    return value;
  }
  const std::size_t size = H5Tget_size(type);
  if (size > kMaxHdf5String) {
    throw FileError(Str(Who(loc_id, dataset_name), "is a string of ", size,
                        " bytes, expected at most ", kMaxHdf5String));
  }
  string value(size, '\0');
  if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, value.data()) < 0) {
    FailToRead(loc_id, dataset_name);
  }
  value.resize(value.find('\0') == string::npos ? size : value.find('\0'));
  return value;
}

void hdf5_save_string(hid_t loc_id, const string& dataset_name, const string& s) {
  const Quiet quiet;
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, s.size() + 1);
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle dataset(H5Dcreate2(loc_id, dataset_name.c_str(), type, space, H5P_DEFAULT,
                                  H5P_DEFAULT, H5P_DEFAULT),
                       H5Dclose);
  if (dataset < 0 ||
      H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, s.c_str()) < 0) {
    FailToWrite(loc_id, dataset_name);
  }
}

int hdf5_get_num_links(hid_t loc_id) {
  const Quiet quiet;
  H5G_info_t info;
  if (H5Gget_info(loc_id, &info) < 0) {
    const string reason = Hdf5Reason();
    throw FileError(Str(Who(loc_id, "", "group"), "cannot be listed: ", reason));
  }
  return static_cast<int>(info.nlinks);
}

string hdf5_get_name_by_idx(hid_t loc_id, int idx) {
  const Quiet quiet;
  const auto get = [&](char* text, std::size_t size) {
    return H5Lget_name_by_idx(loc_id, ".", H5_INDEX_NAME, H5_ITER_NATIVE,
                              static_cast<hsize_t>(idx), text, size, H5P_DEFAULT);
  };
  const ssize_t size = idx < 0 ? -1 : get(nullptr, 0);
  if (size < 0) {
    throw FileError(Str(Who(loc_id, "", "group"), "has no link number ", idx));
  }
  string name(static_cast<std::size_t>(size), '\0');
  get(name.data(), name.size() + 1);
  return name;
}

bool hdf5_has_link(hid_t loc_id, const string& name) {
  const Quiet quiet;
  return H5Lexists(loc_id, name.c_str(), H5P_DEFAULT) > 0;
}

namespace {

// Ends: Hdf5File::Open has refused groups that lead in a circle.
void FindShapes(hid_t group, const string& path,
                std::map<string, std::vector<std::vector<int>>>* shapes) {
  const int count = hdf5_get_num_links(group);
  for (int i = 0; i < count; ++i) {
    const string name = hdf5_get_name_by_idx(group, i);
    const Handle object(H5Oopen(group, name.c_str(), H5P_DEFAULT), H5Oclose);
    if (object < 0) continue;  // a link to nowhere
    if (H5Iget_type(object) == H5I_GROUP) {
      FindShapes(object, path.empty() ? name : path + "/" + name, shapes);
    } else if (H5Iget_type(object) == H5I_DATASET) {
      const Handle space(H5Dget_space(object), H5Sclose);
      hsize_t dims[H5S_MAX_RANK];
      const int rank = std::max(H5Sget_simple_extent_dims(space, dims, nullptr), 0);
      (*shapes)[path].emplace_back(dims, dims + rank);
    }
  }
}

}  // namespace

std::map<string, std::vector<std::vector<int>>> hdf5_find_shapes(hid_t loc_id) {
  const Quiet quiet;
  std::map<string, std::vector<std::vector<int>>> shapes;
  FindShapes(loc_id, "", &shapes);
  return shapes;
}

}  // namespace caffe
