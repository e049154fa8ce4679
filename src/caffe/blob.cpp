#include "caffe/blob.hpp"

#include <cstdint>
#include <type_traits>
#include <vector>

#include "caffe/util/math_functions.hpp"

namespace caffe {

string ShapeText(const vector<int>& shape) {
  ostringstream out;
  out << "(";
  for (size_t i = 0; i < shape.size(); ++i) out << (i ? ", " : "") << shape[i];
  out << (shape.size() == 1 ? ",)" : ")");
  return out.str();
}

void RefuseAxis(int axis, const vector<int>& shape) {
  const int axes = static_cast<int>(shape.size());
  throw ValueError(
      Str("axis ", axis, " of shape ", ShapeText(shape), ", expected ",
          axes == 0 ? string("none: it has no axes") : Str(-axes, " to ", axes - 1)));
}

namespace {

// The shape a stored blob has by the legacy fields or the current one.
vector<int> StoredShape(const BlobProto& proto) {
  vector<int> shape;
  if (proto.has_num() || proto.has_channels() || proto.has_height() ||
      proto.has_width()) {
    shape = {proto.num(), proto.channels(), proto.height(), proto.width()};
  } else {
    for (int64_t dim : proto.shape().dim()) {
      if (dim < 0 || dim > INT_MAX) {
        throw ValueError(Str("a stored blob has a dimension of ", dim, ", expected 0 to ",
                             INT_MAX, "; the file is damaged"));
      }
      shape.push_back(static_cast<int>(dim));
    }
  }
  return shape;
}

// Whichever of the float and double arrays is present holds `count` values.
template <typename Floats, typename Doubles>
void CheckStored(const Floats& floats, const Doubles& doubles, int count,
                 const char* what) {
  const int stored = doubles.size() > 0 ? doubles.size() : floats.size();
  if (stored != count) {
    throw ValueError(Str("a stored blob holds ", stored, " ", what, " values, expected ",
                         count, " from its shape"));
  }
}

template <typename Dtype, typename Floats, typename Doubles>
void CopyStored(const Floats& floats, const Doubles& doubles, Dtype* out) {
  if (doubles.size() > 0) {
    std::copy(doubles.begin(), doubles.end(), out);
  } else {
    std::copy(floats.begin(), floats.end(), out);
  }
}

}  // namespace

template <typename Dtype>
void Blob<Dtype>::Reshape(const int num, const int channels, const int height,
                          const int width) {
  Reshape(vector<int>{num, channels, height, width});
}

template <typename Dtype>
void Blob<Dtype>::Reshape(const vector<int>& shape) {
  if (static_cast<int>(shape.size()) > kMaxBlobAxes) {
    throw ValueError(Str("shape ", ShapeText(shape), " has ", shape.size(),
                         " axes, expected at most ", kMaxBlobAxes));
  }
  int64_t count = 1;
  for (int dim : shape) {
    if (dim < 0) {
      throw ValueError(Str("shape ", ShapeText(shape), " has a negative dimension"));
    }
    count *= dim;
    if (count > INT_MAX) {
      throw ValueError(Str("shape ", ShapeText(shape), " has more than ", INT_MAX,
                           " elements; use a smaller batch or image"));
    }
  }
  if (!shape_data_ || shape_data_->size() < shape.size() * sizeof(int)) {
    shape_data_ = std::make_shared<SyncedMemory>(shape.size() * sizeof(int));
  }
  int* shape_data = static_cast<int*>(shape_data_->mutable_cpu_data());
  std::copy(shape.begin(), shape.end(), shape_data);
  shape_ = shape;
  count_ = static_cast<int>(count);
  if (count_ > capacity_ || !data_) {
    capacity_ = count_;
    data_ = std::make_shared<SyncedMemory>(capacity_ * sizeof(Dtype));
    diff_ = std::make_shared<SyncedMemory>(capacity_ * sizeof(Dtype));
  }
}

template <typename Dtype>
void Blob<Dtype>::Reshape(const BlobShape& shape) {
  vector<int> dims;
  for (int64_t dim : shape.dim()) {
    if (dim < 0 || dim > INT_MAX) {
      throw ValueError(
          Str("axis ", dims.size(), " of a shape is ", dim, ", expected 0 to ", INT_MAX));
    }
    dims.push_back(static_cast<int>(dim));
  }
  Reshape(dims);
}

template <typename Dtype>
void Blob<Dtype>::ReshapeLike(const Blob<Dtype>& other) {
  Reshape(other.shape());
}

template <typename Dtype>
Blob<Dtype>::Blob(const int num, const int channels, const int height, const int width)
    : count_(0), capacity_(0) {
  Reshape(num, channels, height, width);
}

template <typename Dtype>
Blob<Dtype>::Blob(const vector<int>& shape) : count_(0), capacity_(0) {
  Reshape(shape);
}

template <typename Dtype>
const int* Blob<Dtype>::gpu_shape() const {
  CHECK(shape_data_);
  return static_cast<const int*>(shape_data_->gpu_data());
}

template <typename Dtype>
const Dtype* Blob<Dtype>::cpu_data() const {
  return static_cast<const Dtype*>(data()->cpu_data());
}

template <typename Dtype>
const Dtype* Blob<Dtype>::gpu_data() const {
  return static_cast<const Dtype*>(data()->gpu_data());
}

template <typename Dtype>
const Dtype* Blob<Dtype>::cpu_diff() const {
  return static_cast<const Dtype*>(diff()->cpu_data());
}

template <typename Dtype>
const Dtype* Blob<Dtype>::gpu_diff() const {
  return static_cast<const Dtype*>(diff()->gpu_data());
}

template <typename Dtype>
Dtype* Blob<Dtype>::mutable_cpu_data() {
  return static_cast<Dtype*>(data()->mutable_cpu_data());
}

template <typename Dtype>
Dtype* Blob<Dtype>::mutable_gpu_data() {
  return static_cast<Dtype*>(data()->mutable_gpu_data());
}

template <typename Dtype>
Dtype* Blob<Dtype>::mutable_cpu_diff() {
  return static_cast<Dtype*>(diff()->mutable_cpu_data());
}

template <typename Dtype>
Dtype* Blob<Dtype>::mutable_gpu_diff() {
  return static_cast<Dtype*>(diff()->mutable_gpu_data());
}

template <typename Dtype>
void Blob<Dtype>::set_cpu_data(Dtype* data) {
  CHECK(data);
  // The outsider's buffer holds count_ elements, not the capacity.
  const size_t bytes = count_ * sizeof(Dtype);
  if (this->data()->size() != bytes) {
    data_ = std::make_shared<SyncedMemory>(bytes);
    diff_ = std::make_shared<SyncedMemory>(bytes);
    capacity_ = count_;
  }
  data_->set_cpu_data(data);
}

template <typename Dtype>
void Blob<Dtype>::set_gpu_data(Dtype* data) {
  CHECK(data);
  const size_t bytes = count_ * sizeof(Dtype);
  if (this->data()->size() != bytes) {
    data_ = std::make_shared<SyncedMemory>(bytes);
    diff_ = std::make_shared<SyncedMemory>(bytes);
    capacity_ = count_;
  }
  data_->set_gpu_data(data);
}

template <typename Dtype>
void Blob<Dtype>::ShareData(const Blob& other) {
  CHECK_EQ(count_, other.count()) << "only blobs of equal count can share data";
  data_ = other.data();
}

template <typename Dtype>
void Blob<Dtype>::ShareDiff(const Blob& other) {
  CHECK_EQ(count_, other.count()) << "only blobs of equal count can share diff";
  diff_ = other.diff();
}

template <typename Dtype>
void Blob<Dtype>::Update() {
  if (data()->head() == SyncedMemory::HEAD_AT_GPU ||
      (data()->head() == SyncedMemory::SYNCED && Caffe::mode() == Caffe::GPU)) {
    caffe_gpu_axpy<Dtype>(count_, Dtype(-1), gpu_diff(), mutable_gpu_data());
    return;
  }
  caffe_axpy<Dtype>(count_, Dtype(-1), cpu_diff(), mutable_cpu_data());
}

// Parameters of integer type appear in a few layers as pure storage.
template <>
void Blob<unsigned int>::Update() {
  NOT_IMPLEMENTED;
}
template <>
void Blob<int>::Update() {
  NOT_IMPLEMENTED;
}

namespace {

bool NeverWritten(const SyncedMemory& memory) {
  return memory.head() == SyncedMemory::UNINITIALIZED && !memory.discarded();
}

// Whether it is less work to go on there.
bool OnDevice(const SyncedMemory& memory) {
  return Caffe::mode() == Caffe::GPU && memory.head() != SyncedMemory::HEAD_AT_CPU;
}

template <typename Dtype>
Dtype AbsoluteSum(const shared_ptr<SyncedMemory>& memory, int count) {
  if (NeverWritten(*memory)) return 0;
  if constexpr (std::is_floating_point_v<Dtype>) {
    if (!OnDevice(*memory)) {
      return caffe_cpu_asum(count, static_cast<const Dtype*>(memory->cpu_data()));
    }
    Dtype sum;
    caffe_gpu_asum(count, static_cast<const Dtype*>(memory->gpu_data()), &sum);
    return sum;
  }
  NOT_IMPLEMENTED;  // for integers, as in Caffe
}

template <typename Dtype>
Dtype SquareSum(const shared_ptr<SyncedMemory>& memory, int count) {
  if (NeverWritten(*memory)) return 0;
  if constexpr (std::is_floating_point_v<Dtype>) {
    if (!OnDevice(*memory)) {
      const Dtype* data = static_cast<const Dtype*>(memory->cpu_data());
      return caffe_cpu_dot(count, data, data);
    }
    const Dtype* data = static_cast<const Dtype*>(memory->gpu_data());
    Dtype sum;
    caffe_gpu_dot(count, data, data, &sum);
    return sum;
  }
  NOT_IMPLEMENTED;
}

template <typename Dtype>
void ScaleInPlace(const shared_ptr<SyncedMemory>& memory, int count, Dtype factor) {
  if (memory->head() == SyncedMemory::UNINITIALIZED) return;
  if constexpr (std::is_floating_point_v<Dtype>) {
    if (OnDevice(*memory)) {
      caffe_gpu_scal(count, factor, static_cast<Dtype*>(memory->mutable_gpu_data()));
    } else {
      caffe_scal(count, factor, static_cast<Dtype*>(memory->mutable_cpu_data()));
    }
    return;
  }
  NOT_IMPLEMENTED;
}

}  // namespace

template <typename Dtype>
Dtype Blob<Dtype>::asum_data() const {
  return data_ ? AbsoluteSum<Dtype>(data_, count_) : Dtype(0);
}

template <typename Dtype>
Dtype Blob<Dtype>::asum_diff() const {
  return diff_ ? AbsoluteSum<Dtype>(diff_, count_) : Dtype(0);
}

template <typename Dtype>
Dtype Blob<Dtype>::sumsq_data() const {
  return data_ ? SquareSum<Dtype>(data_, count_) : Dtype(0);
}

template <typename Dtype>
Dtype Blob<Dtype>::sumsq_diff() const {
  return diff_ ? SquareSum<Dtype>(diff_, count_) : Dtype(0);
}

template <typename Dtype>
void Blob<Dtype>::scale_data(Dtype scale_factor) {
  if (data_) ScaleInPlace<Dtype>(data_, count_, scale_factor);
}

template <typename Dtype>
void Blob<Dtype>::scale_diff(Dtype scale_factor) {
  if (diff_) ScaleInPlace<Dtype>(diff_, count_, scale_factor);
}

template <typename Dtype>
bool Blob<Dtype>::ShapeEquals(const BlobProto& other) const {
  if (other.has_num() || other.has_channels() || other.has_height() ||
      other.has_width()) {
    // Legacy blobs are 4-d; leading axes of length 1 are free, as with Caffe.
    return num_axes() <= 4 && LegacyShape(-4) == other.num() &&
           LegacyShape(-3) == other.channels() && LegacyShape(-2) == other.height() &&
           LegacyShape(-1) == other.width();
  }
  return shape_ == StoredShape(other);
}

template <typename Dtype>
void Blob<Dtype>::CopyFrom(const Blob& source, bool copy_diff, bool reshape) {
  if (source.count() != count_ || source.shape() != shape_) {
    if (!reshape) {
      throw ValueError(Str("cannot copy a blob of shape ", ShapeText(source.shape()),
                           " into one of shape ", ShapeText(shape_),
                           "; reshape it first"));
    }
    ReshapeLike(source);
  }
  if (Caffe::mode() == Caffe::GPU) {
    if (copy_diff) {
      caffe_copy(count_, source.gpu_diff(), mutable_gpu_diff());
    } else {
      caffe_copy(count_, source.gpu_data(), mutable_gpu_data());
    }
    return;
  }
  const Dtype* from = copy_diff ? source.cpu_diff() : source.cpu_data();
  caffe_copy(count_, from, copy_diff ? mutable_cpu_diff() : mutable_cpu_data());
}

template <typename Dtype>
void Blob<Dtype>::FromProto(const BlobProto& proto, bool reshape) {
  const vector<int> stored = StoredShape(proto);
  if (reshape) {
    // Checked before memory is taken: a damaged file may name any shape.
    int64_t wanted = 1;
    for (int dim : stored) {
      if (dim < 0) {
        throw ValueError(Str("a stored blob has shape ", ShapeText(stored)));
      }
      wanted *= dim;
      if (wanted > INT_MAX) break;
    }
    const int64_t values = std::max(proto.data_size(), proto.double_data_size());
    if (wanted != values) {
      throw ValueError(Str("a stored blob of shape ", ShapeText(stored), " holds ",
                           values, " values; the file is damaged"));
    }
    Reshape(stored);
  } else if (!ShapeEquals(proto)) {
    throw ValueError(Str("a stored blob has shape ", ShapeText(stored), ", expected ",
                         ShapeText(shape_)));
  }
  // Both are checked before either is copied: a refused blob changes no value.
  const bool has_diff = proto.diff_size() > 0 || proto.double_diff_size() > 0;
  CheckStored(proto.data(), proto.double_data(), count_, "data");
  if (has_diff) CheckStored(proto.diff(), proto.double_diff(), count_, "diff");
  CopyStored(proto.data(), proto.double_data(), mutable_cpu_data());
  if (has_diff) CopyStored(proto.diff(), proto.double_diff(), mutable_cpu_diff());
}

template <>
void Blob<double>::ToProto(BlobProto* proto, bool write_diff) const {
  proto->Clear();
  for (int dim : shape_) proto->mutable_shape()->add_dim(dim);
  const double* data = cpu_data();
  proto->mutable_double_data()->Add(data, data + count_);
  if (write_diff) {
    const double* diff = cpu_diff();
    proto->mutable_double_diff()->Add(diff, diff + count_);
  }
}

template <>
void Blob<float>::ToProto(BlobProto* proto, bool write_diff) const {
  proto->Clear();
  for (int dim : shape_) proto->mutable_shape()->add_dim(dim);
  const float* data = cpu_data();
  proto->mutable_data()->Add(data, data + count_);
  if (write_diff) {
    const float* diff = cpu_diff();
    proto->mutable_diff()->Add(diff, diff + count_);
  }
}

template <>
void Blob<int>::ToProto(BlobProto*, bool) const {
  NOT_IMPLEMENTED;
}
template <>
void Blob<unsigned int>::ToProto(BlobProto*, bool) const {
  NOT_IMPLEMENTED;
}

INSTANTIATE_CLASS(Blob);
template class Blob<int>;
template class Blob<unsigned int>;

}  // namespace caffe
