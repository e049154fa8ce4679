#ifndef CAFFE_DATA_LAYERS_HPP_
#define CAFFE_DATA_LAYERS_HPP_

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/data_transformer.hpp"
#include "caffe/internal_thread.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/blocking_queue.hpp"

namespace caffe {

struct PixelPlace;
namespace device {
class Upload;
}

/// Base of layers that bring images, and labels if they have a second top, into a
/// net. Sets up the transformer; there is nothing to propagate back to.
template <typename Dtype>
class BaseDataLayer : public Layer<Dtype> {
 public:
  explicit BaseDataLayer(const LayerParameter& param);
  /// Calls DataLayerSetUp in the end; override that instead.
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void DataLayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                              const vector<Blob<Dtype>*>& /*top*/) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& /*bottom*/,
                       const vector<Blob<Dtype>*>& /*top*/) {}

  virtual void Backward_cpu(const vector<Blob<Dtype>*>& /*top*/,
                            const vector<bool>& /*propagate_down*/,
                            const vector<Blob<Dtype>*>& /*bottom*/) {}
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& /*top*/,
                            const vector<bool>& /*propagate_down*/,
                            const vector<Blob<Dtype>*>& /*bottom*/) {}

 protected:
  TransformationParameter transform_param_;
  shared_ptr<DataTransformer<Dtype>> data_transformer_;
  bool output_labels_;
};

/// Images and labels of one iteration, possibly filled by several threads.
template <typename Dtype>
class Batch {
 public:
  Batch();
  ~Batch();

  Blob<Dtype> data_, label_;
  /// Where each sample comes from, for messages: "database 'db', key 'a.jpg'". Empty if
  /// the layer does not tell.
  vector<string> origins_;
  /// What a layer has of each sample besides, such as boxes. Empty if it has nothing.
  vector<vector<float>> values_;

  /// Announces `parts` parts that other threads will fill.
  void Expect(int parts);
  /// Part `part` is filled, or has failed with `error`.
  void Done(int part, std::exception_ptr error = nullptr);
  /// Has `then` called when all parts are filled without an error: now, or by the thread
  /// that fills the last one. Its error is that of the batch.
  void WhenFilled(std::function<void()> then);
  /// Waits for all parts; throws the error of the first part that has one, so that
  /// it does not depend on which thread was faster.
  void Wait();

  /// Images as DataTransformer::ChoosePixels leaves them, of the shape of data_.
  struct Pixels {
    unsigned char* values;
    PixelPlace* places;
    /// Images that are transformed already, in the places of those that are no such
    /// pixels. Empty for the others.
    vector<vector<Dtype>> finished;
  };

  /// Puts the arrays, which nobody fills yet, into memory that can be sent to `device`
  /// while it works; -1: they will not be sent. With `pixels`, data_ is not filled, but
  /// what ShapePixels gives.
  void PrepareToSend(int device, bool pixels);
  bool has_pixels() const { return has_pixels_; }
  /// Gives data_ its shape, and room for its pixels.
  Pixels* ShapePixels(const vector<int>& shape);
  /// Starts to send the arrays.
  void Send();
  /// Copies images and labels, all of which are filled, to a top: on `device` if they
  /// were sent there, else on the host.
  void CopyImagesTo(int device, DataTransformer<Dtype>* transformer, Blob<Dtype>* data);
  void CopyLabelsTo(int device, Blob<Dtype>* label);

 private:
  bool IsAt(int device) const { return sent_ && device == device_; }
  void FinishPixels(DataTransformer<Dtype>* transformer, Blob<Dtype>* data);
  void FinishPixelsOnDevice(DataTransformer<Dtype>* transformer, Blob<Dtype>* data);

  /// They own what the arrays lie in on the host; null until something is to be sent.
  std::unique_ptr<device::Upload> data_upload_, places_upload_, label_upload_;
  bool has_pixels_ = false;
  Pixels pixels_ = {};
  int device_ = -1;  ///< of the uploads
  bool sends_ = false, sent_ = false;
  std::mutex mutex_;
  std::condition_variable done_;
  std::function<void()> then_;
  int missing_ = 0;
  int failed_part_ = 0;
  std::exception_ptr error_;
};

/// A data layer that prepares batches ahead on a thread of its own. Subclasses
/// implement load_batch, give the blobs of `prefetch_` and the tops their shapes in
/// DataLayerSetUp, and call StopInternalThread in their destructor.
///
/// The thread starts with the first Forward, so a net that is only looked at reads
/// nothing; the seed of its random stream is drawn in LayerSetUp. An error on it is
/// thrown by the Forward that would have delivered the batch, and by all that follow.
template <typename Dtype>
class BasePrefetchingDataLayer : public BaseDataLayer<Dtype>, public InternalThread {
 public:
  explicit BasePrefetchingDataLayer(const LayerParameter& param);
  ~BasePrefetchingDataLayer() override { StopInternalThread(); }
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;

  /// Copies the next batch. (Sharing its memory instead would save a thousandth of
  /// the time of a net, and leave NumPy views of the top behind.)
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  /// The same; from then on batches are sent to the device when they are filled, while
  /// it computes.
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;

  /// Those of the samples that the last Forward delivered.
  const vector<string>& origins() const { return origins_; }

 protected:
  void InternalThreadEntry() override;
  /// Fills a batch on the internal thread, or starts to: see Batch::Expect.
  virtual void load_batch(Batch<Dtype>* batch) = 0;
  /// Fills the tops behind the first: top[1] with the batch's labels, on `device` if they
  /// were sent there.
  virtual void DeliverLabels(int device, Batch<Dtype>* batch,
                             const vector<Blob<Dtype>*>& top);
  /// Whether load_batch leaves pixels where the batch has them.
  virtual bool LoadsPixels() const { return false; }
  /// Makes all batches free again. The internal thread must be stopped.
  void ResetPrefetch();

  vector<shared_ptr<Batch<Dtype>>> prefetch_;
  BlockingQueue<Batch<Dtype>*> prefetch_free_;
  BlockingQueue<Batch<Dtype>*> prefetch_full_;
  Blob<Dtype> transformed_data_;

 private:
  void Deliver(int device, const vector<Blob<Dtype>*>& top);

  unsigned int thread_seed_ = 0;
  std::exception_ptr failure_;
  vector<string> origins_;
  std::atomic<int> device_{-1};  ///< that batches are sent to; -1 for none
};

}  // namespace caffe

#endif  // CAFFE_DATA_LAYERS_HPP_
