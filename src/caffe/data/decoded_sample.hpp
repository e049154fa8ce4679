#ifndef CAFFE_DATA_DECODED_SAMPLE_HPP_
#define CAFFE_DATA_DECODED_SAMPLE_HPP_

#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

struct DecodedSample {
  cv::Mat image;  ///< empty for a raw datum
  Datum datum;    ///< raw, unless there is an image
  int label = 0;
  vector<float> values;  ///< further ones, which the layer has its own use for
  std::string name;      ///< of another record than the wanted one, if it took its place
  bool blank = false;    ///< stands for an undecodable image: all zeros once transformed
};

}  // namespace caffe

#endif  // CAFFE_DATA_DECODED_SAMPLE_HPP_
