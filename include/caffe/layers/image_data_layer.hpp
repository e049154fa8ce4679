#ifndef CAFFE_IMAGE_DATA_LAYER_HPP_
#define CAFFE_IMAGE_DATA_LAYER_HPP_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caffe/layers/parallel_data_layer.hpp"

namespace caffe {

struct ListedImage;

/// Images and labels of the files that a list names, see ImageDataParameter. With
/// `shuffle` every epoch has its own order, which depends on the seed and the number
/// of the epoch alone.
template <typename Dtype>
class ImageDataLayer : public ParallelDataLayer<Dtype> {
 public:
  explicit ImageDataLayer(const LayerParameter& param)
      : ParallelDataLayer<Dtype>(param) {}
  ~ImageDataLayer() override;
  void DataLayerSetUp(const vector<Blob<Dtype>*>& bottom,
                      const vector<Blob<Dtype>*>& top) override;

  inline const char* type() const override { return "ImageData"; }
  inline int ExactNumBottomBlobs() const override { return 0; }
  inline int ExactNumTopBlobs() const override { return 2; }

  void RestoreState(const LayerState& state) override;

 protected:
  Record Fetch(std::uint64_t sample) override;
  std::unique_ptr<DecodedSample> Decode(const Record& record) override;

  /// Reads the list `path`; what it gives as a label comes back in Record::label.
  virtual vector<ListedImage> ReadList(const string& path);

  vector<std::pair<std::string, int>> lines_;

 private:
  void Start();
  void ShuffleFor(std::uint64_t epoch);

  vector<int> line_numbers_;
  vector<std::uint32_t> order_;  // empty without shuffle
  std::uint64_t epoch_ = 0;      // which order_ is for
  std::uint64_t skip_ = 0;
};

}  // namespace caffe

#endif  // CAFFE_IMAGE_DATA_LAYER_HPP_
