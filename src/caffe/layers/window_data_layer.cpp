#include "caffe/layers/window_data_layer.hpp"

#include <opencv2/core.hpp>

#include <algorithm>
#include <climits>
#include <cmath>

#include "caffe/data/decoded_sample.hpp"
#include "caffe/data/window_file.hpp"
#include "caffe/util/image_io.hpp"
#include "caffe/util/io.hpp"

namespace caffe {
namespace {

// What part of an image goes where in a square of `size` pixels.
struct Placement {
  int x1, y1, x2, y2;  // corners in the image, both inside
  int left, top;       // first pixel in the square
  int width, height;   // pixels there
};

// The window with `context` pixels of the square around it, or as a square, or both; cut
// at the edges of the image.
Placement Place(int x1, int y1, int x2, int y2, int image_width, int image_height,
                int size, int context, bool square, bool mirrored) {
  if (context == 0 && !square) return {x1, y1, x2, y2, 0, 0, size, size};
  const double scale = static_cast<double>(size) / (size - 2 * context);
  double half_height = (y2 - y1 + 1) / 2.0, half_width = (x2 - x1 + 1) / 2.0;
  const double x = x1 + half_width, y = y1 + half_height;
  if (square) half_width = half_height = std::max(half_width, half_height);
  x1 = static_cast<int>(std::round(x - half_width * scale));
  x2 = static_cast<int>(std::round(x + half_width * scale));
  y1 = static_cast<int>(std::round(y - half_height * scale));
  y2 = static_cast<int>(std::round(y + half_height * scale));
  const double to_x = static_cast<double>(size) / (x2 - x1 + 1);
  const double to_y = static_cast<double>(size) / (y2 - y1 + 1);
  const int beyond_left = std::max(0, -x1), beyond_top = std::max(0, -y1);
  const int beyond_right = std::max(0, x2 - image_width + 1);
  const int beyond_bottom = std::max(0, y2 - image_height + 1);
  Placement place;
  place.x1 = x1 + beyond_left;
  place.x2 = x2 - beyond_right;
  place.y1 = y1 + beyond_top;
  place.y2 = y2 - beyond_bottom;
  place.left =
      static_cast<int>(std::round((mirrored ? beyond_right : beyond_left) * to_x));
  place.top = static_cast<int>(std::round(beyond_top * to_y));
  // Rounding may take both together over the edge.
  place.width = std::min(static_cast<int>(std::round((place.x2 - place.x1 + 1) * to_x)),
                         size - place.left);
  place.height = std::min(static_cast<int>(std::round((place.y2 - place.y1 + 1) * to_y)),
                          size - place.top);
  return place;
}

}  // namespace

template <typename Dtype>
WindowDataLayer<Dtype>::~WindowDataLayer() {
  this->StopThreads();
}

template <typename Dtype>
void WindowDataLayer<Dtype>::DataLayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                            const vector<Blob<Dtype>*>& top) {
  const WindowDataParameter& param = this->layer_param_.window_data_param();
  const std::int64_t size = this->transform_param_.crop_size();
  if (size < 1 || size > INT_MAX) {
    throw ValueError("transform_param.crop_size must be positive: windows get that size");
  }
  if (2 * std::int64_t{param.context_pad()} >= size) {
    throw ValueError(Str("window_data_param.context_pad is ", param.context_pad(),
                         ", expected less than half of crop_size, ", size));
  }
  if (param.crop_mode() != "warp" && param.crop_mode() != "square") {
    throw ValueError(Str("window_data_param.crop_mode is '", param.crop_mode(),
                         "', expected 'warp' or 'square'"));
  }
  this->SetBatchSize("window_data_param.batch_size", param.batch_size());
  batch_size_ = static_cast<int>(param.batch_size());
  objects_ = static_cast<int>(static_cast<float>(batch_size_) * param.fg_fraction());
  ReadWindows();
  ReadMean();
  // The tops' shapes do not depend on any image.
  DecodedSample first;
  first.image =
      cv::Mat::zeros(static_cast<int>(size), static_cast<int>(size), CV_8UC(channels_));
  this->SetUpShapes(first, top);
}

template <typename Dtype>
void WindowDataLayer<Dtype>::ReadWindows() {
  const WindowDataParameter& param = this->layer_param_.window_data_param();
  if (param.source().empty()) {
    throw ValueError("window_data_param.source is missing, expected the path of a list");
  }
  LOG(INFO) << "Window data layer: opening file " << param.source();
  cache_images_ = param.cache_images();
  image_database_.clear();
  image_database_cache_.clear();
  fg_windows_.clear();
  bg_windows_.clear();
  for (const WindowsOfImage& image : ReadWindowFile(param.source())) {
    const int number = static_cast<int>(image_database_.size());
    if ((image.channels != 1 && image.channels != 3) ||
        (number > 0 && image.channels != channels_)) {
      throw ValueError(
          Str("'", param.source(), "': image '", image.path, "' has ", image.channels,
              " channels, expected ",
              number > 0 ? Str(channels_, " as the ones before") : string("1 or 3")));
    }
    channels_ = image.channels;
    image_database_.emplace_back(param.root_folder() + image.path,
                                 vector<int>{image.channels, image.height, image.width});
    if (cache_images_) {
      image_database_cache_.push_back(ReadImageFile(image_database_.back().first));
    }
    for (const ListedWindow& window : image.windows) {
      vector<float> fields(NUM);
      fields[IMAGE_INDEX] = static_cast<float>(number);
      fields[LABEL] = static_cast<float>(window.label);
      fields[OVERLAP] = window.overlap;
      fields[X1] = static_cast<float>(window.x1);
      fields[Y1] = static_cast<float>(window.y1);
      fields[X2] = static_cast<float>(window.x2);
      fields[Y2] = static_cast<float>(window.y2);
      if (window.overlap >= param.fg_threshold()) {
        if (window.label < 1) {
          throw ValueError(Str("'", param.source(), "': image '", image.path,
                               "' has an object of class ", window.label,
                               ", expected classes from 1 on; 0 is background"));
        }
        fg_windows_.push_back(fields);
      } else if (window.overlap < param.bg_threshold()) {
        fields[LABEL] = fields[OVERLAP] = 0;
        bg_windows_.push_back(fields);
      }
    }
  }
  LOG(INFO) << "Number of images: " << image_database_.size()
            << ", objects: " << fg_windows_.size()
            << ", background windows: " << bg_windows_.size();
  // Numbers of images are kept as floats, as Caffe does.
  if (image_database_.size() > (1u << 24)) {
    throw ValueError(Str("'", param.source(), "' has ", image_database_.size(),
                         " images, expected at most 2^24"));
  }
  const auto need = [&](bool needed, const vector<vector<float>>& windows,
                        const char* what, const char* field) {
    if (!needed || !windows.empty()) return;
    throw ValueError(Str("'", param.source(), "' has no ", what,
                         ", of which every batch needs some; check window_data_param.",
                         field, " and fg_fraction"));
  };
  need(objects_ > 0, fg_windows_, "object", "fg_threshold");
  need(objects_ < batch_size_, bg_windows_, "background window", "bg_threshold");
}

template <typename Dtype>
void WindowDataLayer<Dtype>::ReadMean() {
  const TransformationParameter& param = this->transform_param_;
  const int size = static_cast<int>(param.crop_size());
  has_mean_file_ = param.has_mean_file();
  has_mean_values_ = param.mean_value_size() > 0;
  if (has_mean_file_) {
    BlobProto proto;
    ReadProtoFromBinaryFileOrDie(param.mean_file(), &proto);
    data_mean_.FromProto(proto);
    if (data_mean_.num_axes() > 4 || data_mean_.num() != 1 ||
        data_mean_.channels() != channels_ || data_mean_.height() < size ||
        data_mean_.width() != data_mean_.height()) {
      throw ValueError(Str("mean file '", param.mean_file(), "' has shape ",
                           ShapeText(data_mean_.shape()), ", expected (1, ", channels_,
                           ", S, S) with S at least crop_size, ", size));
    }
  }
  mean_values_.assign(param.mean_value().begin(), param.mean_value().end());
  if (has_mean_values_ && mean_values_.size() != 1 &&
      static_cast<int>(mean_values_.size()) != channels_) {
    throw ValueError(Str("transform_param has ", mean_values_.size(),
                         " mean_value fields, expected 1 or ", channels_,
                         ", one for each channel"));
  }
  if (mean_values_.size() == 1) mean_values_.resize(channels_, mean_values_[0]);
}

template <typename Dtype>
const vector<float>& WindowDataLayer<Dtype>::WindowOf(std::uint64_t sample) const {
  const std::uint64_t own = (sample - this->FirstSample()) / this->SampleStep();
  const bool object =
      own % batch_size_ >= static_cast<std::uint64_t>(batch_size_ - objects_);
  const vector<vector<float>>& windows = object ? fg_windows_ : bg_windows_;
  rng_t rng = this->Generator("window");
  rng.Seek(sample);
  return windows[rng() % windows.size()];
}

template <typename Dtype>
Record WindowDataLayer<Dtype>::Fetch(std::uint64_t sample) {
  const vector<float>& window = WindowOf(sample);
  const auto image = static_cast<size_t>(window[IMAGE_INDEX]);
  Record record;
  record.sample = sample;
  record.source = Str("'", this->layer_param_.window_data_param().source(), "', image ");
  record.name = image_database_[image].first;
  record.label = static_cast<int>(window[LABEL]);
  if (cache_images_) record.bytes = image_database_cache_[image];
  return record;
}

template <typename Dtype>
std::unique_ptr<DecodedSample> WindowDataLayer<Dtype>::Decode(const Record& record) {
  auto sample = std::make_unique<DecodedSample>();
  sample->label = record.label;
  sample->image = DecodeImage(cache_images_ ? record.bytes : ReadImageFile(record.name),
                              channels_ == 1 ? ImageColors::kGray : ImageColors::kColor);
  return sample;
}

template <typename Dtype>
void WindowDataLayer<Dtype>::Transform(const Record& record, const DecodedSample& sample,
                                       const vector<int>& shape, rng_t* rng, Dtype* out) {
  const WindowDataParameter& param = this->layer_param_.window_data_param();
  const vector<float>& window = WindowOf(record.sample);
  const cv::Mat& image = sample.image;
  const int size = shape[3];
  const auto field = [&](WindowField f) { return static_cast<int>(window[f]); };
  if (field(X2) >= image.cols || field(Y2) >= image.rows) {
    throw FileError(Str("it has ", image.cols, " by ", image.rows,
                        " pixels, expected the window (", field(X1), ", ", field(Y1),
                        ") to (", field(X2), ", ", field(Y2), ") to be within"));
  }
  const bool mirrored = this->transform_param_.mirror() && (*rng)() % 2 == 1;
  const Placement place = Place(field(X1), field(Y1), field(X2), field(Y2), image.cols,
                                image.rows, size, static_cast<int>(param.context_pad()),
                                param.crop_mode() == "square", mirrored);
  std::fill_n(out, shape[1] * size * size, Dtype(0));
  if (place.width < 1 || place.height < 1) return;
  const cv::Mat part = ResizeImage(
      image(cv::Range(place.y1, place.y2 + 1), cv::Range(place.x1, place.x2 + 1)),
      place.height, place.width);
  const Dtype scale = this->transform_param_.scale();
  const int mean_size = has_mean_file_ ? data_mean_.width() : 0;
  const int mean_first = (mean_size - size) / 2;
  const Dtype* mean = has_mean_file_ ? data_mean_.cpu_data() : nullptr;
  for (int h = 0; h < place.height; ++h) {
    const unsigned char* row = part.ptr(h);
    const int y = place.top + h;
    for (int w = 0; w < place.width; ++w) {
      const int x = place.left + (mirrored ? place.width - 1 - w : w);
      for (int c = 0; c < channels_; ++c) {
        const Dtype pixel = row[w * channels_ + c];
        const Dtype less =
            mean ? mean[(c * mean_size + y + mean_first) * mean_size + x + mean_first]
            : has_mean_values_ ? mean_values_[c]
                               : Dtype(0);
        out[(c * size + y) * size + x] = (pixel - less) * scale;
      }
    }
  }
}

INSTANTIATE_CLASS(WindowDataLayer);
REGISTER_LAYER_CLASS(WindowData);

}  // namespace caffe
