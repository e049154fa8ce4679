#include "caffe/layers/base_data_layer.hpp"

#include <vector>

#include "caffe/ops/tensor.hpp"

namespace caffe {
namespace {

// A larger number is a mistake rather than a wish, and would only fill the memory.
constexpr unsigned kMaxPrefetch = 1000;

template <typename Dtype>
void CopyToTop(const Blob<Dtype>& source, Blob<Dtype>* top) {
  top->ReshapeLike(source);
  caffe_copy(source.count(), source.cpu_data(), DataOf(top).Write(1));
}

}  // namespace

template <typename Dtype>
BaseDataLayer<Dtype>::BaseDataLayer(const LayerParameter& param)
    : Layer<Dtype>(param),
      transform_param_(param.transform_param()),
      output_labels_(false) {}

template <typename Dtype>
void BaseDataLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  output_labels_ = top.size() > 1;
  data_transformer_.reset(new DataTransformer<Dtype>(transform_param_, this->phase_));
  data_transformer_->InitRand();
  DataLayerSetUp(bottom, top);
}

template <typename Dtype>
void Batch<Dtype>::Expect(int parts) {
  std::lock_guard<std::mutex> lock(mutex_);
  missing_ = parts;
  error_ = nullptr;
}

template <typename Dtype>
void Batch<Dtype>::Done(int part, std::exception_ptr error) {
  // Notifies with the lock held: Wait may otherwise return, and the batch go, before.
  std::lock_guard<std::mutex> lock(mutex_);
  if (error && (!error_ || part < failed_part_)) {
    error_ = error;
    failed_part_ = part;
  }
  if (--missing_ == 0) done_.notify_all();
}

template <typename Dtype>
void Batch<Dtype>::Wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  done_.wait(lock, [this] { return missing_ == 0; });
  if (error_) std::rethrow_exception(error_);
}

template <typename Dtype>
BasePrefetchingDataLayer<Dtype>::BasePrefetchingDataLayer(const LayerParameter& param)
    : BaseDataLayer<Dtype>(param) {
  const unsigned count = param.data_param().prefetch();
  if (count < 1 || count > kMaxPrefetch) {
    throw ValueError(
        Str("prefetch is ", count, ", expected 1 to ", kMaxPrefetch, " batches"));
  }
  for (unsigned i = 0; i < count; ++i) prefetch_.emplace_back(new Batch<Dtype>());
  ResetPrefetch();
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                                 const vector<Blob<Dtype>*>& top) {
  StopInternalThread();
  thread_seed_ = caffe_rng_rand();
  BaseDataLayer<Dtype>::LayerSetUp(bottom, top);
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::ResetPrefetch() {
  Batch<Dtype>* batch;
  while (prefetch_full_.try_pop(&batch) || prefetch_free_.try_pop(&batch)) {
  }
  for (const auto& each : prefetch_) {
    each->Expect(0);
    prefetch_free_.push(each.get());
  }
  failure_ = nullptr;
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::DeliverLabels(
    const Batch<Dtype>& batch, const vector<Blob<Dtype>*>& top) const {
  CopyToTop(batch.label_, top[1]);
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::InternalThreadEntry() {
  while (!must_stop()) {
    Batch<Dtype>* batch = prefetch_free_.pop();
    try {
      load_batch(batch);
    } catch (const ThreadInterrupted&) {
      throw;
    } catch (...) {
      batch->Expect(1);
      batch->Done(0, std::current_exception());
      prefetch_full_.push(batch);
      return;
    }
    prefetch_full_.push(batch);
  }
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& /*bottom*/,
                                                  const vector<Blob<Dtype>*>& top) {
  if (failure_) std::rethrow_exception(failure_);
  if (!is_started()) StartInternalThread(thread_seed_);
  Batch<Dtype>* batch = prefetch_full_.pop("Data layer prefetch queue empty");
  try {
    batch->Wait();
    CopyToTop(batch->data_, top[0]);
    if (this->output_labels_) DeliverLabels(*batch, top);
    origins_.swap(batch->origins_);
  } catch (...) {
    failure_ = std::current_exception();
    throw;
  }
  prefetch_free_.push(batch);
}

INSTANTIATE_CLASS(BaseDataLayer);
INSTANTIATE_CLASS(Batch);
INSTANTIATE_CLASS(BasePrefetchingDataLayer);

}  // namespace caffe
