#include "caffe/layers/base_data_layer.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "caffe/device.hpp"
#include "caffe/device_upload.hpp"
#include "caffe/ops/finish_pixels.hpp"
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

template <typename Dtype>
bool HasShape(const Blob<Dtype>& blob) {
  return blob.num_axes() > 0 || blob.count() > 0;
}

template <typename Dtype>
std::size_t Bytes(const Blob<Dtype>& blob) {
  return blob.count() * sizeof(Dtype);
}

// Has the blob lie in the upload's memory. It leaves it again if it is given a larger
// shape, until the next time.
template <typename Dtype>
void PlaceIn(device::Upload* upload, Blob<Dtype>* blob) {
  if (!HasShape(*blob)) return;
  SyncedMemory& memory = *blob->data();
  void* host = upload->Host(memory.size());
  if (memory.head() == SyncedMemory::UNINITIALIZED || memory.cpu_data() != host) {
    memory.set_cpu_data(host);
  }
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
  then_ = nullptr;
}

template <typename Dtype>
void Batch<Dtype>::Done(int part, std::exception_ptr error) {
  // Notifies with the lock held: Wait may otherwise return, and the batch go, before.
  std::unique_lock<std::mutex> lock(mutex_);
  if (error && (!error_ || part < failed_part_)) {
    error_ = error;
    failed_part_ = part;
  }
  if (missing_ == 1 && then_ && !error_) {
    const std::function<void()> then = std::exchange(then_, nullptr);
    lock.unlock();
    try {
      then();
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error) error_ = error;
  }
  if (--missing_ == 0) done_.notify_all();
}

template <typename Dtype>
void Batch<Dtype>::WhenFilled(std::function<void()> then) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (error_) return;
    if (missing_ > 0) {
      then_ = std::move(then);
      return;
    }
  }
  then();
}

template <typename Dtype>
void Batch<Dtype>::Wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  done_.wait(lock, [this] { return missing_ == 0; });
  if (error_) std::rethrow_exception(error_);
}

template <typename Dtype>
Batch<Dtype>::Batch() = default;
template <typename Dtype>
Batch<Dtype>::~Batch() = default;

template <typename Dtype>
void Batch<Dtype>::PrepareToSend(int device, bool pixels) {
  sends_ = device >= 0;
  sent_ = false;
  has_pixels_ = sends_ && pixels;
  if (!sends_) return;
  // The blobs lie in those of another device until they are placed anew.
  std::unique_ptr<device::Upload> before[3];
  if (device != device_) {
    int i = 0;
    for (auto* upload : {&data_upload_, &places_upload_, &label_upload_}) {
      before[i++] = std::exchange(*upload, std::make_unique<device::Upload>(device));
    }
    device_ = device;
  }
  if (!has_pixels_) PlaceIn(data_upload_.get(), &data_);
  PlaceIn(label_upload_.get(), &label_);
}

template <typename Dtype>
typename Batch<Dtype>::Pixels* Batch<Dtype>::ShapePixels(const vector<int>& shape) {
  data_.Reshape(shape);
  pixels_.values = static_cast<unsigned char*>(data_upload_->Host(data_.count()));
  pixels_.places =
      static_cast<PixelPlace*>(places_upload_->Host(shape[0] * sizeof(PixelPlace)));
  pixels_.finished.assign(shape[0], {});
  return &pixels_;
}

template <typename Dtype>
void Batch<Dtype>::Send() {
  if (!sends_) return;
  if (has_pixels_) {
    data_upload_->Send(pixels_.values, data_.count());
    places_upload_->Send(pixels_.places, data_.shape(0) * sizeof(PixelPlace));
  } else {
    data_upload_->Send(data_.cpu_data(), Bytes(data_));
  }
  if (HasShape(label_)) label_upload_->Send(label_.cpu_data(), Bytes(label_));
  sent_ = true;
}

template <typename Dtype>
void Batch<Dtype>::FinishPixels(DataTransformer<Dtype>* transformer, Blob<Dtype>* data) {
  Dtype* out = DataOf(data).Write(1);
  transformer->FinishPixels(data_.shape(), pixels_.values, pixels_.places, out);
  for (const vector<Dtype>& image : pixels_.finished) {
    std::copy(image.begin(), image.end(), out);
    out += data_.count(1);
  }
}

template <typename Dtype>
void Batch<Dtype>::FinishPixelsOnDevice(DataTransformer<Dtype>* transformer,
                                        Blob<Dtype>* data) {
  Dtype* out = static_cast<Dtype*>(data->data()->overwrite_gpu_data());
  transformer->FinishPixelsOnDevice(
      data_.shape(), static_cast<const unsigned char*>(data_upload_->Receive()),
      static_cast<const PixelPlace*>(places_upload_->Receive()), out);
  data_upload_->Release();
  places_upload_->Release();
  for (const vector<Dtype>& image : pixels_.finished) {
    device::Copy(out, image.data(), image.size() * sizeof(Dtype));
    out += data_.count(1);
  }
}

template <typename Dtype>
void Batch<Dtype>::CopyImagesTo(int device, DataTransformer<Dtype>* transformer,
                                Blob<Dtype>* data) {
  data->ReshapeLike(data_);
  if (!IsAt(device)) {
    if (has_pixels_) {
      FinishPixels(transformer, data);
    } else {
      CopyToTop(data_, data);
    }
  } else if (has_pixels_) {
    FinishPixelsOnDevice(transformer, data);
  } else {
    device::Copy(data->data()->overwrite_gpu_data(), data_upload_->Receive(),
                 Bytes(data_));
    data_upload_->Release();
  }
}

template <typename Dtype>
void Batch<Dtype>::CopyLabelsTo(int device, Blob<Dtype>* label) {
  if (!IsAt(device)) return CopyToTop(label_, label);
  // Layers on the host read labels, too.
  label->ReshapeLike(label_);
  void *on_host, *on_device;
  label->data()->overwrite_both(&on_host, &on_device);
  std::copy_n(label_.cpu_data(), label_.count(), static_cast<Dtype*>(on_host));
  device::Copy(on_device, label_upload_->Receive(), Bytes(label_));
  label_upload_->Release();
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
void BasePrefetchingDataLayer<Dtype>::DeliverLabels(int device, Batch<Dtype>* batch,
                                                    const vector<Blob<Dtype>*>& top) {
  batch->CopyLabelsTo(device, top[1]);
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::InternalThreadEntry() {
  while (!must_stop()) {
    Batch<Dtype>* batch = prefetch_free_.pop();
    try {
      batch->PrepareToSend(device_, LoadsPixels());
      load_batch(batch);
      batch->WhenFilled([batch] { batch->Send(); });
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
  Deliver(-1, top);
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& /*bottom*/,
                                                  const vector<Blob<Dtype>*>& top) {
  Deliver(device::Selected(), top);
}

template <typename Dtype>
void BasePrefetchingDataLayer<Dtype>::Deliver(int device,
                                              const vector<Blob<Dtype>*>& top) {
  if (failure_) std::rethrow_exception(failure_);
  device_ = device;
  if (!is_started()) StartInternalThread(thread_seed_);
  Batch<Dtype>* batch = prefetch_full_.pop("Data layer prefetch queue empty");
  try {
    batch->Wait();
    batch->CopyImagesTo(device, this->data_transformer_.get(), top[0]);
    if (this->output_labels_) DeliverLabels(device, batch, top);
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
