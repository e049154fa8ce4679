#ifndef CAFFE_FILLER_HPP_
#define CAFFE_FILLER_HPP_

#include <string>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/syncedmem.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

/// Gives a parameter blob its first values.
template <typename Dtype>
class Filler {
 public:
  explicit Filler(const FillerParameter& param) : filler_param_(param) {}
  virtual ~Filler() {}
  virtual void Fill(Blob<Dtype>* blob) = 0;

 protected:
  FillerParameter filler_param_;
  /// The values of a non-empty blob; throws for an empty one, or for a `sparse`
  /// setting where the filler has none.
  Dtype* CheckedData(Blob<Dtype>* blob, bool allow_sparse = false) const;
  /// fan_in, fan_out or their mean, by variance_norm: the first axis counts the
  /// outputs, the others the inputs of one output.
  Dtype Fan(const Blob<Dtype>& blob) const;
};

/// x = value (default 0)
template <typename Dtype>
class ConstantFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// x ~ U(min, max) (default 0..1)
template <typename Dtype>
class UniformFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// x ~ N(mean, std²) (default 0, 1). With sparse = k, each of the outputs keeps k
/// non-zero inputs on average: the others are set to 0 by Bernoulli draws.
template <typename Dtype>
class GaussianFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// x ~ U(0, 1), scaled so that each output's weights sum to 1.
template <typename Dtype>
class PositiveUnitballFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// x ~ U(-a, a) with a = sqrt(3 / n), n = fan_in by default. Source: Glorot and
/// Bengio, AISTATS 2010, with Caffe's variance_norm.
template <typename Dtype>
class XavierFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// x ~ N(0, 2/n), n = fan_in by default. Source: He et al., ICCV 2015.
template <typename Dtype>
class MSRAFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// Bilinear interpolation kernels for a Deconvolution that upsamples; the blob
/// has 4 axes with a square kernel.
template <typename Dtype>
class BilinearFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override;
};

/// The filler named by `param.type()`; the caller owns it. Throws ValueError with
/// the closest name when the type is unknown.
template <typename Dtype>
Filler<Dtype>* GetFiller(const FillerParameter& param);

}  // namespace caffe

#endif  // CAFFE_FILLER_HPP_
