#ifndef CAFFE_HDF5_DATA_LAYER_HPP_
#define CAFFE_HDF5_DATA_LAYER_HPP_

#include <cstdint>
#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/resumable.hpp"

namespace caffe {

/// Rows of arrays from HDF5 files: of every top the dataset of its name, batch_size rows
/// at a time, round and round through all files.
///
/// hdf5_data_param.source: a text file with one path per line. The datasets have one axis
/// or more, the first of which counts the rows and is equal in all datasets of a file;
/// the others are equal in all files. Numbers of any type, compressed or not, become the
/// blobs' own. One file is in memory at a time, whole.
/// With `shuffle` every epoch has its own order of the files, and of the rows in each,
/// which depends on the seed, the layer's name and phase, and the number of the epoch
/// alone. With several solvers in TRAIN, solver r of n takes rows r, r + n, r + 2n ...
/// There are no transformations: a transform_param is an error.
template <typename Dtype>
class HDF5DataLayer : public Layer<Dtype>, public Resumable {
 public:
  explicit HDF5DataLayer(const LayerParameter& param) : Layer<Dtype>(param), offset_(0) {}
  virtual ~HDF5DataLayer();
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  // The shapes are those of the files.
  virtual void Reshape(const vector<Blob<Dtype>*>& /*bottom*/,
                       const vector<Blob<Dtype>*>& /*top*/) {}

  virtual inline const char* type() const { return "HDF5Data"; }
  virtual inline int ExactNumBottomBlobs() const { return 0; }
  virtual inline int MinTopBlobs() const { return 1; }

  /// Position: rows delivered so far, by all solvers together.
  bool SaveState(LayerState* state) const override;
  void RestoreState(const LayerState& state) override;

 protected:
  /// To the next row, of the next file if it has to be.
  void Next();
  /// Whether the row is another solver's.
  bool Skip();
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& /*top*/,
                            const vector<bool>& /*propagate_down*/,
                            const vector<Blob<Dtype>*>& /*bottom*/) {}
  /// Reads all datasets of a file, in the order that they have there.
  virtual void LoadHDF5FileData(const char* filename);

  vector<string> hdf_filenames_;
  unsigned int num_files_;
  unsigned int current_file_;                  ///< index in file_permutation_
  std::uint64_t current_row_;                  ///< index in data_permutation_
  vector<shared_ptr<Blob<Dtype>>> hdf_blobs_;  ///< of the current file
  vector<unsigned int> data_permutation_;
  vector<unsigned int> file_permutation_;
  std::uint64_t offset_;  ///< rows gone through, those of other solvers included

 private:
  unsigned int FileNow() const { return file_permutation_[current_file_]; }
  std::uint64_t RowsOf(unsigned int file);
  void OrderFiles();
  void LoadFile();
  void OrderRows();
  /// To row number `offset` of all epochs.
  void Seek(std::uint64_t offset);

  std::uint64_t seed_ = 0;
  std::uint64_t epoch_ = 0;
  vector<std::uint64_t> rows_;  ///< by file, 0 where not yet known
};

}  // namespace caffe

#endif  // CAFFE_HDF5_DATA_LAYER_HPP_
