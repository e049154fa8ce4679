#include "caffe/layers/hdf5_data_layer.hpp"

#include <climits>
#include <cstdio>
#include <memory>
#include <numeric>

#include "caffe/data/layer_stream.hpp"
#include "caffe/data/path_list.hpp"
#include "caffe/ops/tensor.hpp"
#include "caffe/util/hdf5.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

template <typename Dtype>
HDF5DataLayer<Dtype>::~HDF5DataLayer() = default;

template <typename Dtype>
void HDF5DataLayer<Dtype>::LoadHDF5FileData(const char* filename) {
  LOG(INFO) << "Loading HDF5 file: " << filename;
  const Hdf5File file = Hdf5File::Open(filename);
  const int tops = this->layer_param_.top_size();
  vector<shared_ptr<Blob<Dtype>>> blobs;
  for (int i = 0; i < tops; ++i) {
    blobs.push_back(std::make_shared<Blob<Dtype>>());
    const string& name = this->layer_param_.top(i);
    hdf5_load_nd_dataset(file.id(), name.c_str(), 1, kMaxBlobAxes, blobs[i].get(), true);
    const int rows = blobs[i]->shape(0);
    if (rows < 1 || rows != blobs[0]->shape(0)) {
      throw FileError(Str(
          "'", filename, "': dataset '", name, "' has ", rows, " rows, expected ",
          i == 0 ? string("at least one")
                 : Str(blobs[0]->shape(0), " as '", this->layer_param_.top(0), "' has")));
    }
  }
  hdf_blobs_ = std::move(blobs);
  data_permutation_.resize(hdf_blobs_[0]->shape(0));
  std::iota(data_permutation_.begin(), data_permutation_.end(), 0u);
}

template <typename Dtype>
void HDF5DataLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                      const vector<Blob<Dtype>*>& top) {
  const HDF5DataParameter& param = this->layer_param_.hdf5_data_param();
  if (this->layer_param_.has_transform_param()) {
    throw ValueError(
        "transform_param is given, but rows are delivered as they are; transform them in "
        "the file, or in a layer behind this one");
  }
  if (param.source().empty()) {
    throw ValueError("hdf5_data_param.source is missing, expected the path of a list");
  }
  if (param.batch_size() < 1 || param.batch_size() > INT_MAX) {
    throw ValueError(Str("hdf5_data_param.batch_size is ", param.batch_size(),
                         ", expected at least 1 and below 2^31"));
  }
  if (this->layer_param_.top_size() != static_cast<int>(top.size())) {
    throw ValueError(Str("got ", this->layer_param_.top_size(), " names of ", top.size(),
                         " tops, expected those of their datasets"));
  }
  LOG(INFO) << "Loading list of HDF5 filenames from: " << param.source();
  hdf_filenames_ = ReadPathList(param.source());
  num_files_ = static_cast<unsigned int>(hdf_filenames_.size());
  LOG(INFO) << "Number of HDF5 files: " << num_files_;
  rows_.assign(num_files_, 0);
  seed_ = Caffe::random_seed();
  offset_ = epoch_ = 0;
  current_file_ = 0;
  OrderFiles();
  hdf_blobs_.clear();
  LoadFile();
  for (size_t i = 0; i < top.size(); ++i) {
    vector<int> shape = hdf_blobs_[i]->shape();
    shape[0] = static_cast<int>(param.batch_size());
    top[i]->Reshape(shape);
  }
}

template <typename Dtype>
void HDF5DataLayer<Dtype>::OrderFiles() {
  file_permutation_.resize(num_files_);
  std::iota(file_permutation_.begin(), file_permutation_.end(), 0u);
  if (!this->layer_param_.hdf5_data_param().shuffle()) return;
  rng_t generator =
      LayerStream(seed_, this->phase_, this->layer_param_.name(), Str("files/", epoch_));
  shuffle(file_permutation_.begin(), file_permutation_.end(), &generator);
}

template <typename Dtype>
void HDF5DataLayer<Dtype>::OrderRows() {
  current_row_ = 0;
  if (!this->layer_param_.hdf5_data_param().shuffle()) return;
  std::iota(data_permutation_.begin(), data_permutation_.end(), 0u);
  rng_t generator = LayerStream(seed_, this->phase_, this->layer_param_.name(),
                                Str("rows/", epoch_, "/", FileNow()));
  shuffle(data_permutation_.begin(), data_permutation_.end(), &generator);
}

template <typename Dtype>
void HDF5DataLayer<Dtype>::LoadFile() {
  const string& name = hdf_filenames_[FileNow()];
  vector<vector<int>> shapes;  // of a row, as the tops have them
  for (const auto& blob : hdf_blobs_) shapes.push_back(blob->shape());
  LoadHDF5FileData(name.c_str());
  rows_[FileNow()] = hdf_blobs_[0]->shape(0);
  for (size_t i = 0; i < shapes.size(); ++i) {
    shapes[i][0] = hdf_blobs_[i]->shape(0);
    if (hdf_blobs_[i]->shape() == shapes[i]) continue;
    throw FileError(Str("'", name, "': dataset '", this->layer_param_.top(i),
                        "' has shape ", ShapeText(hdf_blobs_[i]->shape()), ", expected ",
                        ShapeText(shapes[i]), " by the rows of the files before"));
  }
  OrderRows();
}

template <typename Dtype>
std::uint64_t HDF5DataLayer<Dtype>::RowsOf(unsigned int file) {
  if (rows_[file] == 0) {
    Blob<Dtype> shape;  // whose memory nobody asks for
    hdf5_load_nd_dataset_helper(Hdf5File::Open(hdf_filenames_[file]).id(),
                                this->layer_param_.top(0).c_str(), 1, kMaxBlobAxes,
                                &shape, true);
    rows_[file] = shape.shape(0);
  }
  return rows_[file];
}

template <typename Dtype>
void HDF5DataLayer<Dtype>::Next() {
  ++offset_;
  if (++current_row_ < data_permutation_.size()) return;
  if (++current_file_ == num_files_) {
    current_file_ = 0;
    ++epoch_;
    OrderFiles();
  }
  if (num_files_ > 1) {
    LoadFile();
  } else {
    OrderRows();
  }
}

template <typename Dtype>
void HDF5DataLayer<Dtype>::Seek(std::uint64_t offset) {
  std::uint64_t total = 0;
  for (unsigned int file = 0; file < num_files_; ++file) total += RowsOf(file);
  offset_ = offset;
  epoch_ = offset / total;
  OrderFiles();
  std::uint64_t row = offset % total;
  for (current_file_ = 0; row >= rows_[FileNow()]; ++current_file_) {
    row -= rows_[FileNow()];
  }
  LoadFile();
  current_row_ = row;
}

// A TEST net runs on the root solver alone.
template <typename Dtype>
bool HDF5DataLayer<Dtype>::Skip() {
  if (this->phase_ == TEST) return false;
  return offset_ % Caffe::solver_count() !=
         static_cast<std::uint64_t>(Caffe::solver_rank());
}

template <typename Dtype>
void HDF5DataLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& /*bottom*/,
                                       const vector<Blob<Dtype>*>& top) {
  const int batch = static_cast<int>(this->layer_param_.hdf5_data_param().batch_size());
  vector<Dtype*> to;
  for (Blob<Dtype>* blob : top) to.push_back(DataOf(blob).Write(1));
  for (int i = 0; i < batch; ++i) {
    while (Skip()) Next();
    const std::size_t row = data_permutation_[current_row_];
    for (size_t j = 0; j < top.size(); ++j) {
      const int length = top[j]->count(1);
      std::copy_n(hdf_blobs_[j]->cpu_data() + row * length, length, to[j]);
      to[j] += length;
    }
    Next();
  }
}

template <typename Dtype>
bool HDF5DataLayer<Dtype>::SaveState(LayerState* state) const {
  const std::uint64_t solvers = this->phase_ == TEST ? 1 : Caffe::solver_count();
  state->set_layer(this->layer_param_.name());
  state->set_position((offset_ + solvers - 1) / solvers * solvers);
  state->set_extra(Str("seed ", seed_));
  return true;
}

template <typename Dtype>
void HDF5DataLayer<Dtype>::RestoreState(const LayerState& state) {
  unsigned long long seed = 0;
  if (std::sscanf(state.extra().c_str(), "seed %llu", &seed) != 1) {
    throw FileError(NameOf(this->layer_param_),
                    Str("its saved state '", state.extra(),
                        "' is not one of a data layer; was it saved by another net?"));
  }
  seed_ = seed;
  Seek(state.position());
}

INSTANTIATE_CLASS(HDF5DataLayer);
REGISTER_LAYER_CLASS(HDF5Data);

}  // namespace caffe
