#include "caffe/layers/memory_data_layer.hpp"

#include <opencv2/core.hpp>

#include "caffe/ops/tensor.hpp"

namespace caffe {

template <typename Dtype>
void MemoryDataLayer<Dtype>::DataLayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                            const vector<Blob<Dtype>*>& top) {
  const MemoryDataParameter& param = this->layer_param_.memory_data_param();
  const vector<unsigned> wanted = {param.batch_size(), param.channels(), param.height(),
                                   param.width()};
  vector<int> shape;
  for (unsigned dim : wanted) {
    if (dim < 1 || dim > INT_MAX) {
      throw ValueError(Str("memory_data_param has batch_size ", wanted[0], ", channels ",
                           wanted[1], ", height ", wanted[2], " and width ", wanted[3],
                           ", expected 1 to ", INT_MAX, " for each"));
    }
    shape.push_back(static_cast<int>(dim));
  }
  top[0]->Reshape(shape);
  top[1]->Reshape({shape[0]});
  added_data_.Reshape(shape);
  added_label_.Reshape({shape[0]});
  batch_size_ = shape[0];
  channels_ = shape[1];
  height_ = shape[2];
  width_ = shape[3];
  size_ = channels_ * height_ * width_;
  data_ = nullptr;
  labels_ = nullptr;
  n_ = 0;
  pos_ = 0;
}

template <typename Dtype>
void MemoryDataLayer<Dtype>::CheckAdd(size_t images) const {
  if (has_new_data_) {
    throw ValueError(
        "images were added before those of the last time were all used; "
        "run Forward for each of their batches first");
  }
  if (images == 0 || images > INT_MAX || images % batch_size_ != 0) {
    throw ValueError(Str(images,
                         " image(s) were added, expected a multiple of the batch "
                         "size ",
                         batch_size_));
  }
}

template <typename Dtype>
void MemoryDataLayer<Dtype>::UseAdded(size_t images) {
  Reset(added_data_.mutable_cpu_data(), added_label_.mutable_cpu_data(),
        static_cast<int>(images));
  has_new_data_ = true;
}

template <typename Dtype>
void MemoryDataLayer<Dtype>::AddDatumVector(const vector<Datum>& datum_vector) {
  CheckAdd(datum_vector.size());
  const int num = static_cast<int>(datum_vector.size());
  added_data_.Reshape({num, channels_, height_, width_});
  added_label_.Reshape({num});
  this->data_transformer_->Transform(datum_vector, &added_data_);
  Dtype* labels = added_label_.mutable_cpu_data();
  for (int i = 0; i < num; ++i) labels[i] = datum_vector[i].label();
  UseAdded(datum_vector.size());
}

template <typename Dtype>
void MemoryDataLayer<Dtype>::AddMatVector(const vector<cv::Mat>& mat_vector,
                                          const vector<int>& labels) {
  CheckAdd(mat_vector.size());
  if (labels.size() != mat_vector.size()) {
    throw ValueError(Str(labels.size(), " label(s) were added with ", mat_vector.size(),
                         " image(s), expected one for each"));
  }
  const int num = static_cast<int>(mat_vector.size());
  added_data_.Reshape({num, channels_, height_, width_});
  added_label_.Reshape({num});
  this->data_transformer_->Transform(mat_vector, &added_data_);
  std::copy(labels.begin(), labels.end(), added_label_.mutable_cpu_data());
  UseAdded(mat_vector.size());
}

template <typename Dtype>
void MemoryDataLayer<Dtype>::Reset(Dtype* data, Dtype* labels, int n) {
  CHECK(data);
  CHECK(labels);
  if (n < 1 || n % batch_size_ != 0) {
    throw ValueError(Str("Reset got ", n,
                         " image(s), expected a multiple of the batch "
                         "size ",
                         batch_size_));
  }
  if (data != added_data_.cpu_data() && this->layer_param_.has_transform_param()) {
    LOG(WARNING) << this->type() << " does not transform array data on Reset()";
  }
  data_ = data;
  labels_ = labels;
  n_ = n;
  pos_ = 0;
}

template <typename Dtype>
void MemoryDataLayer<Dtype>::set_batch_size(int new_size) {
  if (has_new_data_) {
    throw ValueError(
        "the batch size was changed while added images wait; run Forward "
        "for each of their batches first");
  }
  if (new_size < 1)
    throw ValueError(Str("batch size ", new_size, ", expected at least 1"));
  batch_size_ = new_size;
  added_data_.Reshape({batch_size_, channels_, height_, width_});
  added_label_.Reshape({batch_size_});
}

template <typename Dtype>
void MemoryDataLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& /*bottom*/,
                                         const vector<Blob<Dtype>*>& top) {
  if (!data_) {
    throw ValueError(
        "MemoryData has no data yet; give it some with Reset, AddMatVector or "
        "AddDatumVector (in Python, net.set_input_arrays)");
  }
  if (n_ % batch_size_ != 0) {
    throw ValueError(Str("MemoryData has ", n_,
                         " image(s), expected a multiple of the "
                         "batch size ",
                         batch_size_, "; call Reset again"));
  }
  top[0]->Reshape({batch_size_, channels_, height_, width_});
  top[1]->Reshape({batch_size_});
  // Copies, so that an in-place layer above does not change the program's arrays, and
  // views of the tops stay where they are. Differs from BVLC, which points into them.
  caffe_copy(top[0]->count(), data_ + pos_ * size_, DataOf(top[0]).Write(1));
  caffe_copy(batch_size_, labels_ + pos_, DataOf(top[1]).Write(1));
  pos_ = (pos_ + batch_size_) % n_;
  if (pos_ == 0) has_new_data_ = false;
}

INSTANTIATE_CLASS(MemoryDataLayer);
REGISTER_LAYER_CLASS(MemoryData);

}  // namespace caffe
