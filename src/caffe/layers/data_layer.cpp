#include "caffe/layers/data_layer.hpp"

#include <utility>

#include "caffe/data/decoded_sample.hpp"
#include "caffe/data/ring_cursor.hpp"
#include "caffe/util/image_io.hpp"

namespace caffe {
namespace {

constexpr unsigned kMaxThreads = 1024;
// How many keys of bad images are named one by one; more than that is not a few bad
// files but a bad database.
constexpr std::size_t kMaxNamedKeys = 1000;

}  // namespace

template <typename Dtype>
DataLayer<Dtype>::DataLayer(const LayerParameter& param)
    : ParallelDataLayer<Dtype>(param), source_(param.data_param().source()) {}

template <typename Dtype>
DataLayer<Dtype>::~DataLayer() {
  this->StopThreads();
}

template <typename Dtype>
void DataLayer<Dtype>::DataLayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                      const vector<Blob<Dtype>*>& top) {
  const DataParameter& param = this->layer_param_.data_param();
  if (source_.empty()) {
    throw ValueError("data_param.source is missing, expected the path of a database");
  }
  if (param.decode_threads() > kMaxThreads) {
    throw ValueError(Str("data_param.decode_threads is ", param.decode_threads(),
                         ", expected at most ", kMaxThreads));
  }
  this->set_threads(static_cast<int>(param.decode_threads()));
  db_.reset(db::GetDB(param.backend()));
  db_->Open(source_, db::READ);
  cursor_.reset(new RingCursor(db_.get(), source_));
  if (param.rand_skip() > 0) {
    skip_ = this->Generator("rand_skip")() % param.rand_skip();
    LOG(INFO) << "Skipping first " << skip_ << " data points.";
  }
  this->SetBatchSize("data_param.batch_size", param.batch_size());
  const std::uint64_t first = this->FirstSample();
  const Record record = Fetch(first);
  try {
    std::unique_ptr<DecodedSample> sample = Decode(record);
    // The shape has to come from somewhere.
    if (sample->blank) sample = NextGoodEntry(first);
    this->SetUpShapes(*sample, top);
  } catch (Error& error) {
    error.Prefix(record.Origin());
    throw;
  }
  // The record is fetched again by the first batch.
  cursor_placed_ = false;
}

template <typename Dtype>
void DataLayer<Dtype>::RestoreState(const LayerState& state) {
  ParallelDataLayer<Dtype>::RestoreState(state);
  const DataParameter& param = this->layer_param_.data_param();
  if (param.rand_skip() > 0) {
    skip_ = this->Generator("rand_skip")() % param.rand_skip();
  }
  cursor_placed_ = false;
}

template <typename Dtype>
Record DataLayer<Dtype>::Fetch(std::uint64_t sample) {
  if (cursor_placed_ && sample >= next_sample_) {
    cursor_->Advance(sample - next_sample_);
  } else {
    cursor_->SeekTo(EntryOf(sample));
  }
  cursor_placed_ = true;
  next_sample_ = sample;
  Record record;
  record.sample = sample;
  record.source = Str("database '", source_, "', key ");
  record.name = cursor_->key();
  record.bytes = cursor_->value();
  return record;
}

template <typename Dtype>
std::unique_ptr<DecodedSample> DataLayer<Dtype>::DecodeEntry(
    const string& bytes, std::uint64_t /*sample*/) const {
  auto sample = std::make_unique<DecodedSample>();
  if (!sample->datum.ParseFromString(bytes)) {
    throw FileError(Str("its ", bytes.size(), " bytes are no Datum"));
  }
  sample->label = sample->datum.label();
  if (sample->datum.encoded()) {
    sample->image = this->data_transformer_->Decode(sample->datum);
  } else {
    CheckRawDatum(sample->datum);
  }
  return sample;
}

template <typename Dtype>
std::unique_ptr<DecodedSample> DataLayer<Dtype>::BlankEntry(const string& bytes) const {
  auto sample = std::make_unique<DecodedSample>();
  Datum datum;
  if (!datum.ParseFromString(bytes)) {
    throw FileError(
        "there is no label in it either, which on_bad_image: ZERO needs; set "
        "on_bad_image: SKIP");
  }
  sample->label = datum.label();
  sample->blank = true;
  return sample;
}

template <typename Dtype>
std::unique_ptr<DecodedSample> DataLayer<Dtype>::Decode(const Record& record) {
  const auto policy = this->layer_param_.data_param().on_bad_image();
  try {
    return DecodeEntry(record.bytes, record.sample);
  } catch (const FileError& error) {
    if (policy == DataParameter::FAIL) {
      throw FileError(
          Str(error.what(), "; on_bad_image: SKIP or ZERO goes on without it"));
    }
    CountBad(record.name, error.what());
  }
  if (policy == DataParameter::ZERO) return BlankEntry(record.bytes);
  return NextGoodEntry(record.sample);
}

template <typename Dtype>
std::unique_ptr<DecodedSample> DataLayer<Dtype>::NextGoodEntry(std::uint64_t sample) {
  RingCursor cursor(db_.get(), source_);
  cursor.SeekTo(EntryOf(sample));
  const string first = cursor.key();
  for (;;) {
    cursor.Advance(1);
    const string key = cursor.key();
    if (key == first) {
      throw FileError("nor is there any other image that can be decoded");
    }
    try {
      std::unique_ptr<DecodedSample> good = DecodeEntry(cursor.value(), sample);
      good->name = key;
      return good;
    } catch (const FileError&) {
      // Counted when its own turn comes.
    }
  }
}

template <typename Dtype>
void DataLayer<Dtype>::CountBad(const string& key, const string& reason) {
  const std::uint64_t count = ++bad_images_;
  std::lock_guard<std::mutex> lock(bad_mutex_);
  if (bad_keys_.size() >= kMaxNamedKeys) {
    LOG_EVERY_N(WARNING, 1000) << "database '" << source_ << "': " << count
                               << " bad images so far";
  } else if (bad_keys_.insert(key).second) {
    LOG(WARNING) << "database '" << source_ << "', key '" << key << "': " << reason
                 << "; bad image " << bad_keys_.size() << ", on_bad_image: "
                 << DataParameter::OnBadImage_Name(
                        this->layer_param_.data_param().on_bad_image());
  }
}

INSTANTIATE_CLASS(DataLayer);
REGISTER_LAYER_CLASS(Data);

}  // namespace caffe
