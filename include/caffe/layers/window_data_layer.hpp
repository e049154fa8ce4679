#ifndef CAFFE_WINDOW_DATA_LAYER_HPP_
#define CAFFE_WINDOW_DATA_LAYER_HPP_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caffe/layers/parallel_data_layer.hpp"

namespace caffe {

/// Windows of images, some of them objects and some background, as R-CNN was trained
/// with.
///
/// window_data_param.source: a text file that has for every image
///
///     # index
///     path
///     channels
///     height
///     width
///     number of windows
///     class overlap x1 y1 x2 y2      (a line for each window; corners inside, from 0)
///
/// A window of an overlap of fg_threshold (0.5) or more is an object of its class, from 1
/// on; one below bg_threshold (0.5) is background, class 0; others are left out. Of every
/// batch the last fg_fraction (0.25) are objects, drawn at random among all of them, the
/// others background; the draws depend on the seed, the layer's name and phase and the
/// number of the sample alone.
/// top[0]: batch_size x channels x crop_size x crop_size, the windows resized to that,
/// with context_pad pixels of what is around each (0), and made squares before that with
/// crop_mode: "square" ("warp" stretches). What is beyond the image stays 0. mirror,
/// scale, mean_file (its middle) and mean_value of transform_param apply to the rest.
/// top[1]: batch_size classes. root_folder is put before all paths; cache_images keeps
/// the images' files in memory.
/// Source: Girshick et al., CVPR 2014.
template <typename Dtype>
class WindowDataLayer : public ParallelDataLayer<Dtype> {
 public:
  explicit WindowDataLayer(const LayerParameter& param)
      : ParallelDataLayer<Dtype>(param) {}
  ~WindowDataLayer() override;
  void DataLayerSetUp(const vector<Blob<Dtype>*>& bottom,
                      const vector<Blob<Dtype>*>& top) override;

  inline const char* type() const override { return "WindowData"; }
  inline int ExactNumBottomBlobs() const override { return 0; }
  inline int ExactNumTopBlobs() const override { return 2; }

 protected:
  Record Fetch(std::uint64_t sample) override;
  std::unique_ptr<DecodedSample> Decode(const Record& record) override;
  void Transform(const Record& record, const DecodedSample& sample,
                 const vector<int>& shape, rng_t* rng, Dtype* out) override;

  /// Path, and channels, height and width.
  vector<std::pair<std::string, vector<int>>> image_database_;
  enum WindowField { IMAGE_INDEX, LABEL, OVERLAP, X1, Y1, X2, Y2, NUM };
  vector<vector<float>> fg_windows_;
  vector<vector<float>> bg_windows_;
  Blob<Dtype> data_mean_;
  vector<Dtype> mean_values_;
  bool has_mean_file_;
  bool has_mean_values_;
  bool cache_images_;
  vector<std::string> image_database_cache_;  ///< the images' files

 private:
  void ReadWindows();
  void ReadMean();
  const vector<float>& WindowOf(std::uint64_t sample) const;

  int channels_ = 0;
  int batch_size_ = 0, objects_ = 0;  ///< samples of a batch
};

}  // namespace caffe

#endif  // CAFFE_WINDOW_DATA_LAYER_HPP_
