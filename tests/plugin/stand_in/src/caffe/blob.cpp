#include "caffe/blob.hpp"

#include <sstream>

namespace caffe {

template <typename Dtype>
Blob<Dtype>::Blob(const vector<int>& shape) : count_(0), capacity_(0) {
  Reshape(shape);
}

template <typename Dtype>
void Blob<Dtype>::Reshape(const vector<int>& shape) {
  count_ = 1;
  for (size_t i = 0; i < shape.size(); ++i) count_ *= shape[i];
  shape_ = shape;
  if (count_ > capacity_) {
    capacity_ = count_;
    data_.reset(new SyncedMemory(capacity_ * sizeof(Dtype)));
    diff_.reset(new SyncedMemory(capacity_ * sizeof(Dtype)));
  }
}

template <typename Dtype>
void Blob<Dtype>::Reshape(const BlobShape& shape) {
  Reshape(vector<int>(shape.dim().begin(), shape.dim().end()));
}

template <typename Dtype>
void Blob<Dtype>::ReshapeLike(const Blob& other) {
  Reshape(other.shape());
}

template <typename Dtype>
string Blob<Dtype>::shape_string() const {
  std::ostringstream stream;
  for (size_t i = 0; i < shape_.size(); ++i) stream << shape_[i] << " ";
  stream << "(" << count_ << ")";
  return stream.str();
}

template <typename Dtype>
int Blob<Dtype>::count(int start_axis, int end_axis) const {
  int count = 1;
  for (int i = start_axis; i < end_axis; ++i) count *= shape(i);
  return count;
}

template <typename Dtype>
int Blob<Dtype>::CanonicalAxisIndex(int axis_index) const {
  CHECK_LT(axis_index, num_axes());
  return axis_index < 0 ? axis_index + num_axes() : axis_index;
}

#define STAND_IN_ACCESS(half, side)                               \
  template <typename Dtype>                                       \
  const Dtype* Blob<Dtype>::side##_##half() const {               \
    CHECK(half##_);                                               \
    return static_cast<const Dtype*>(half##_->side##_data());     \
  }                                                               \
  template <typename Dtype>                                       \
  Dtype* Blob<Dtype>::mutable_##side##_##half() {                 \
    CHECK(half##_);                                               \
    return static_cast<Dtype*>(half##_->mutable_##side##_data()); \
  }
STAND_IN_ACCESS(data, cpu)
STAND_IN_ACCESS(data, gpu)
STAND_IN_ACCESS(diff, cpu)
STAND_IN_ACCESS(diff, gpu)

template <typename Dtype>
void Blob<Dtype>::FromProto(const BlobProto& proto, bool reshape) {
  if (reshape) Reshape(proto.shape());
  CHECK_EQ(count_, proto.data_size());
  Dtype* data = mutable_cpu_data();
  for (int i = 0; i < count_; ++i) data[i] = proto.data(i);
}

INSTANTIATE_CLASS(Blob);

}  // namespace caffe
