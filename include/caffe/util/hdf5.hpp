#ifndef CAFFE_UTIL_HDF5_H_
#define CAFFE_UTIL_HDF5_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <hdf5.h>

#include "caffe/blob.hpp"

namespace caffe {

class AtomicFile;

// Reading and writing HDF5. Everything here throws FileError naming file and dataset
// instead of printing HDF5's error stack; sizes are checked before memory is allocated.

/// An open HDF5 file, closed by the destructor.
class Hdf5File {
 public:
  /// Opens for reading; says what the file is if it is no HDF5 file. Another process
  /// parses it first, which damage may crash: what is open here is the copy of its
  /// groups, numbers and strings that came out there. Long arrays, as snapshots have
  /// them, are read from the file, which has to stay.
  static Hdf5File Open(const string& path);
  ~Hdf5File();
  Hdf5File(Hdf5File&& other) noexcept;
  Hdf5File& operator=(Hdf5File&&) = delete;

  hid_t id() const { return id_; }

 private:
  explicit Hdf5File(hid_t id) : id_(id) {}
  hid_t id_;
};

/// A new HDF5 file that appears at its path complete or not at all.
/// It is built in memory: HDF5 cannot close a file cleanly once a write has failed.
class Hdf5Writer {
 public:
  explicit Hdf5Writer(const string& path);
  ~Hdf5Writer();
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;

  hid_t id() const { return id_; }
  void Commit();

 private:
  std::unique_ptr<AtomicFile> file_;
  hid_t id_;
};

/// An open group, closed by the destructor.
class Hdf5Group {
 public:
  /// Takes what hdf5_open_group() or hdf5_create_group() returns.
  explicit Hdf5Group(hid_t id) : id_(id) {}
  ~Hdf5Group() { H5Gclose(id_); }
  Hdf5Group(const Hdf5Group&) = delete;
  Hdf5Group& operator=(const Hdf5Group&) = delete;

  hid_t id() const { return id_; }

 private:
  hid_t id_;
};

/// Opens or creates (with the groups on the way, if missing) the group `name` of
/// `loc_id`; the caller closes it with H5Gclose.
hid_t hdf5_open_group(hid_t loc_id, const string& name);
hid_t hdf5_create_group(hid_t loc_id, const string& name);

/// Checks the dataset's rank (min_dim to max_dim axes), element type and size, and
/// gives the blob its shape, or with `reshape` false demands that it has it.
template <typename Dtype>
void hdf5_load_nd_dataset_helper(hid_t file_id, const char* dataset_name_, int min_dim,
                                 int max_dim, Blob<Dtype>* blob, bool reshape);

/// Reads a dataset of numbers of any type into a blob's data.
template <typename Dtype>
void hdf5_load_nd_dataset(hid_t file_id, const char* dataset_name_, int min_dim,
                          int max_dim, Blob<Dtype>* blob, bool reshape = false);

/// Writes a blob's data (or diff) as a new dataset of its own type.
template <typename Dtype>
void hdf5_save_nd_dataset(const hid_t file_id, const string& dataset_name,
                          const Blob<Dtype>& blob, bool write_diff = false);

int hdf5_load_int(hid_t loc_id, const string& dataset_name);
void hdf5_save_int(hid_t loc_id, const string& dataset_name, int i);
string hdf5_load_string(hid_t loc_id, const string& dataset_name);
void hdf5_save_string(hid_t loc_id, const string& dataset_name, const string& s);

int hdf5_get_num_links(hid_t loc_id);
/// Name of the idx-th link in the order of names.
string hdf5_get_name_by_idx(hid_t loc_id, int idx);
/// True if a link of this name exists.
bool hdf5_has_link(hid_t loc_id, const string& name);
/// The shapes of the datasets below a group, by the path of the group that holds them, in
/// the order of their names; those directly in it by "".
std::map<string, std::vector<std::vector<int>>> hdf5_find_shapes(hid_t loc_id);

}  // namespace caffe

#endif  // CAFFE_UTIL_HDF5_H_
