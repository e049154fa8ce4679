// Compares the gradients of both layers with central differences, in double, through the
// names of Caffe 1.0: check_gradients [-plugin LIB.so] [-gpu]. Prints the largest error
// of each case and fails if one is too large. In place, where a later layer may change
// the top, gradients are compared with those of a layer that has a top of its own.

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
typedef caffe::shared_ptr<Blob<double>> BlobPointer;
typedef std::vector<int> Shape;

// In -1 .. 1, different for every seed and index.
double ValueAt(int seed, int i) {
  return static_cast<double>((i * 7919LL + seed * 104729LL + 17) % 2003) / 1001 - 1;
}

void Fill(int seed, Blob<double>* blob) {
  for (int i = 0; i < blob->count(); ++i) blob->mutable_cpu_data()[i] = ValueAt(seed, i);
}

// The objective is the sum of the top's values, each times a factor of its own.
double FactorAt(int i) { return ValueAt(77, i); }

class Case {
 public:
  Case(const std::string& type, const std::vector<Shape>& shapes, caffe::Phase phase,
       bool in_place = false) {
    caffe::LayerParameter param;
    param.set_name("layer");
    param.set_type(type);
    param.set_phase(phase);
    layer_ = caffe::LayerRegistry<double>::CreateLayer(param);
    for (size_t i = 0; i < shapes.size(); ++i) {
      owned_.push_back(BlobPointer(new Blob<double>(shapes[i])));
      Fill(static_cast<int>(i), owned_.back().get());
      bottom_.push_back(owned_.back().get());
    }
    owned_.push_back(BlobPointer(new Blob<double>()));
    top_.push_back(in_place ? bottom_[0] : owned_.back().get());
    layer_->SetUp(bottom_, top_);
    // Any values for weights but variances, which are positive.
    const std::vector<BlobPointer>& weights = layer_->blobs();
    for (size_t b = 0; b < weights.size(); ++b) {
      Fill(static_cast<int>(40 + b), weights[b].get());
      for (int i = 0; i < weights[b]->count(); ++i) {
        double* value = weights[b]->mutable_cpu_data() + i;
        *value = b == 3 ? 0.5 + std::fabs(*value) : *value;
      }
      for (int i = 0; i < weights[b]->count(); ++i) {
        weights[b]->mutable_cpu_diff()[i] = 0;
      }
    }
  }

  // The largest error of all bottoms and of the weights that are learned, of two.
  double LargestError() {
    const std::vector<Blob<double>*> checked = Differentiate();
    double largest = 0;
    for (size_t b = 0; b < checked.size(); ++b) {
      const std::vector<double> analytic(checked[b]->cpu_diff(),
                                         checked[b]->cpu_diff() + checked[b]->count());
      for (int i = 0; i < checked[b]->count(); ++i) {
        const double step = 1e-5;
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
    const std::vector<Blob<double>*> want = Differentiate(),
                                     got = other.Differentiate(true);
    double largest = 0;
    for (size_t b = 0; b < want.size(); ++b) {
      for (int i = 0; i < want[b]->count(); ++i) {
        largest =
            std::max(largest, std::fabs(want[b]->cpu_diff()[i] - got[b]->cpu_diff()[i]));
      }
    }
    return largest;
  }

 private:
  // Forward and backward; the blobs that have a gradient.
  std::vector<Blob<double>*> Differentiate(bool overwrite = false) {
    layer_->Forward(bottom_, top_);
    for (int i = 0; i < top_[0]->count(); ++i) {
      top_[0]->mutable_cpu_diff()[i] = FactorAt(i);
      if (overwrite) top_[0]->mutable_cpu_data()[i] = 3;
    }
    layer_->Backward(top_, std::vector<bool>(bottom_.size(), true), bottom_);
    std::vector<Blob<double>*> checked(bottom_);
    for (size_t b = 0; b < std::min<size_t>(2, layer_->blobs().size()); ++b) {
      checked.push_back(layer_->blobs()[b].get());
    }
    return checked;
  }

  double ObjectiveWith(Blob<double>* blob, int i, double step) {
    const double value = blob->cpu_data()[i];
    blob->mutable_cpu_data()[i] = value + step;
    layer_->Forward(bottom_, top_);
    blob->mutable_cpu_data()[i] = value;
    double sum = 0;
    for (int j = 0; j < top_[0]->count(); ++j)
      sum += FactorAt(j) * top_[0]->cpu_data()[j];
    return sum;
  }

  caffe::shared_ptr<caffe::Layer<double>> layer_;
  std::vector<BlobPointer> owned_;
  std::vector<Blob<double>*> bottom_, top_;
};

bool Report(const char* what, double error) {
  std::printf("%-32s largest error %.1e\n", what, error);
  std::fflush(stdout);  // what follows may end the process
  return error < 1e-7;
}

bool Check(const char* what, Case check) {
  // Rounding of the differences is about 1e-16 / step.
  return Report(what, check.LargestError());
}

// In place, a later layer may overwrite the top before backward.
bool CheckOverwritten(const char* what, const Shape& shape, caffe::Phase phase) {
  return Report(what,
                Case("CuDNNBatchNorm", {shape}, phase)
                    .LargestDifference(Case("CuDNNBatchNorm", {shape}, phase, true)));
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
  bool good =
      Check("Axpy, N x C x 1 x 1", Case("Axpy", {{3, 2, 1, 1}, x, x}, caffe::TRAIN));
  good &= Check("Axpy, N x C", Case("Axpy", {{3, 2}, x, x}, caffe::TRAIN));
  good &= Check("CuDNNBatchNorm, TRAIN", Case("CuDNNBatchNorm", {x}, caffe::TRAIN));
  good &= Check("CuDNNBatchNorm, TRAIN, N x C",
                Case("CuDNNBatchNorm", {{5, 3}}, caffe::TRAIN));
  good &= Check("CuDNNBatchNorm, TEST", Case("CuDNNBatchNorm", {x}, caffe::TEST));
  good &= CheckOverwritten("CuDNNBatchNorm, TRAIN, in place", x, caffe::TRAIN);
  good &= CheckOverwritten("CuDNNBatchNorm, TEST, in place", x, caffe::TEST);
  return good ? 0 : 1;
}
