#include "caffe/filler.hpp"

#include <cmath>
#include <vector>

#include "caffe/util/closest.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
Dtype* Filler<Dtype>::CheckedData(Blob<Dtype>* blob, bool allow_sparse) const {
  if (blob->count() == 0) {
    throw ValueError(Str("filler '", filler_param_.type(), "': the blob of shape ",
                         ShapeText(blob->shape()), " is empty"));
  }
  if (!allow_sparse && filler_param_.sparse() != -1) {
    throw ValueError(Str("filler '", filler_param_.type(), "': sparse is ",
                         filler_param_.sparse(),
                         "; only the gaussian filler knows sparse weights"));
  }
  return blob->mutable_cpu_data();
}

template <typename Dtype>
Dtype Filler<Dtype>::Fan(const Blob<Dtype>& blob) const {
  const Dtype fan_in = static_cast<Dtype>(blob.count()) / blob.shape(0);
  const Dtype fan_out = blob.num_axes() > 1
                            ? static_cast<Dtype>(blob.count()) / blob.shape(1)
                            : blob.count();
  switch (filler_param_.variance_norm()) {
    case FillerParameter_VarianceNorm_AVERAGE:
      return (fan_in + fan_out) / Dtype(2);
    case FillerParameter_VarianceNorm_FAN_OUT:
      return fan_out;
    default:
      return fan_in;
  }
}

template <typename Dtype>
void ConstantFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  Dtype* data = this->CheckedData(blob);
  caffe_set(blob->count(), static_cast<Dtype>(this->filler_param_.value()), data);
}

template <typename Dtype>
void UniformFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  Dtype* data = this->CheckedData(blob);
  caffe_rng_uniform(blob->count(), static_cast<Dtype>(this->filler_param_.min()),
                    static_cast<Dtype>(this->filler_param_.max()), data);
}

template <typename Dtype>
void GaussianFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  const FillerParameter& param = this->filler_param_;
  Dtype* data = this->CheckedData(blob, true);
  const int count = blob->count();
  caffe_rng_gaussian(count, static_cast<Dtype>(param.mean()),
                     static_cast<Dtype>(param.std()), data);
  const int sparse = param.sparse();
  if (sparse < 0) return;
  const int num_outputs = blob->shape(0);
  const Dtype keep = std::min(Dtype(1), Dtype(sparse) / Dtype(num_outputs));
  std::vector<int> mask(count);
  caffe_rng_bernoulli(count, keep, mask.data());
  for (int i = 0; i < count; ++i) data[i] *= mask[i];
}

template <typename Dtype>
void PositiveUnitballFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  Dtype* data = this->CheckedData(blob);
  caffe_rng_uniform<Dtype>(blob->count(), 0, 1, data);
  const int rows = blob->shape(0);
  const int row_length = blob->count() / rows;
  for (int row = 0; row < rows; ++row) {
    Dtype* values = data + row * row_length;
    Dtype sum = 0;
    for (int i = 0; i < row_length; ++i) sum += values[i];
    if (sum > 0) caffe_scal(row_length, 1 / sum, values);
  }
}

template <typename Dtype>
void XavierFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  Dtype* data = this->CheckedData(blob);
  const Dtype bound = std::sqrt(Dtype(3) / this->Fan(*blob));
  caffe_rng_uniform<Dtype>(blob->count(), -bound, bound, data);
}

template <typename Dtype>
void MSRAFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  Dtype* data = this->CheckedData(blob);
  caffe_rng_gaussian<Dtype>(blob->count(), 0, std::sqrt(Dtype(2) / this->Fan(*blob)),
                            data);
}

template <typename Dtype>
void BilinearFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  Dtype* data = this->CheckedData(blob);
  if (blob->num_axes() != 4 || blob->shape(2) != blob->shape(3)) {
    throw ValueError(Str("filler 'bilinear': the blob has shape ",
                         ShapeText(blob->shape()),
                         ", expected 4 axes and a square kernel"));
  }
  const int size = blob->shape(3);
  // The tent of half-width f = ceil(size/2), centred on the kernel.
  const int factor = (size + 1) / 2;
  const double centre = (size - 1) / (2.0 * factor);
  std::vector<Dtype> tent(size);
  for (int i = 0; i < size; ++i) {
    tent[i] = static_cast<Dtype>(1 - std::fabs(static_cast<double>(i) / factor - centre));
  }
  for (int i = 0; i < blob->count(); ++i) {
    data[i] = tent[i % size] * tent[(i / size) % size];
  }
}

template <typename Dtype>
Filler<Dtype>* GetFiller(const FillerParameter& param) {
  const std::string& type = param.type();
  if (type == "constant") return new ConstantFiller<Dtype>(param);
  if (type == "gaussian") return new GaussianFiller<Dtype>(param);
  if (type == "positive_unitball") return new PositiveUnitballFiller<Dtype>(param);
  if (type == "uniform") return new UniformFiller<Dtype>(param);
  if (type == "xavier") return new XavierFiller<Dtype>(param);
  if (type == "msra") return new MSRAFiller<Dtype>(param);
  if (type == "bilinear") return new BilinearFiller<Dtype>(param);
  throw ValueError(Str("unknown filler type '", type, "'",
                       Suggestion(type, {"constant", "gaussian", "positive_unitball",
                                         "uniform", "xavier", "msra", "bilinear"})));
}

#define INSTANTIATE_FILLERS(Dtype)              \
  template class Filler<Dtype>;                 \
  template class ConstantFiller<Dtype>;         \
  template class UniformFiller<Dtype>;          \
  template class GaussianFiller<Dtype>;         \
  template class PositiveUnitballFiller<Dtype>; \
  template class XavierFiller<Dtype>;           \
  template class MSRAFiller<Dtype>;             \
  template class BilinearFiller<Dtype>;         \
  template Filler<Dtype>* GetFiller<Dtype>(const FillerParameter&)
INSTANTIATE_FILLERS(float);
INSTANTIATE_FILLERS(double);

}  // namespace caffe
