#include "caffe/layers/parallel_data_layer.hpp"

#include <climits>
#include <cstdio>
#include <future>
#include <new>
#include <utility>

#include "caffe/data/augmentation.hpp"
#include "caffe/data/decoded_sample.hpp"
#include "caffe/data/layer_stream.hpp"
#include "caffe/data/worker_pool.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {
namespace {

// Room for the draws of one sample in its stream. Another number gives every run other
// crops, mirrors and jitter.
constexpr std::uint64_t kDrawsPerSample = 64;
static_assert(kMaxDraws <= kDrawsPerSample, "samples would share random numbers");

}  // namespace

// One batch in the making. Without a crop its shape is that of its first image, which
// the other threads wait for; the pool starts tasks in order, so that one is running.
template <typename Dtype>
struct ParallelDataLayer<Dtype>::Job {
  Batch<Dtype>* batch;
  vector<int> sample_shape;
  Dtype* data = nullptr;
  Dtype* label = nullptr;
  std::promise<bool> shape_known;  // false: the first image failed
  std::shared_future<bool> has_shape = shape_known.get_future().share();

  void SetShape(const vector<int>& shape, int batch_size) {
    sample_shape = shape;
    vector<int> batch_shape = shape;
    batch_shape[0] = batch_size;
    batch->data_.Reshape(batch_shape);
    data = batch->data_.mutable_cpu_data();
    shape_known.set_value(true);
  }
};

template <typename Dtype>
ParallelDataLayer<Dtype>::ParallelDataLayer(const LayerParameter& param)
    : BasePrefetchingDataLayer<Dtype>(param) {}

template <typename Dtype>
ParallelDataLayer<Dtype>::~ParallelDataLayer() {
  StopThreads();
}

template <typename Dtype>
void ParallelDataLayer<Dtype>::StopThreads() {
  this->StopInternalThread();
  pool_.reset();
}

template <typename Dtype>
void ParallelDataLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  seed_ = Caffe::random_seed();
  BasePrefetchingDataLayer<Dtype>::LayerSetUp(bottom, top);
}

template <typename Dtype>
rng_t ParallelDataLayer<Dtype>::Generator(const string& what) const {
  return LayerStream(seed_, this->phase_, this->layer_param_.name(), what);
}

// A TEST net runs on the root solver alone.
template <typename Dtype>
std::uint64_t ParallelDataLayer<Dtype>::FirstSample() const {
  return this->phase_ == TRAIN ? Caffe::solver_rank() : 0;
}

template <typename Dtype>
std::uint64_t ParallelDataLayer<Dtype>::SampleStep() const {
  return this->phase_ == TRAIN ? Caffe::solver_count() : 1;
}

template <typename Dtype>
void ParallelDataLayer<Dtype>::SetBatchSize(const char* field, unsigned size) {
  if (size < 1 || size > INT_MAX) {
    throw ValueError(Str(field, " is ", size, ", expected at least 1 and below 2^31"));
  }
  batch_size_ = static_cast<int>(size);
}

template <typename Dtype>
void ParallelDataLayer<Dtype>::SetUpShapes(const DecodedSample& first,
                                           const vector<Blob<Dtype>*>& top) {
  sample_shape_ = first.image.empty()
                      ? this->data_transformer_->InferBlobShape(first.datum)
                      : this->data_transformer_->InferBlobShape(first.image);
  vector<int> shape = sample_shape_;
  shape[0] = batch_size_;
  top[0]->Reshape(shape);
  LOG_IF(INFO, Caffe::root_solver()) << "output data size: " << shape[0] << ","
                                     << shape[1] << "," << shape[2] << "," << shape[3];
  if (this->output_labels_) top[1]->Reshape({batch_size_});
  for (auto& batch : this->prefetch_) {
    batch->data_.Reshape(shape);
    batch->label_.Reshape({batch_size_});
  }
}

template <typename Dtype>
void ParallelDataLayer<Dtype>::load_batch(Batch<Dtype>* batch) {
  if (!pool_) pool_ = std::make_shared<WorkerPool>(threads_);
  auto job = std::make_shared<Job>();
  job->batch = batch;
  job->label = batch->label_.mutable_cpu_data();
  batch->origins_.assign(batch_size_, "");
  if (this->transform_param_.crop_size() > 0) job->SetShape(sample_shape_, batch_size_);
  batch->Expect(batch_size_);
  for (int part = 0; part < batch_size_; ++part, ++loaded_) {
    auto record = std::make_shared<Record>();
    try {
      if (fetch_error_) std::rethrow_exception(fetch_error_);
      *record = Fetch(FirstSample() + loaded_ * SampleStep());
    } catch (const std::exception&) {
      fetch_error_ = std::current_exception();
      if (!job->data && part == 0) job->shape_known.set_value(false);
      batch->Done(part, fetch_error_);
      continue;
    }
    pool_->Submit([this, job, part, record] { FillPart(job.get(), part, *record); });
  }
}

template <typename Dtype>
void ParallelDataLayer<Dtype>::FillPart(Job* job, int part, const Record& record) {
  std::exception_ptr error;
  try {
    try {
      TransformPart(job, part, record);
    } catch (Error& reason) {
      reason.Prefix(record.Origin());
      throw;
    } catch (const std::bad_alloc&) {
      throw RuntimeFailure(record.Origin() + ": out of memory");
    }
  } catch (...) {
    error = std::current_exception();
    if (part == 0 && !job->data) job->shape_known.set_value(false);
  }
  job->batch->Done(part, error);
}

template <typename Dtype>
void ParallelDataLayer<Dtype>::TransformPart(Job* job, int part, const Record& record) {
  const std::unique_ptr<DecodedSample> sample = Decode(record);
  if (this->transform_param_.crop_size() == 0) {
    if (part == 0) {
      auto& transformer = *this->data_transformer_;
      job->SetShape(sample->blank           ? sample_shape_
                    : sample->image.empty() ? transformer.InferBlobShape(sample->datum)
                                            : transformer.InferBlobShape(sample->image),
                    batch_size_);
    } else if (!job->has_shape.get()) {
      return;  // Part 0 has the error.
    }
  }
  const vector<int>& shape = job->sample_shape;
  const int count = shape[1] * shape[2] * shape[3];
  Dtype* out = job->data + static_cast<std::ptrdiff_t>(part) * count;
  rng_t rng = Generator("transform");
  rng.Seek(record.sample * kDrawsPerSample);
  Transform(record, *sample, shape, &rng, out);
  job->label[part] = static_cast<Dtype>(sample->label);
  const string& name = sample->name.empty() ? record.name : sample->name;
  job->batch->origins_[part] = Str(record.source, '\'', name, '\'');
}

template <typename Dtype>
void ParallelDataLayer<Dtype>::Transform(const Record& /*record*/,
                                         const DecodedSample& sample,
                                         const vector<int>& shape, rng_t* rng,
                                         Dtype* out) {
  const DataTransformer<Dtype>& transformer = *this->data_transformer_;
  if (sample.blank) {
    caffe_set(shape[1] * shape[2] * shape[3], Dtype(0), out);
  } else if (sample.image.empty()) {
    transformer.Transform(sample.datum, shape, rng, out);
  } else {
    transformer.Transform(sample.image, shape, rng, out);
  }
}

template <typename Dtype>
void ParallelDataLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  BasePrefetchingDataLayer<Dtype>::Forward_cpu(bottom, top);
  delivered_ += batch_size_;
}

template <typename Dtype>
bool ParallelDataLayer<Dtype>::SaveState(LayerState* state) const {
  state->set_layer(this->layer_param_.name());
  state->set_position(delivered_ * SampleStep());
  state->set_extra(Str("seed ", seed_));
  return true;
}

template <typename Dtype>
void ParallelDataLayer<Dtype>::RestoreState(const LayerState& state) {
  unsigned long long seed = 0;
  if (std::sscanf(state.extra().c_str(), "seed %llu", &seed) != 1) {
    throw FileError(NameOf(this->layer_param_),
                    Str("its saved state '", state.extra(),
                        "' is not one of a data layer; was it saved by another net?"));
  }
  this->StopInternalThread();
  if (pool_) pool_->Clear();
  this->ResetPrefetch();
  fetch_error_ = nullptr;
  seed_ = seed;
  delivered_ = loaded_ = state.position() / SampleStep();
}

INSTANTIATE_CLASS(ParallelDataLayer);

}  // namespace caffe
