#ifndef CAFFE_IMAGE_SEG_DATA_LAYER_HPP_
#define CAFFE_IMAGE_SEG_DATA_LAYER_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/layers/image_data_layer.hpp"

namespace caffe {

/// Images and the classes of their pixels, of the files that a list names.
///
/// Tops: images (N, C, H, W); classes (N, 1, H, W), the grey values of the second file
/// of each line; and, if there is a third top, height and width of each image without
/// padding (N, 1, 1, 2). With crop_size, what an image lacks to it is added below and on
/// the right: mean_value, and ignore_label as class. Crops (anywhere in TRAIN, else in
/// the middle) and mirroring are the same for image and classes.
/// Parameters: image_data_param as ImageData's, and {label_type IMAGE, ignore_label 255}:
/// with PIXEL the second column is the image of classes, with IMAGE a number, the class
/// of all pixels, and with NONE there is none and all are ignore_label. new_height and
/// new_width take the classes from the nearest pixels. transform_param: crop_size,
/// mirror, mean_value, scale, max_jitter. Source: DeepLab's Caffe (Chen et al., 2015).
template <typename Dtype>
class ImageSegDataLayer : public ImageDataLayer<Dtype> {
 public:
  explicit ImageSegDataLayer(const LayerParameter& param);
  ~ImageSegDataLayer() override;
  void DataLayerSetUp(const vector<Blob<Dtype>*>& bottom,
                      const vector<Blob<Dtype>*>& top) override;

  inline const char* type() const override { return "ImageSegData"; }
  inline int ExactNumTopBlobs() const override { return -1; }
  inline int MinTopBlobs() const override { return 2; }
  inline int MaxTopBlobs() const override { return 3; }

 protected:
  vector<ListedImage> ReadList(const string& path) override;
  std::unique_ptr<DecodedSample> Decode(const Record& record) override;
  void DeliverLabels(int device, Batch<Dtype>* batch,
                     const vector<Blob<Dtype>*>& top) override;

 private:
  cv::Mat ClassesOf(const Record& record, const cv::Mat& image) const;

  vector<string> label_paths_;  // by Record::label, with label_type PIXEL
};

}  // namespace caffe

#endif  // CAFFE_IMAGE_SEG_DATA_LAYER_HPP_
