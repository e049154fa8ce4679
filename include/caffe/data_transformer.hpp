#ifndef CAFFE_DATA_TRANSFORMER_HPP
#define CAFFE_DATA_TRANSFORMER_HPP

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

struct PixelPlace;
template <typename T>
struct PixelFinish;
struct RandomDraws;
struct Warp;
template <typename Pixel>
struct ImageView;

/// Turns images into network input:
///
///   out(c, h, w) = (image(c, h + h_off, w + w_off) + jitter(c) - mean) * scale
///
/// with the columns reversed where mirrored. The crop is random in TRAIN and centred
/// in TEST; the mean is that of the pixel's place in the uncropped image (mean_file),
/// of its channel or of all (mean_value). Images are 8-bit blue-green-red. Resizing,
/// crops of random area and aspect, and rotation take the pixels from in between:
/// TransformationParameter in caffe.proto has the laws.
///
/// A wrong parameter, or an image that does not fit them, throws ValueError; a datum
/// that is damaged throws FileError.
template <typename Dtype>
class DataTransformer {
 public:
  explicit DataTransformer(const TransformationParameter& param, Phase phase);
  virtual ~DataTransformer() {}

  /// Seeds the random draws from caffe_rng(), if there are any to make.
  void InitRand();

  /// Transform one image into a blob of shape (1, C, H, W), several into one of as
  /// many; the blobs keep their shape, which must be InferBlobShape's but for N.
  void Transform(const Datum& datum, Blob<Dtype>* transformed_blob);
  void Transform(const vector<Datum>& datum_vector, Blob<Dtype>* transformed_blob);
  void Transform(const vector<cv::Mat>& mat_vector, Blob<Dtype>* transformed_blob);
  void Transform(const cv::Mat& cv_img, Blob<Dtype>* transformed_blob);
  /// Transforms a batch of values with one crop and one mirroring for all. Differs
  /// from BVLC: the input stays as it is. An empty output gets its shape.
  void Transform(Blob<Dtype>* input_blob, Blob<Dtype>* transformed_blob);

  vector<int> InferBlobShape(const Datum& datum);
  /// With N images.
  vector<int> InferBlobShape(const vector<Datum>& datum_vector);
  vector<int> InferBlobShape(const vector<cv::Mat>& mat_vector);
  vector<int> InferBlobShape(const cv::Mat& cv_img);

  /// Decodes an encoded datum as force_color and force_gray say. Throws FileError.
  cv::Mat Decode(const Datum& datum) const;
  /// Transforms one image, or a raw datum, into an output of `shape` (1, C, H, W),
  /// with the next draws of `rng`, which may be null where nothing is drawn. Safe to
  /// call from several threads.
  void Transform(const cv::Mat& cv_img, const vector<int>& shape, rng_t* rng,
                 Dtype* out) const;
  void Transform(const Datum& raw, const vector<int>& shape, rng_t* rng,
                 Dtype* out) const;
  // The same in two steps: which pixels, and (pixel - mean) * scale. There is a quarter
  // of the bytes in between.

  /// Whether images of 8 bits can be transformed so: none of their pixels come from in
  /// between others, and none are jittered.
  bool KeepsPixels() const;
  /// Like Transform, but for the second step. False, with nothing done or drawn, for a
  /// raw datum that is not of 8 bits.
  bool ChoosePixels(const cv::Mat& cv_img, const vector<int>& shape, rng_t* rng,
                    unsigned char* pixels, PixelPlace* place) const;
  bool ChoosePixels(const Datum& raw, const vector<int>& shape, rng_t* rng,
                    unsigned char* pixels, PixelPlace* place) const;
  /// The second step for images of `shape` (N, C, H, W), on the host or, with all arrays
  /// there, on the selected device.
  void FinishPixels(const vector<int>& shape, const unsigned char* pixels,
                    const PixelPlace* places, Dtype* out);
  void FinishPixelsOnDevice(const vector<int>& shape, const unsigned char* pixels,
                            const PixelPlace* places, Dtype* out);

  /// Whether there are random draws: mirror, or a crop in TRAIN.
  bool NeedsRand() const;

 protected:
  /// Uniform in {0, 1, ..., n - 1}.
  virtual int Rand(int n);

  TransformationParameter param_;
  shared_ptr<Caffe::RNG> rng_;
  Phase phase_;
  Blob<Dtype> data_mean_;
  vector<Dtype> mean_values_;

 private:
  /// What is drawn for one image.
  struct Choice;

  Choice Choose(int channels, int height, int width, const RandomDraws& draws) const;
  RandomDraws DrawsByRand();
  RandomDraws DrawsBy(rng_t* rng) const;
  /// Whether crops of random area and aspect are drawn.
  bool ResizesCrops() const;
  vector<int> OutputShape(int num, int channels, int height, int width) const;
  void CheckFit(const vector<int>& shape, int channels, int height, int width) const;
  Dtype MeanValue(int channel) const;
  PixelFinish<Dtype> FinishOf(const vector<int>& shape);
  void CopyPixels(const ImageView<unsigned char>& view, const Warp& warp,
                  unsigned char* pixels, PixelPlace* place) const;
  static ImageView<unsigned char> ViewOf(const cv::Mat& image);
  static ImageView<unsigned char> ViewOfBytes(const Datum& raw);
  template <typename Pixel>
  void TransformView(const ImageView<Pixel>& view, const vector<int>& shape,
                     const Choice& choice, Dtype* out) const;
  template <typename Pixel>
  void Copy(const ImageView<Pixel>& view, const Warp& warp, Dtype* out) const;
  void TransformMat(const cv::Mat& image, const vector<int>& shape,
                    const RandomDraws& draws, Dtype* out) const;
  void TransformRaw(const Datum& datum, const vector<int>& shape,
                    const RandomDraws& draws, Dtype* out) const;

  /// The means of the second step: data_mean_, which other threads read, or one for each
  /// channel.
  Blob<Dtype> means_;
};

}  // namespace caffe

#endif  // CAFFE_DATA_TRANSFORMER_HPP
