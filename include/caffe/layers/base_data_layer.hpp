#ifndef CAFFE_DATA_LAYERS_HPP_
#define CAFFE_DATA_LAYERS_HPP_

#include <condition_variable>
#include <exception>
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
  /// Waits for all parts; throws the error of the first part that has one, so that
  /// it does not depend on which thread was faster.
  void Wait();

 private:
  std::mutex mutex_;
  std::condition_variable done_;
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

  /// Those of the samples that the last Forward delivered.
  const vector<string>& origins() const { return origins_; }

 protected:
  void InternalThreadEntry() override;
  /// Fills a batch on the internal thread, or starts to: see Batch::Expect.
  virtual void load_batch(Batch<Dtype>* batch) = 0;
  /// Fills the tops behind the first: top[1] with the batch's labels.
  virtual void DeliverLabels(const Batch<Dtype>& batch,
                             const vector<Blob<Dtype>*>& top) const;
  /// Makes all batches free again. The internal thread must be stopped.
  void ResetPrefetch();

  vector<shared_ptr<Batch<Dtype>>> prefetch_;
  BlockingQueue<Batch<Dtype>*> prefetch_free_;
  BlockingQueue<Batch<Dtype>*> prefetch_full_;
  Blob<Dtype> transformed_data_;

 private:
  unsigned int thread_seed_ = 0;
  std::exception_ptr failure_;
  vector<string> origins_;
};

}  // namespace caffe

#endif  // CAFFE_DATA_LAYERS_HPP_
