#include "caffe/data_transformer.hpp"

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstddef>
#include <opencv2/core.hpp>
#include <string>

#include "caffe/data/augmentation.hpp"
#include "caffe/data/convert_row.hpp"
#include "caffe/ops/finish_pixels.hpp"
#include "caffe/util/image_io.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
struct DataTransformer<Dtype>::Choice {
  Warp warp;
  vector<Dtype> jitter;  // of every channel; empty for none
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
  CheckAugmentation(param_);
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
  return param_.mirror() ||
         (phase_ == TRAIN && (param_.crop_size() > 0 || param_.max_rotation() > 0 ||
                              param_.max_jitter() > 0));
}

template <typename Dtype>
bool DataTransformer<Dtype>::ResizesCrops() const {
  return phase_ == TRAIN && param_.has_random_resized_crop();
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

// For an image that CheckFit has passed. The order of the draws begins with Caffe's:
// mirror, row, column. There are kMaxDraws at most.
template <typename Dtype>
typename DataTransformer<Dtype>::Choice DataTransformer<Dtype>::Choose(
    int channels, int height, int width, const RandomDraws& draws) const {
  const vector<int> shape = OutputShape(1, channels, height, width);
  Choice choice;
  Warp& warp = choice.warp;
  warp.height = shape[2];
  warp.width = shape[3];
  warp.mirror = param_.mirror() && draws.below(2);
  if (ResizesCrops()) {
    const CropBox box = DrawCrop(param_.random_resized_crop(), height, width, draws);
    warp.rows = Axis::Over(box.top, box.height, warp.height);
    warp.columns = Axis::Over(box.left, box.width, warp.width);
  } else {
    const int side = static_cast<int>(param_.resize_short());
    const CropBox whole =
        side > 0 ? ResizedToShort(side, height, width) : CropBox{0, 0, height, width};
    int h_off = 0, w_off = 0;
    if (param_.crop_size() > 0 && phase_ == TRAIN) {
      h_off = draws.below(whole.height - warp.height + 1);
      w_off = draws.below(whole.width - warp.width + 1);
    } else if (param_.crop_size() > 0) {
      h_off = (whole.height - warp.height) / 2;
      w_off = (whole.width - warp.width) / 2;
    }
    if (side > 0) {
      warp.rows = Axis::Over(0, height, whole.height);
      warp.columns = Axis::Over(0, width, whole.width);
      warp.rows.start += h_off * warp.rows.step;
      warp.columns.start += w_off * warp.columns.step;
    } else {
      warp.rows = Axis::Shifted(h_off, height);
      warp.columns = Axis::Shifted(w_off, width);
    }
  }
  if (phase_ != TRAIN) return choice;
  if (param_.max_rotation() > 0) {
    warp.degrees = param_.max_rotation() * (2 * draws.uniform() - 1);
  }
  if (param_.max_jitter() > 0) {
    for (int c = 0; c < channels; ++c) {
      choice.jitter.push_back(
          static_cast<Dtype>(param_.max_jitter() * (2 * draws.uniform() - 1)));
    }
  }
  return choice;
}

namespace {

double Uniform(rng_t* rng) { return (*rng)() * 0x1p-32; }

}  // namespace

template <typename Dtype>
RandomDraws DataTransformer<Dtype>::DrawsByRand() {
  return {[this](int n) { return Rand(n); },
          [this] {
            CHECK(rng_) << "InitRand has not been called";
            return Uniform(static_cast<rng_t*>(rng_->generator()));
          }};
}

template <typename Dtype>
RandomDraws DataTransformer<Dtype>::DrawsBy(rng_t* rng) const {
  CHECK(rng || !NeedsRand()) << "random draws need a generator";
  return {[rng](int n) { return static_cast<int>((*rng)() % static_cast<unsigned>(n)); },
          [rng] { return Uniform(rng); }};
}

template <typename Dtype>
vector<int> DataTransformer<Dtype>::OutputShape(int num, int channels, int height,
                                                int width) const {
  const int crop = static_cast<int>(param_.crop_size());
  if (num < 1 || channels < 1 || height < 1 || width < 1) {
    throw ValueError(Str(num, " image(s) of ", ImageText(channels, height, width),
                         ", expected positive numbers"));
  }
  if (ResizesCrops()) return {num, channels, crop, crop};
  if (param_.resize_short() > 0) {
    const CropBox whole =
        ResizedToShort(static_cast<int>(param_.resize_short()), height, width);
    if (crop > 0) return {num, channels, crop, crop};
    return {num, channels, whole.height, whole.width};
  }
  if (crop == 0) return {num, channels, height, width};
  if (crop > height || crop > width) {
    throw ValueError(Str("crop_size is ", crop, ", larger than the image of ", width,
                         " x ", height,
                         " pixels; use larger images, a smaller crop, or "
                         "resize_short"));
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
  if (param_.max_jitter() > 0 && channels > kMaxJitteredChannels) {
    throw ValueError(Str("max_jitter is for images of up to ", kMaxJitteredChannels,
                         " channels, this one has ", channels));
  }
}

template <typename Dtype>
Dtype DataTransformer<Dtype>::MeanValue(int channel) const {
  if (mean_values_.empty()) return Dtype(0);
  return mean_values_.size() == 1 ? mean_values_[0] : mean_values_[channel];
}

// Output pixels that are pixels of the image: no sampling.
template <typename Dtype>
template <typename Pixel>
void DataTransformer<Dtype>::Copy(const ImageView<Pixel>& view, const Warp& warp,
                                  Dtype* out) const {
  const auto scale = static_cast<Dtype>(param_.scale());
  // A mirrored row is read from its last pixel backwards.
  const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(warp.columns.start) +
                               (warp.mirror ? warp.width - 1 : 0);
  const int direction = warp.mirror ? -1 : 1;
  for (int c = 0; c < view.channels; ++c) {
    const Dtype value = MeanValue(c);
    for (int h = 0; h < warp.height; ++h) {
      const std::ptrdiff_t row = h + static_cast<std::ptrdiff_t>(warp.rows.start);
      const Pixel* in = view.data + c * view.channel_step + row * view.row_step +
                        first * view.pixel_step;
      const Dtype* mean = &value;
      if (param_.has_mean_file()) {
        mean = data_mean_.cpu_data() +
               (std::ptrdiff_t{c} * view.height + row) * view.width + first;
      }
      ConvertRow(in, direction * view.pixel_step, mean,
                 param_.has_mean_file() ? direction : 0, scale, warp.width, out);
      out += warp.width;
    }
  }
}

template <typename Dtype>
template <typename Pixel>
void DataTransformer<Dtype>::TransformView(const ImageView<Pixel>& view,
                                           const vector<int>& shape, const Choice& choice,
                                           Dtype* out) const {
  const int plane = shape[2] * shape[3];
  const auto scale = static_cast<Dtype>(param_.scale());
  if (choice.warp.IsCopy()) {
    Copy(view, choice.warp, out);
  } else {
    vector<Dtype> means;
    for (int c = 0; c < view.channels; ++c) means.push_back(MeanValue(c));
    Sample(view, choice.warp, means, out);
    for (int c = 0; c < view.channels; ++c) {
      Dtype* values = out + std::ptrdiff_t{c} * plane;
      for (int i = 0; i < plane; ++i) values[i] = (values[i] - means[c]) * scale;
    }
  }
  for (size_t c = 0; c < choice.jitter.size(); ++c) {
    caffe_add_scalar<Dtype>(plane, choice.jitter[c] * scale, out + c * plane);
  }
}

template <typename Dtype>
ImageView<uchar> DataTransformer<Dtype>::ViewOf(const cv::Mat& image) {
  return {image.ptr<uchar>(),
          image.channels(),
          image.rows,
          image.cols,
          1,
          static_cast<std::ptrdiff_t>(image.step[0]),
          image.channels()};
}

template <typename Dtype>
ImageView<uchar> DataTransformer<Dtype>::ViewOfBytes(const Datum& raw) {
  return {reinterpret_cast<const uchar*>(raw.data().data()),
          raw.channels(),
          raw.height(),
          raw.width(),
          std::ptrdiff_t{raw.height()} * raw.width(),
          raw.width(),
          1};
}

template <typename Dtype>
void DataTransformer<Dtype>::TransformMat(const cv::Mat& image, const vector<int>& shape,
                                          const RandomDraws& draws, Dtype* out) const {
  const ImageView<uchar> view = ViewOf(image);
  TransformView(view, shape, Choose(view.channels, view.height, view.width, draws), out);
}

template <typename Dtype>
void DataTransformer<Dtype>::TransformRaw(const Datum& datum, const vector<int>& shape,
                                          const RandomDraws& draws, Dtype* out) const {
  const Choice choice = Choose(datum.channels(), datum.height(), datum.width(), draws);
  const int height = datum.height();
  const int width = datum.width();
  const std::ptrdiff_t plane = std::ptrdiff_t{height} * width;
  if (datum.data().empty()) {
    const ImageView<float> view = {
        datum.float_data().data(), datum.channels(), height, width, plane, width, 1};
    TransformView(view, shape, choice, out);
  } else {
    TransformView(ViewOfBytes(datum), shape, choice, out);
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
  TransformMat(cv_img, shape, DrawsBy(rng), out);
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const Datum& raw, const vector<int>& shape,
                                       rng_t* rng, Dtype* out) const {
  CheckRawDatum(raw);
  CheckFit(shape, raw.channels(), raw.height(), raw.width());
  TransformRaw(raw, shape, DrawsBy(rng), out);
}

template <typename Dtype>
bool DataTransformer<Dtype>::KeepsPixels() const {
  const bool warps = ResizesCrops() || param_.resize_short() > 0;
  return !warps &&
         (phase_ != TRAIN || (param_.max_rotation() == 0 && param_.max_jitter() == 0));
}

// As Copy, which takes the mean of the same place.
template <typename Dtype>
void DataTransformer<Dtype>::CopyPixels(const ImageView<uchar>& view, const Warp& warp,
                                        uchar* pixels, PixelPlace* place) const {
  CHECK(warp.IsCopy());
  place->row = static_cast<int>(warp.rows.start);
  place->column =
      static_cast<int>(warp.columns.start) + (warp.mirror ? warp.width - 1 : 0);
  place->step = warp.mirror ? -1 : 1;
  const std::ptrdiff_t step = place->step * view.pixel_step;
  for (int c = 0; c < view.channels; ++c) {
    for (int h = 0; h < warp.height; ++h, pixels += warp.width) {
      const uchar* in = view.data + c * view.channel_step +
                        (place->row + h) * view.row_step +
                        place->column * view.pixel_step;
      for (int w = 0; w < warp.width; ++w) pixels[w] = in[w * step];
    }
  }
}

template <typename Dtype>
bool DataTransformer<Dtype>::ChoosePixels(const cv::Mat& cv_img, const vector<int>& shape,
                                          rng_t* rng, uchar* pixels,
                                          PixelPlace* place) const {
  CheckImage(cv_img);
  CheckFit(shape, cv_img.channels(), cv_img.rows, cv_img.cols);
  const Choice choice = Choose(cv_img.channels(), cv_img.rows, cv_img.cols, DrawsBy(rng));
  CopyPixels(ViewOf(cv_img), choice.warp, pixels, place);
  return true;
}

template <typename Dtype>
bool DataTransformer<Dtype>::ChoosePixels(const Datum& raw, const vector<int>& shape,
                                          rng_t* rng, uchar* pixels,
                                          PixelPlace* place) const {
  CheckRawDatum(raw);
  if (raw.data().empty()) return false;
  CheckFit(shape, raw.channels(), raw.height(), raw.width());
  const Choice choice = Choose(raw.channels(), raw.height(), raw.width(), DrawsBy(rng));
  CopyPixels(ViewOfBytes(raw), choice.warp, pixels, place);
  return true;
}

// But for what lies on the host or on a device.
template <typename Dtype>
PixelFinish<Dtype> DataTransformer<Dtype>::FinishOf(const vector<int>& shape) {
  PixelFinish<Dtype> finish = {};
  finish.channels = shape[1];
  finish.height = shape[2];
  finish.width = shape[3];
  finish.scale = static_cast<Dtype>(param_.scale());
  if (param_.has_mean_file()) {
    finish.mean_height = data_mean_.height();
    finish.mean_width = data_mean_.width();
    if (means_.num_axes() == 0) {
      means_.ReshapeLike(data_mean_);
      std::copy_n(data_mean_.cpu_data(), data_mean_.count(), means_.mutable_cpu_data());
    }
  } else if (means_.num_axes() == 0 || means_.count() != shape[1]) {
    means_.Reshape({shape[1]});
    for (int c = 0; c < shape[1]; ++c) means_.mutable_cpu_data()[c] = MeanValue(c);
  }
  return finish;
}

template <typename Dtype>
void DataTransformer<Dtype>::FinishPixels(const vector<int>& shape, const uchar* pixels,
                                          const PixelPlace* places, Dtype* out) {
  PixelFinish<Dtype> finish = FinishOf(shape);
  finish.pixels = pixels;
  finish.places = places;
  finish.means = means_.cpu_data();
  const int count = shape[0] * shape[1] * shape[2] * shape[3];
  for (int i = 0; i < count; ++i) out[i] = finish(i);
}

template <typename Dtype>
void DataTransformer<Dtype>::FinishPixelsOnDevice(const vector<int>& shape,
                                                  const uchar* pixels,
                                                  const PixelPlace* places, Dtype* out) {
  PixelFinish<Dtype> finish = FinishOf(shape);
  finish.pixels = pixels;
  finish.places = places;
  finish.means = means_.gpu_data();
  caffe::FinishPixelsOnDevice(shape[0] * shape[1] * shape[2] * shape[3], finish, out);
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
  TransformRaw(datum, transformed_blob->shape(), DrawsByRand(),
               transformed_blob->mutable_cpu_data());
}

template <typename Dtype>
void DataTransformer<Dtype>::Transform(const cv::Mat& cv_img,
                                       Blob<Dtype>* transformed_blob) {
  CheckImage(cv_img);
  CHECK_GE(transformed_blob->num(), 1);
  CheckFit(transformed_blob->shape(), cv_img.channels(), cv_img.rows, cv_img.cols);
  TransformMat(cv_img, transformed_blob->shape(), DrawsByRand(),
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
  const Choice choice = Choose(channels, height, width, DrawsByRand());
  const std::ptrdiff_t plane = std::ptrdiff_t{height} * width;
  ImageView<Dtype> view = {
      input_blob->cpu_data(), channels, height, width, plane, width, 1};
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
