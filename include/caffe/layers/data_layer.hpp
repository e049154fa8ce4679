#ifndef CAFFE_DATA_LAYER_HPP_
#define CAFFE_DATA_LAYER_HPP_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "caffe/layers/parallel_data_layer.hpp"
#include "caffe/util/db.hpp"

namespace caffe {

class RingCursor;

/// Images, and labels if there is a second top, from a database of Datum messages.
///
/// Sample i is entry (i + skip) modulo the number of entries, where skip is drawn
/// below data_param.rand_skip. data_param.on_bad_image says what an entry means that
/// cannot be decoded: FAIL throws, ZERO gives zeros with the entry's label, SKIP gives
/// the next entry that is good, which then occurs twice in the epoch; so which entry
/// sample i is stays the same with any number of threads and after a restart. An image
/// whose size or number of channels does not fit is no bad image but an error always.
template <typename Dtype>
class DataLayer : public ParallelDataLayer<Dtype> {
 public:
  explicit DataLayer(const LayerParameter& param);
  ~DataLayer() override;
  void DataLayerSetUp(const vector<Blob<Dtype>*>& bottom,
                      const vector<Blob<Dtype>*>& top) override;

  inline const char* type() const override { return "Data"; }
  inline int ExactNumBottomBlobs() const override { return 0; }
  inline int MinTopBlobs() const override { return 1; }
  inline int MaxTopBlobs() const override { return 2; }

  void RestoreState(const LayerState& state) override;

  /// Entries met so far that could not be decoded, every time they were met, those of
  /// prefetched batches included.
  std::uint64_t bad_images() const { return bad_images_; }

 protected:
  Record Fetch(std::uint64_t sample) override;
  std::unique_ptr<DecodedSample> Decode(const Record& record) override;
  /// Decodes an entry that stands for sample `sample`. Throws FileError.
  virtual std::unique_ptr<DecodedSample> DecodeEntry(const string& bytes,
                                                     std::uint64_t sample) const;
  /// What stands for one that cannot be decoded: its label. Throws FileError.
  virtual std::unique_ptr<DecodedSample> BlankEntry(const string& bytes) const;

 private:
  std::unique_ptr<DecodedSample> NextGoodEntry(std::uint64_t sample);
  void CountBad(const string& key, const string& reason);
  std::uint64_t EntryOf(std::uint64_t sample) const { return sample + skip_; }

  string source_;
  shared_ptr<db::DB> db_;
  std::unique_ptr<RingCursor> cursor_;
  std::uint64_t skip_ = 0;
  std::uint64_t next_sample_ = 0;  // where the cursor stands
  bool cursor_placed_ = false;

  std::atomic<std::uint64_t> bad_images_{0};
  std::mutex bad_mutex_;
  std::set<string> bad_keys_;  // those already named
};

}  // namespace caffe

#endif  // CAFFE_DATA_LAYER_HPP_
