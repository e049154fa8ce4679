#include "caffe/data_transformer.hpp"

#include <cstddef>
#include <opencv2/core.hpp>
#include <string>
#include <type_traits>

#include "caffe/data/convert_row.hpp"
#include "caffe/util/image_io.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
template <typename Pixel>
struct DataTransformer<Dtype>::View {
  const Pixel* data;
  int channels, height, width;
  // Steps in elements between neighbours.
  std::ptrdiff_t channel_step, row_step, pixel_step;
};

namespace {

string ImageText(int channels, int height, int width) {
  return Str(channels, " x ", height, " x ", width, " (channels, height, width)");
}

}  // namespace

template <typename Dtype>
DataTransformer<Dtype>::DataTransformer(const TransformationParameter& param, Phase phase)
    : param_(param), phase_(phase) {
  if (param_.has_mean_file() && param_.mean_value_size() > 0) {
    throw ValueError("transform_param has both mean_file and mean_value; keep one");
  }
  if (param_.force_color() && param_.force_gray()) {
    throw ValueError("transform_param has both force_color and force_gray; keep one");
  }
  if (param_.crop_size() > static_cast<unsigned>(INT_MAX)) {
    throw ValueError(Str("transform_param: crop_size is ", param_.crop_size(),
                         ", expected at most ", INT_MAX));
  }
  if (param_.has_mean_file()) {
    BlobProto proto;
    ReadProtoFromBinaryFileOrDie(param_.mean_file(), &proto);
    data_mean_.FromProto(proto);
    if (data_mean_.num_axes() < 1 || data_mean_.num_axes() > 4 || data_mean_.num() != 1) {
      throw ValueError(Str("mean file '", param_.mean_file(), "' has shape ",
                           ShapeText(data_mean_.shape()), ", expected one image"));
    }
    data_mean_.cpu_data();  // so that threads find it in place
  }
  mean_values_.assign(param_.mean_value().begin(), param_.mean_value().end());
}

template <typename Dtype>
bool DataTransformer<Dtype>::NeedsRand() const {
  return param_.mirror() || (phase_ == TRAIN && param_.crop_size() > 0);
}

template <typename Dtype>
void DataTransformer<Dtype>::InitRand() {
  rng_.reset(NeedsRand() ? new Caffe::RNG(caffe_rng_rand()) : nullptr);
}

template <typename Dtype>
int DataTransformer<Dtype>::Rand(int n) {
  CHECK(rng_) << "InitRand has not been called";
  CHECK_GT(n, 0);
  auto* generator = static_cast<rng_t*>(rng_->generator());
  return static_cast<int>((*generator)() % static_cast<unsigned>(n));
}

// For an image that CheckFit has passed. The order of the draws (mirror, row, column)
// is Caffe's.
template <typename Dtype>
template <typename Draw>
typename DataTransformer<Dtype>::Choice DataTransformer<Dtype>::Choose(int height,
                                                                       int width,
                                                                       Draw draw) const {
  Choice choice;
  choice.mirror = param_.mirror() && draw(2);
  const int crop = static_cast<int>(param_.crop_size());
  if (crop == 0) return choice;
  if (phase_ == TRAIN) {
    choice.h_off = draw(height - crop + 1);
    choice.w_off = draw(width - crop + 1);
  } else {
    choice.h_off = (height - crop) / 2;
    choice.w_off = (width - crop) / 2;
  }
  return choice;
}

template <typename Dtype>
typename DataTransformer<Dtype>::Choice DataTransformer<Dtype>::ChooseByRand(int height,
                                                                             int width) {
  return Choose(height, width, [this](int n) { return Rand(n); });
}

template <typename Dtype>
typename DataTransformer<Dtype>::Choice DataTransformer<Dtype>::ChooseBy(
    rng_t* rng, int height, int width) const {
  return Choose(height, width, [rng](int n) {
    CHECK(rng) << "random mirroring or cropping needs a generator";
    return static_cast<int>((*rng)() % static_cast<unsigned>(n));
  });
}

template <typename Dtype>
vector<int> DataTransformer<Dtype>::OutputShape(int num, int channels, int height,
                                                int width) const {
  const int crop = static_cast<int>(param_.crop_size());
  if (num < 1 || channels < 1 || height < 1 || width < 1) {
    throw ValueError(Str(num, " image(s) of ", ImageText(channels, height, width),
                         ", expected positive numbers"));
  }
  if (crop == 0) return {num, channels, height, width};
  if (crop > height || crop > width) {
    throw ValueError(Str("crop_size is ", crop, ", larger than the image of ", width,
                         " x ", height, " pixels; use larger images or a smaller crop"));
  }
  return {num, channels, crop, crop};
}

// Whether an image fits the mean and, transformed, an output of `shape`.
template <typename Dtype>
void DataTransformer<Dtype>::CheckFit(const vector<int>& shape, int channels, int height,
                                      int width) const {
  const vector<int> want = OutputShape(1, channels, height, width);
  if (shape.size() != 4 || shape[1] != want[1]) {
    throw ValueError(Str("the image has ", channels,
                         " channel(s), but the output shape is ", ShapeText(shape),
                         "; force_color or force_gray makes encoded "
                         "images alike"));
  }
  if (shape[2] != want[2] || shape[3] != want[3]) {
    throw ValueError(Str("the image is ", want[3], " x ", want[2], " pixels, expected ",
                         shape[3], " x ", shape[2],
                         " like the others of its batch; "
                         "resize the images, set crop_size, or use batch_size: 1"));
  }
  if (param_.has_mean_file() &&
      (channels != data_mean_.channels() || height != data_mean_.height() ||
       width != data_mean_.width())) {
    throw ValueError(
        Str("mean file '", param_.mean_file(), "' is ",
            ImageText(data_mean_.channels(), data_mean_.height(), data_mean_.width()),
            ", expected ", ImageText(channels, height, width),
            " like the image before cropping"));
  }
  const int values = static_cast<int>(mean_values_.size());
  if (values > 1 && values != channels) {
    throw ValueError(Str("transform_param has ", values,
                         " values of mean_value, expected "
                         "1 or ",
                         channels, ", one for every channel"));
  }
}

template <typename Dtype>
Dtype DataTransformer<Dtype>::MeanValue(int channel) const {
  if (mean_values_.empty()) return Dtype(0);
  return mean_values_.size() == 1 ? mean_values_[0] : mean_values_[channel];
}

template <typename Dtype>
template <typename Pixel>
void DataTransformer<Dtype>::TransformView(const View<Pixel>& view,
                                           const vector<int>& shape, Choice choice,
                                           Dtype* out) const {
  const int height = shape[2];
  const int width = shape[3];
  const auto scale = static_cast<Dtype>(param_.scale());
  // A mirrored row is read from its last pixel backwards.
  const std::ptrdiff_t first = choice.w_off + (choice.mirror ? width - 1 : 0);
  const int direction = choice.mirror ? -1 : 1;
  for (int c = 0; c < view.channels; ++c) {
    const Dtype value = MeanValue(c);
    for (int h = 0; h < height; ++h) {
      const int row = h + choice.h_off;
      const Pixel* in = view.data + c * view.channel_step + row * view.row_step +
                        first * view.pixel_step;
      const Dtype* mean = &value;
      if (param_.has_mean_file()) {
        mean = data_mean_.cpu_data() +
               (std::ptrdiff_t{c} * view.height + row) * view.width + first;
      }
      ConvertRow(in, direction * view.pixel_step, mean,
                 param_.has_mean_file() ? direction : 0, scale, width, out);
      out += width;
    }
  }
}

template <typename Dtype>
void DataTransformer<Dtype>::TransformMat(const cv::Mat& image, const vector<int>& shape,
                                          Choice choice, Dtype* out) const {
  const View<uchar> view = {image.ptr<uchar>(),
                            image.channels(),
                            image.rows,
                            image.cols,
                            1,
                            static_cast<std::ptrdiff_t>(image.step[0]),
                            image.channels()};
  TransformView(view, shape, choice, out);
}

template <typename Dtype>
void DataTransformer<Dtype>::TransformRaw(const Datum& datum, const vector<int>& shape,
                                          Choice choice, Dtype* out) const {
  const int height = datum.height();
  const int width = datum.width();
  const std::ptrdiff_t plane = std::ptrdiff_t{height} * width;
  if (datum.data().empty()) {
    const View<float> view = {
        datum.float_data().data(), datum.channels(), height, width, plane, width, 1};
    TransformView(view, shape, choice, out);
  } else {
    const View<uchar> view = {reinterpret_cast<const uchar*>(datum.data().data()),
                              datum.channels(),
                              height,
                              width,
                              plane,
                              width,
                              1};
    TransformView(view, shape, choice, out);
  }
}

namespace {

void CheckImage(const cv::Mat& image) {
  if (image.empty()) throw ValueError("the image is empty");
  if (image.depth() != CV_8U || image.dims != 2) {
    throw ValueError("the image is not one of 8-bit channels; convert it first");
  }
}

}  // namespace

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const cv::Mat& cv_img, const vector<int>& shape,
                                       rng_t* rng, Dtype* out) const {
  CheckImage(cv_img);
  CheckFit(shape, cv_img.channels(), cv_img.rows, cv_img.cols);
  TransformMat(cv_img, shape, ChooseBy(rng, cv_img.rows, cv_img.cols), out);
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const Datum& raw, const vector<int>& shape,
                                       rng_t* rng, Dtype* out) const {
  CheckRawDatum(raw);
  CheckFit(shape, raw.channels(), raw.height(), raw.width());
  TransformRaw(raw, shape, ChooseBy(rng, raw.height(), raw.width()), out);
}

template <typename Dtype>
cv::Mat DataTransformer<Dtype>::Decode(const Datum& datum) const {
  return DecodeImage(datum.data(), param_.force_color()  ? ImageColors::kColor
                                   : param_.force_gray() ? ImageColors::kGray
                                                         : ImageColors::kAsStored);
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const Datum& datum,
                                       Blob<Dtype>* transformed_blob) {
  if (datum.encoded()) return Transform(Decode(datum), transformed_blob);
  if (param_.force_color() || param_.force_gray()) {
    LOG_FIRST_N(WARNING, 1)
        << "force_color and force_gray only apply to encoded images; these are raw";
  }
  CheckRawDatum(datum);
  CHECK_GE(transformed_blob->num(), 1);
  CheckFit(transformed_blob->shape(), datum.channels(), datum.height(), datum.width());
  TransformRaw(datum, transformed_blob->shape(),
               ChooseByRand(datum.height(), datum.width()),
               transformed_blob->mutable_cpu_data());
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const cv::Mat& cv_img,
                                       Blob<Dtype>* transformed_blob) {
  CheckImage(cv_img);
  CHECK_GE(transformed_blob->num(), 1);
  CheckFit(transformed_blob->shape(), cv_img.channels(), cv_img.rows, cv_img.cols);
  TransformMat(cv_img, transformed_blob->shape(), ChooseByRand(cv_img.rows, cv_img.cols),
               transformed_blob->mutable_cpu_data());
}

namespace {

// Transforms item i into a blob that shares the i-th part of `all`'s memory.
template <typename Dtype, typename Item>
void TransformEach(const vector<Item>& items, Blob<Dtype>* all,
                   DataTransformer<Dtype>* transformer) {
  if (items.empty()) throw ValueError("there are no images to transform");
  if (static_cast<int>(items.size()) != all->num()) {
    throw ValueError(Str(items.size(), " images do not fit a blob of shape ",
                         ShapeText(all->shape()), "; give it one for each"));
  }
  vector<int> shape = all->shape();
  shape[0] = 1;
  Blob<Dtype> one(shape);
  Dtype* data = all->mutable_cpu_data();
  for (const Item& item : items) {
    one.set_cpu_data(data);
    transformer->Transform(item, &one);
    data += one.count();
  }
}

}  // namespace

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const vector<Datum>& datum_vector,
                                       Blob<Dtype>* transformed_blob) {
  TransformEach(datum_vector, transformed_blob, this);
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const vector<cv::Mat>& mat_vector,
                                       Blob<Dtype>* transformed_blob) {
  TransformEach(mat_vector, transformed_blob, this);
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(Blob<Dtype>* input_blob,
                                       Blob<Dtype>* transformed_blob) {
  const int num = input_blob->num();
  const int channels = input_blob->channels();
  const int height = input_blob->height();
  const int width = input_blob->width();
  if (transformed_blob->num_axes() == 0 || transformed_blob->count() == 0) {
    transformed_blob->Reshape(OutputShape(num, channels, height, width));
  }
  const vector<int>& shape = transformed_blob->shape();
  if (transformed_blob->num() != num) {
    throw ValueError(Str("images of shape ", ShapeText(input_blob->shape()),
                         " do not fit a blob of shape ", ShapeText(shape)));
  }
  CheckFit(shape, channels, height, width);
  const Choice choice = ChooseByRand(height, width);
  const std::ptrdiff_t plane = std::ptrdiff_t{height} * width;
  View<Dtype> view = {input_blob->cpu_data(), channels, height, width, plane, width, 1};
  Dtype* out = transformed_blob->mutable_cpu_data();
  for (int n = 0; n < num; ++n) {
    TransformView(view, shape, choice, out);
    view.data += channels * plane;
    out += transformed_blob->count(1);
  }
}

template <typename Dtype>
vector<int> DataTransformer<Dtype>::InferBlobShape(const Datum& datum) {
  if (datum.encoded()) return InferBlobShape(Decode(datum));
  CheckRawDatum(datum);
  return OutputShape(1, datum.channels(), datum.height(), datum.width());
}

template <typename Dtype>
vector<int> DataTransformer<Dtype>::InferBlobShape(const cv::Mat& cv_img) {
  CheckImage(cv_img);
  return OutputShape(1, cv_img.channels(), cv_img.rows, cv_img.cols);
}

template <typename Dtype>
vector<int> DataTransformer<Dtype>::InferBlobShape(const vector<Datum>& datum_vector) {
  if (datum_vector.empty()) throw ValueError("there are no images to transform");
  vector<int> shape = InferBlobShape(datum_vector[0]);
  shape[0] = static_cast<int>(datum_vector.size());
  return shape;
}

template <typename Dtype>
vector<int> DataTransformer<Dtype>::InferBlobShape(const vector<cv::Mat>& mat_vector) {
  if (mat_vector.empty()) throw ValueError("there are no images to transform");
  vector<int> shape = InferBlobShape(mat_vector[0]);
  shape[0] = static_cast<int>(mat_vector.size());
  return shape;
}

INSTANTIATE_CLASS(DataTransformer);

}  // namespace caffe
