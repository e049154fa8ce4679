#ifndef CAFFE_DATA_COMPUTE_IMAGE_MEAN_HPP_
#define CAFFE_DATA_COMPUTE_IMAGE_MEAN_HPP_

#include <cstdint>
#include <string>
#include <vector>

#include "caffe/data/database_builder.hpp"

namespace caffe {

struct ComputeImageMeanOptions {
  std::string database;
  std::string backend = "lmdb";
  std::string output_file;  ///< binaryproto of one image; "" writes none
  bool skip_bad = false;    ///< leave out images that cannot be decoded
  int threads = 0;          ///< 0: one per processor
};

struct ComputeImageMeanResult {
  std::uint64_t images = 0;
  int channels = 0, height = 0, width = 0;
  std::vector<double> channel_means;
  std::vector<RejectedImage> rejected;
};

/// The mean image of a database. Throws FileError naming the key of an image that
/// cannot be decoded, unless skip_bad, and ValueError naming the key of one that has
/// another size than the first.
ComputeImageMeanResult ComputeImageMean(const ComputeImageMeanOptions& options,
                                        const DataProgress& progress = nullptr);

}  // namespace caffe

#endif  // CAFFE_DATA_COMPUTE_IMAGE_MEAN_HPP_
