#include "caffe/layers/image_seg_data_layer.hpp"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "caffe/data/decoded_sample.hpp"
#include "caffe/data/image_list.hpp"
#include "caffe/util/image_io.hpp"

namespace caffe {
namespace {

// Mirror, row, column.
constexpr std::uint64_t kDraws = 4;

}  // namespace

template <typename Dtype>
ImageSegDataLayer<Dtype>::ImageSegDataLayer(const LayerParameter& param)
    : ImageDataLayer<Dtype>(param) {
  // Decode does these, to the classes too.
  this->transform_param_.clear_crop_size();
  this->transform_param_.clear_mirror();
}

template <typename Dtype>
ImageSegDataLayer<Dtype>::~ImageSegDataLayer() {
  this->StopThreads();
}

template <typename Dtype>
void ImageSegDataLayer<Dtype>::DataLayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                              const vector<Blob<Dtype>*>& top) {
  const TransformationParameter& param = this->layer_param_.transform_param();
  const int ignored = this->layer_param_.image_data_param().ignore_label();
  const char* moving = param.has_random_resized_crop() ? "random_resized_crop"
                       : param.resize_short() > 0      ? "resize_short"
                       : param.max_rotation() > 0      ? "max_rotation"
                       : param.has_mean_file()         ? "mean_file"
                                                       : nullptr;
  if (moving) {
    throw ValueError(Str("transform_param has ", moving,
                         ", which classes of pixels cannot follow, expected crop_size, "
                         "mirror and mean_value"));
  }
  if (param.crop_size() > 65535) {
    throw ValueError(Str("transform_param.crop_size is ", param.crop_size(),
                         ", expected at most 65535"));
  }
  if (param.mean_value_size() > 4) {
    throw ValueError(Str("transform_param has ", param.mean_value_size(),
                         " values of mean_value, expected one for every channel"));
  }
  if (ignored < 0 || ignored > 255) {
    throw ValueError(Str("image_data_param.ignore_label is ", ignored,
                         ", expected 0 to 255, a grey value"));
  }
  ImageDataLayer<Dtype>::DataLayerSetUp(bottom, top);
  const vector<int> shape = top[0]->shape();
  top[1]->Reshape({shape[0], 1, shape[2], shape[3]});
  if (top.size() > 2) top[2]->Reshape({shape[0], 1, 1, 2});
}

template <typename Dtype>
vector<ListedImage> ImageSegDataLayer<Dtype>::ReadList(const string& path) {
  const ImageDataParameter& param = this->layer_param_.image_data_param();
  label_paths_.clear();
  if (param.label_type() != ImageDataParameter_LabelType_PIXEL) {
    return ReadImageList(path, param.label_type() == ImageDataParameter_LabelType_IMAGE
                                   ? ListColumn::kLabel
                                   : ListColumn::kNothing);
  }
  vector<ListedImage> images = ReadImageList(path, ListColumn::kPath);
  for (ListedImage& image : images) {
    image.label = static_cast<int>(label_paths_.size());
    label_paths_.push_back(param.root_folder() + image.label_path);
  }
  return images;
}

template <typename Dtype>
cv::Mat ImageSegDataLayer<Dtype>::ClassesOf(const Record& record,
                                            const cv::Mat& image) const {
  const ImageDataParameter& param = this->layer_param_.image_data_param();
  if (param.label_type() != ImageDataParameter_LabelType_PIXEL) {
    const bool one = param.label_type() == ImageDataParameter_LabelType_IMAGE;
    const int label = one ? record.label : param.ignore_label();
    if (label < 0 || label > 255) {
      throw ValueError(Str("label ", label, ", expected 0 to 255 for pixels"));
    }
    return cv::Mat(image.rows, image.cols, CV_8UC1, cv::Scalar(label));
  }
  const string& path = label_paths_[record.label];
  cv::Mat classes;
  try {
    classes = DecodeImage(ReadImageFile(path), ImageColors::kAsStored);
  } catch (Error& error) {
    error.Prefix(Str("classes '", path, "'"));
    throw;
  }
  if (classes.channels() != 1) {
    throw ValueError(Str("classes '", path, "': ", classes.channels(),
                         " channels, expected 1, whose grey values are the classes"));
  }
  if (param.new_height() > 0) {
    cv::Mat resized;
    cv::resize(classes, resized, image.size(), 0, 0, cv::INTER_NEAREST);
    return resized;
  }
  if (classes.size() != image.size()) {
    throw ValueError(Str("classes '", path, "': ", classes.cols, " x ", classes.rows,
                         " pixels, expected ", image.cols, " x ", image.rows,
                         " as the image has"));
  }
  return classes;
}

template <typename Dtype>
std::unique_ptr<DecodedSample> ImageSegDataLayer<Dtype>::Decode(const Record& record) {
  const TransformationParameter& param = this->layer_param_.transform_param();
  const int ignored = this->layer_param_.image_data_param().ignore_label();
  std::unique_ptr<DecodedSample> sample = ImageDataLayer<Dtype>::Decode(record);
  cv::Mat image = sample->image, classes = ClassesOf(record, image);
  sample->values = {static_cast<float>(image.rows), static_cast<float>(image.cols)};
  rng_t rng = this->Generator("segmentation");
  rng.Seek(record.sample * kDraws);
  const bool mirror = rng() % 2 == 1 && param.mirror();
  if (const int crop = static_cast<int>(param.crop_size()); crop > 0) {
    cv::Scalar mean =
        cv::Scalar::all(param.mean_value_size() > 0 ? param.mean_value(0) : 0);
    for (int c = 1; c < param.mean_value_size(); ++c) mean[c] = param.mean_value(c);
    const int below = std::max(0, crop - image.rows);
    const int right = std::max(0, crop - image.cols);
    cv::Mat padded, padded_classes;
    cv::copyMakeBorder(image, padded, 0, below, 0, right, cv::BORDER_CONSTANT, mean);
    cv::copyMakeBorder(classes, padded_classes, 0, below, 0, right, cv::BORDER_CONSTANT,
                       cv::Scalar(ignored));
    int top = (padded.rows - crop) / 2, left = (padded.cols - crop) / 2;
    if (this->phase_ == TRAIN) {
      top = static_cast<int>(rng() % static_cast<unsigned>(padded.rows - crop + 1));
      left = static_cast<int>(rng() % static_cast<unsigned>(padded.cols - crop + 1));
    }
    const cv::Rect window(left, top, crop, crop);
    image = padded(window);
    classes = padded_classes(window);
  }
  if (mirror) {
    cv::Mat flipped, flipped_classes;
    cv::flip(image, flipped, 1);
    cv::flip(classes, flipped_classes, 1);
    image = flipped;
    classes = flipped_classes;
  }
  sample->image = image;
  for (int h = 0; h < classes.rows; ++h) {
    const uchar* row = classes.ptr<uchar>(h);
    sample->values.insert(sample->values.end(), row, row + classes.cols);
  }
  return sample;
}

template <typename Dtype>
void ImageSegDataLayer<Dtype>::DeliverLabels(int /*device*/, Batch<Dtype>* batch,
                                             const vector<Blob<Dtype>*>& top) {
  const vector<int>& shape = batch->data_.shape();
  top[1]->Reshape({shape[0], 1, shape[2], shape[3]});
  Dtype* classes = top[1]->mutable_cpu_data();
  for (const auto& values : batch->values_) {
    classes = std::copy(values.begin() + 2, values.end(), classes);
  }
  if (top.size() < 3) return;
  top[2]->Reshape({shape[0], 1, 1, 2});
  Dtype* size = top[2]->mutable_cpu_data();
  for (const auto& values : batch->values_) {
    size = std::copy(values.begin(), values.begin() + 2, size);
  }
}

INSTANTIATE_CLASS(ImageSegDataLayer);
REGISTER_LAYER_CLASS(ImageSegData);

}  // namespace caffe
