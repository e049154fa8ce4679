#ifndef CAFFE_PARALLEL_DATA_LAYER_HPP_
#define CAFFE_PARALLEL_DATA_LAYER_HPP_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "caffe/layers/base_data_layer.hpp"
#include "caffe/resumable.hpp"

namespace caffe {

class WorkerPool;

/// What one sample is made from.
struct Record {
  std::uint64_t sample = 0;  ///< number of the sample, from 0 over all epochs
  string source;             ///< where it comes from, for messages
  string name;               ///< key or path
  string bytes;              ///< contents, unless they are yet to be read
  int label = 0;

  /// As messages name it: "database 'train', key '00000007'".
  string Origin() const { return Str(source, '\'', name, '\''); }
};

/// A sample ready to be transformed: an image, or else a raw datum.
struct DecodedSample;

/// A prefetching layer that decodes and transforms on several threads.
///
/// Sample i and its random draws depend only on the seed, the layer's name and phase
/// and i, so batches are the same whatever the number of threads, and a run can be
/// continued at any i. With several solvers in TRAIN, solver r of n takes the samples
/// r, r + n, r + 2n …
///
/// Subclasses call StopThreads in their destructor.
template <typename Dtype>
class ParallelDataLayer : public BasePrefetchingDataLayer<Dtype>, public Resumable {
 public:
  explicit ParallelDataLayer(const LayerParameter& param);
  ~ParallelDataLayer() override;

  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;

  /// Position: samples delivered so far, by all solvers together. Not those that
  /// are only prefetched.
  bool SaveState(LayerState* state) const override;
  void RestoreState(const LayerState& state) override;

 protected:
  /// Reads sample `sample`; called on one thread, for rising numbers except after
  /// RestoreState.
  virtual Record Fetch(std::uint64_t sample) = 0;
  /// Decodes it; called on many threads. Throws FileError if that cannot be done.
  virtual std::unique_ptr<DecodedSample> Decode(const Record& record) = 0;
  /// Writes it into `out`, of `shape` (1, C, H, W), by draws of `rng`, which are the
  /// sample's own; called on many threads.
  virtual void Transform(const Record& record, const DecodedSample& sample,
                         const vector<int>& shape, rng_t* rng, Dtype* out);

  /// Checks and sets the number of samples of a batch, which field `field` gives.
  void SetBatchSize(const char* field, unsigned size);
  /// Shapes the tops by the first sample, `first`, and the batch size. To be called by
  /// DataLayerSetUp.
  void SetUpShapes(const DecodedSample& first, const vector<Blob<Dtype>*>& top);
  /// Number of decoding threads; 0, the start value, takes one per processor.
  void set_threads(int threads) { threads_ = threads; }
  void StopThreads();
  void load_batch(Batch<Dtype>* batch) override;

  /// A generator for purpose `what`: equal for equal seeds, layers and purposes.
  rng_t Generator(const string& what) const;
  /// Number of the first sample of this layer and the distance to its next.
  std::uint64_t FirstSample() const;
  std::uint64_t SampleStep() const;

 private:
  struct Job;

  void FillPart(Job* job, int part, const Record& record);
  void TransformPart(Job* job, int part, const Record& record);

  int threads_ = 0;
  int batch_size_ = 0;
  vector<int> sample_shape_;  // (1, C, H, W) of the first sample
  std::uint64_t seed_ = 0;
  std::uint64_t delivered_ = 0;  // samples of this solver
  std::uint64_t loaded_ = 0;     // the same, prefetched ones included
  std::exception_ptr fetch_error_;
  shared_ptr<WorkerPool> pool_;
};

}  // namespace caffe

#endif  // CAFFE_PARALLEL_DATA_LAYER_HPP_
