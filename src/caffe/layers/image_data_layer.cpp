#include "caffe/layers/image_data_layer.hpp"

#include <numeric>

#include "caffe/data/decoded_sample.hpp"
#include "caffe/data/image_list.hpp"
#include "caffe/util/image_io.hpp"

namespace caffe {

template <typename Dtype>
ImageDataLayer<Dtype>::~ImageDataLayer() {
  this->StopThreads();
}

template <typename Dtype>
void ImageDataLayer<Dtype>::DataLayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                           const vector<Blob<Dtype>*>& top) {
  const ImageDataParameter& param = this->layer_param_.image_data_param();
  if (param.source().empty()) {
    throw ValueError("image_data_param.source is missing, expected the path of a list");
  }
  if ((param.new_height() == 0) != (param.new_width() == 0)) {
    throw ValueError(Str("image_data_param has new_height ", param.new_height(),
                         " and new_width ", param.new_width(),
                         ", expected both or neither"));
  }
  if (param.new_height() > INT_MAX || param.new_width() > INT_MAX) {
    throw ValueError("image_data_param: new_height or new_width is too large");
  }
  LOG(INFO) << "Opening file " << param.source();
  lines_.clear();
  line_numbers_.clear();
  for (ListedImage& image : ReadList(param.source())) {
    lines_.emplace_back(std::move(image.path), image.label);
    line_numbers_.push_back(image.line);
  }
  LOG(INFO) << "A total of " << lines_.size() << " images.";
  Start();
  if (param.rand_skip() > 0) LOG(INFO) << "Skipping first " << skip_ << " data points.";
  this->SetBatchSize("image_data_param.batch_size", param.batch_size());
  const Record first = Fetch(this->FirstSample());
  try {
    this->SetUpShapes(*Decode(first), top);
  } catch (Error& error) {
    error.Prefix(first.Origin());
    throw;
  }
}

template <typename Dtype>
vector<ListedImage> ImageDataLayer<Dtype>::ReadList(const string& path) {
  return ReadImageList(path);
}

template <typename Dtype>
void ImageDataLayer<Dtype>::RestoreState(const LayerState& state) {
  ParallelDataLayer<Dtype>::RestoreState(state);
  Start();
}

// What depends on the seed.
template <typename Dtype>
void ImageDataLayer<Dtype>::Start() {
  const ImageDataParameter& param = this->layer_param_.image_data_param();
  if (param.rand_skip() > 0) {
    skip_ = this->Generator("rand_skip")() % param.rand_skip();
  }
  if (param.shuffle()) ShuffleFor(skip_ / lines_.size());
}

template <typename Dtype>
void ImageDataLayer<Dtype>::ShuffleFor(std::uint64_t epoch) {
  order_.resize(lines_.size());
  std::iota(order_.begin(), order_.end(), 0u);
  rng_t generator = this->Generator(Str("shuffle/", epoch));
  caffe::shuffle(order_.begin(), order_.end(), &generator);
  epoch_ = epoch;
}

template <typename Dtype>
Record ImageDataLayer<Dtype>::Fetch(std::uint64_t sample) {
  const ImageDataParameter& param = this->layer_param_.image_data_param();
  const std::uint64_t position = sample + skip_;
  std::uint64_t line = position % lines_.size();
  if (param.shuffle()) {
    if (position / lines_.size() != epoch_) ShuffleFor(position / lines_.size());
    line = order_[line];
  }
  Record record;
  record.sample = sample;
  record.source = Str("line ", line_numbers_[line], " of '", param.source(), "', image ");
  record.name = param.root_folder() + lines_[line].first;
  record.label = lines_[line].second;
  return record;
}

template <typename Dtype>
std::unique_ptr<DecodedSample> ImageDataLayer<Dtype>::Decode(const Record& record) {
  const ImageDataParameter& param = this->layer_param_.image_data_param();
  auto sample = std::make_unique<DecodedSample>();
  sample->label = record.label;
  sample->image =
      DecodeImage(ReadImageFile(record.name),
                  param.is_color() ? ImageColors::kColor : ImageColors::kGray);
  if (param.new_height() > 0) {
    sample->image = ResizeImage(sample->image, static_cast<int>(param.new_height()),
                                static_cast<int>(param.new_width()));
  }
  return sample;
}

INSTANTIATE_CLASS(ImageDataLayer);
REGISTER_LAYER_CLASS(ImageData);

}  // namespace caffe
