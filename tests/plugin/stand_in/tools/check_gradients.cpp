// Compares the gradients of both layers with central differences, in double and in float,
// through the names of Caffe 1.0: check_gradients [-plugin LIB.so] [-gpu]. Prints the
// largest error of each case and fails if one is too large. As in Caffe's own checker,
// all weights take part in TRAIN: statistics do not enter the top there and have no
// gradient. In place, where a later layer may change the top, gradients are compared with
// those of a layer that has a top of its own.

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/layer.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/proto/caffe.pb.h"

namespace {

using caffe::Blob;
typedef std::vector<int> Shape;

// The step of a difference, and the error that it may have. Rounding gives about 1e-16 /
// step in double; in float, where the step has to be large, Caffe's tests allow this too.
template <typename Dtype>
struct Difference;
template <>
struct Difference<double> {
  static double Step() { return 1e-5; }
  static double MostError() { return 1e-7; }
};
template <>
struct Difference<float> {
  static double Step() { return 1e-2; }
  static double MostError() { return 1e-3; }
};

// In -1 .. 1, different for every seed and index.
double ValueAt(int seed, int i) {
  return static_cast<double>((i * 7919LL + seed * 104729LL + 17) % 2003) / 1001 - 1;
}

template <typename Dtype>
void Fill(int seed, Blob<Dtype>* blob) {
  Dtype* values = blob->mutable_cpu_data();
  for (int i = 0; i < blob->count(); ++i)
    values[i] = static_cast<Dtype>(ValueAt(seed, i));
}

// The objective is the sum of the top's values, each times a factor of its own.
double FactorAt(int i) { return ValueAt(77, i); }

template <typename Dtype>
class Case {
 public:
  typedef caffe::shared_ptr<Blob<Dtype>> BlobPointer;

  Case(const std::string& type, const std::vector<Shape>& shapes, caffe::Phase phase,
       bool in_place = false)
      : phase_(phase) {
    caffe::LayerParameter param;
    param.set_name("layer");
    param.set_type(type);
    param.set_phase(phase);
    layer_ = caffe::LayerRegistry<Dtype>::CreateLayer(param);
    for (size_t i = 0; i < shapes.size(); ++i) {
      owned_.push_back(BlobPointer(new Blob<Dtype>(shapes[i])));
      Fill(static_cast<int>(i), owned_.back().get());
      bottom_.push_back(owned_.back().get());
    }
    owned_.push_back(BlobPointer(new Blob<Dtype>()));
    top_.push_back(in_place ? bottom_[0] : owned_.back().get());
    layer_->SetUp(bottom_, top_);
    // Any values for weights but variances, which are positive.
    const std::vector<BlobPointer>& weights = layer_->blobs();
    for (size_t b = 0; b < weights.size(); ++b) {
      Fill(static_cast<int>(40 + b), weights[b].get());
      for (int i = 0; i < weights[b]->count(); ++i) {
        Dtype* value = weights[b]->mutable_cpu_data() + i;
        *value = b == 3 ? Dtype(0.5) + std::fabs(*value) : *value;
      }
      for (int i = 0; i < weights[b]->count(); ++i) {
        weights[b]->mutable_cpu_diff()[i] = 0;
      }
    }
  }

  // The largest error of the gradients of all bottoms and weights.
  double LargestError() {
    const std::vector<Blob<Dtype>*> checked = Differentiate();
    const double step = Difference<Dtype>::Step();
    double largest = 0;
    for (size_t b = 0; b < checked.size(); ++b) {
      const std::vector<Dtype> analytic(checked[b]->cpu_diff(),
                                        checked[b]->cpu_diff() + checked[b]->count());
      for (int i = 0; i < checked[b]->count(); ++i) {
        const double slope =
            (ObjectiveWith(checked[b], i, step) - ObjectiveWith(checked[b], i, -step)) /
            (2 * step);
        largest = std::max(largest, std::fabs(slope - analytic[i]));
      }
    }
    return largest;
  }

  // Of the gradients of this case and of another one, whose top is overwritten in
  // between.
  double LargestDifference(Case other) {
    const std::vector<Blob<Dtype>*> want = Differentiate(),
                                    got = other.Differentiate(true);
    double largest = 0;
    for (size_t b = 0; b < want.size(); ++b) {
      for (int i = 0; i < want[b]->count(); ++i) {
        const double difference = want[b]->cpu_diff()[i] - got[b]->cpu_diff()[i];
        largest = std::max(largest, std::fabs(difference));
      }
    }
    return largest;
  }

 private:
  // Forward and backward; the blobs whose gradients are compared.
  std::vector<Blob<Dtype>*> Differentiate(bool overwrite = false) {
    layer_->Forward(bottom_, top_);
    for (int i = 0; i < top_[0]->count(); ++i) {
      top_[0]->mutable_cpu_diff()[i] = static_cast<Dtype>(FactorAt(i));
      if (overwrite) top_[0]->mutable_cpu_data()[i] = 3;
    }
    layer_->Backward(top_, std::vector<bool>(bottom_.size(), true), bottom_);
    std::vector<Blob<Dtype>*> checked(bottom_);
    // In TEST the top depends on statistics, which are not learned all the same.
    const size_t most = phase_ == caffe::TRAIN ? 4 : 2;
    for (size_t b = 0; b < std::min(most, layer_->blobs().size()); ++b) {
      checked.push_back(layer_->blobs()[b].get());
    }
    return checked;
  }

  double ObjectiveWith(Blob<Dtype>* blob, int i, double step) {
    const Dtype value = blob->cpu_data()[i];
    blob->mutable_cpu_data()[i] = static_cast<Dtype>(value + step);
    layer_->Forward(bottom_, top_);
    blob->mutable_cpu_data()[i] = value;
    double sum = 0;
    for (int j = 0; j < top_[0]->count(); ++j)
      sum += FactorAt(j) * top_[0]->cpu_data()[j];
    return sum;
  }

  caffe::Phase phase_;
  caffe::shared_ptr<caffe::Layer<Dtype>> layer_;
  std::vector<BlobPointer> owned_;
  std::vector<Blob<Dtype>*> bottom_, top_;
};

bool Report(const std::string& what, double error, double most) {
  std::printf("%-38s largest error %.1e\n", what.c_str(), error);
  std::fflush(stdout);  // what follows may end the process
  return error < most;
}

// In both types.
bool Check(const std::string& what, const std::string& type,
           const std::vector<Shape>& shapes, caffe::Phase phase) {
  const double in_double = Case<double>(type, shapes, phase).LargestError(),
               in_float = Case<float>(type, shapes, phase).LargestError();
  const bool good = Report(what, in_double, Difference<double>::MostError());
  return Report(what + ", float", in_float, Difference<float>::MostError()) && good;
}

// In place, a later layer may overwrite the top before backward.
bool CheckOverwritten(const std::string& what, const Shape& shape, caffe::Phase phase) {
  Case<double> apart("CuDNNBatchNorm", {shape}, phase);
  const double error =
      apart.LargestDifference(Case<double>("CuDNNBatchNorm", {shape}, phase, true));
  return Report(what, error, Difference<double>::MostError());
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "-gpu") {
      caffe::Caffe::set_mode(caffe::Caffe::GPU);
    } else {
      CHECK(option == "-plugin" && i + 1 < argc) << option;
      CHECK(dlopen(argv[++i], RTLD_NOW | RTLD_GLOBAL)) << dlerror();
    }
  }
  const Shape x = {3, 2, 2, 3};
  bool good = Check("Axpy, N x C x 1 x 1", "Axpy", {{3, 2, 1, 1}, x, x}, caffe::TRAIN);
  good &= Check("Axpy, N x C", "Axpy", {{3, 2}, x, x}, caffe::TRAIN);
  good &= Check("CuDNNBatchNorm, TRAIN", "CuDNNBatchNorm", {x}, caffe::TRAIN);
  good &= Check("CuDNNBatchNorm, TRAIN, N x C", "CuDNNBatchNorm", {{5, 3}}, caffe::TRAIN);
  good &= Check("CuDNNBatchNorm, TEST", "CuDNNBatchNorm", {x}, caffe::TEST);
  good &= CheckOverwritten("CuDNNBatchNorm, TRAIN, in place", x, caffe::TRAIN);
  good &= CheckOverwritten("CuDNNBatchNorm, TEST, in place", x, caffe::TEST);
  return good ? 0 : 1;
}
