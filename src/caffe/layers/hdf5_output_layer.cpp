#include "caffe/layers/hdf5_output_layer.hpp"

#include <climits>
#include <cstdint>

#include "caffe/layers/labels.hpp"
#include "caffe/util/hdf5.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {
namespace {

constexpr const char* kDatasets[] = {HDF5_DATA_DATASET_NAME, HDF5_DATA_LABEL_NAME};

// Caffe's four axes, or more.
vector<int> StoredShape(vector<int> shape) {
  if (shape.size() < 4) shape.resize(4, 1);
  return shape;
}

}  // namespace

template <typename Dtype>
HDF5OutputLayer<Dtype>::~HDF5OutputLayer() {
  if (saved_ == forwards_) return;
  try {
    SaveBlobs();
  } catch (const std::exception& error) {
    LOG(ERROR) << NameOf(this->layer_param_) << ": " << error.what();
  }
}

template <typename Dtype>
void HDF5OutputLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                        const vector<Blob<Dtype>*>& /*top*/) {
  file_name_ = this->layer_param_.hdf5_output_param().file_name();
  if (file_name_.empty()) {
    throw ValueError("hdf5_output_param.file_name is missing, expected a path");
  }
}

template <typename Dtype>
void HDF5OutputLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& /*top*/) {
  if (bottom[0]->num_axes() < 1 || bottom[1]->num_axes() < 1 ||
      bottom[0]->shape(0) != bottom[1]->shape(0)) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         " and bottom[1] ", ShapeText(bottom[1]->shape()),
                         ", expected the same number of samples on axis 0"));
  }
}

template <typename Dtype>
LayerTraits HDF5OutputLayer<Dtype>::Traits() const {
  return {.of = &typeid(HDF5OutputLayer), .bottom_use = {DataUse::kNone}};
}

template <typename Dtype>
void HDF5OutputLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                         const vector<Blob<Dtype>*>& /*top*/) {
  vector<int> shapes[2];
  for (int i = 0; i < 2; ++i) {
    shapes[i] = StoredShape(bottom[i]->shape());
    if (forwards_ == 0) continue;
    vector<int> like = shapes_[i];
    like[0] = shapes[i][0];
    if (shapes[i] != like) {
      throw ValueError(Str(NameOfBottom(this->layer_param_, i), ": rows of shape ",
                           ShapeText(shapes[i]), " come behind others of shape ",
                           ShapeText(shapes_[i]), ", expected equal ones in a file"));
    }
    if (static_cast<std::int64_t>(rows_[i].size()) + bottom[i]->count() > INT_MAX) {
      throw ValueError(Str("'", file_name_, "': dataset '", kDatasets[i],
                           "' would have more than ", INT_MAX,
                           " elements; write fewer batches into one file"));
    }
    shapes[i][0] += shapes_[i][0];
  }
  for (int i = 0; i < 2; ++i) {
    shapes_[i] = shapes[i];
    const Dtype* from = bottom[i]->cpu_data();
    rows_[i].insert(rows_[i].end(), from, from + bottom[i]->count());
  }
  ++forwards_;
  if ((forwards_ & (forwards_ - 1)) == 0) SaveBlobs();
}

template <typename Dtype>
void HDF5OutputLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& /*top*/,
                                          const vector<bool>& propagate_down,
                                          const vector<Blob<Dtype>*>& bottom) {
  for (size_t i = 0; i < bottom.size(); ++i) {
    if (!propagate_down[i]) continue;
    caffe_set(bottom[i]->count(), Dtype(0), bottom[i]->mutable_cpu_diff());
  }
}

template <typename Dtype>
void HDF5OutputLayer<Dtype>::SaveBlobs() {
  LOG(INFO) << "Saving HDF5 file " << file_name_;
  Hdf5Writer writer(file_name_);
  Blob<Dtype>* blobs[] = {&data_blob_, &label_blob_};
  for (int i = 0; i < 2; ++i) {
    blobs[i]->Reshape(shapes_[i]);
    if (blobs[i]->count() > 0) blobs[i]->set_cpu_data(rows_[i].data());
    hdf5_save_nd_dataset(writer.id(), kDatasets[i], *blobs[i]);
  }
  writer.Commit();
  saved_ = forwards_;
  LOG(INFO) << "Successfully saved " << shapes_[0][0] << " rows";
}

INSTANTIATE_CLASS(HDF5OutputLayer);
REGISTER_LAYER_CLASS(HDF5Output);

}  // namespace caffe
