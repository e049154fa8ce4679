#ifndef CAFFE_HDF5_OUTPUT_LAYER_HPP_
#define CAFFE_HDF5_OUTPUT_LAYER_HPP_

#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

#define HDF5_DATA_DATASET_NAME "data"
#define HDF5_DATA_LABEL_NAME "label"

namespace caffe {

/// Writes two bottoms, data and labels, into the datasets "data" and "label" of an HDF5
/// file, as N x C x H x W; blobs of more axes as they are.
///
/// The rows of every Forward come behind those of the ones before. The file at
/// hdf5_output_param.file_name is a whole one whenever it is there: it is written by the
/// first Forward, anew by the 2nd, 4th, 8th and so on, and when the layer goes, so that a
/// file costs twice its size to write, however many batches it has. There is no gradient.
/// Differs from BVLC, which fails in the second Forward.
template <typename Dtype>
class HDF5OutputLayer : public Layer<Dtype> {
 public:
  explicit HDF5OutputLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual ~HDF5OutputLayer();
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "HDF5Output"; }
  virtual inline int ExactNumBottomBlobs() const { return 2; }
  virtual inline int ExactNumTopBlobs() const { return 0; }
  LayerTraits Traits() const override;

  inline std::string file_name() const { return file_name_; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);
  /// Writes all rows so far.
  virtual void SaveBlobs();

  std::string file_name_;
  Blob<Dtype> data_blob_;  ///< all rows, while they are written
  Blob<Dtype> label_blob_;

 private:
  vector<Dtype> rows_[2];
  vector<int> shapes_[2];                  ///< of all rows
  unsigned int forwards_ = 0, saved_ = 0;  ///< Forwards, and those in the file
};

}  // namespace caffe

#endif  // CAFFE_HDF5_OUTPUT_LAYER_HPP_
