#ifndef CAFFE_TESTS_DATA_DATA_RUN_HPP_
#define CAFFE_TESTS_DATA_DATA_RUN_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/resumable.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {

template <typename T>
Resumable& ResumableOf(Layer<T>& layer) {
  return dynamic_cast<Resumable&>(layer);
}

/// Images and labels of one Forward.
struct DeliveredBatch {
  std::vector<int> shape;
  std::vector<double> images, labels;
  bool operator==(const DeliveredBatch&) const = default;
};

/// A data layer with its tops, set up from the text between `layer { … }`.
template <typename T>
class DataRun {
 public:
  /// The first layer of its name since the seed was set, unless it is to be `another`.
  explicit DataRun(const std::string& text, Phase phase = TRAIN, int tops = 2,
                   bool another = false)
      : layer_(LayerRegistry<T>::CreateLayer(LayerFromText(text, phase))), blobs_(tops) {
    if (!another) Caffe::set_random_seed(Caffe::random_seed());
    for (Blob<T>& blob : blobs_) tops_.push_back(&blob);
    layer_->SetUp({}, tops_);
  }

  DeliveredBatch Next() {
    layer_->Forward({}, tops_);
    DeliveredBatch batch;
    batch.shape = tops_[0]->shape();
    batch.images = Values(*tops_[0]);
    if (tops_.size() > 1) batch.labels = Values(*tops_[1]);
    return batch;
  }
  std::vector<DeliveredBatch> Next(int count) {
    std::vector<DeliveredBatch> batches;
    for (int i = 0; i < count; ++i) batches.push_back(Next());
    return batches;
  }
  /// The labels of the next batches in one row.
  std::vector<int> NextLabels(int count) {
    std::vector<int> labels;
    for (int i = 0; i < count; ++i) {
      for (const double label : Next().labels) labels.push_back(static_cast<int>(label));
    }
    return labels;
  }

  Blob<T>* top(int i) { return tops_[i]; }
  Layer<T>* layer() { return layer_.get(); }

 private:
  std::shared_ptr<Layer<T>> layer_;
  std::vector<Blob<T>> blobs_;
  std::vector<Blob<T>*> tops_;
};

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_DATA_DATA_RUN_HPP_
