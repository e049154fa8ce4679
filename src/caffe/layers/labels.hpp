#ifndef CAFFE_LAYERS_LABELS_HPP_
#define CAFFE_LAYERS_LABELS_HPP_

#include <optional>
#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

/// Scores with the classes on one axis, and one label for every other position.
struct LabelledScores {
  int outer;  ///< extent of the axes before the classes: samples
  int classes;
  int inner;  ///< extent of the axes behind the classes: positions per sample
};

/// Works out the extents; throws unless bottom[1] has a label for every position of
/// bottom[0].
template <typename Dtype>
LabelledScores CheckedScores(const LayerParameter& param,
                             const std::vector<Blob<Dtype>*>& bottom, int axis) {
  const LabelledScores scores{bottom[0]->count(0, axis), bottom[0]->shape(axis),
                              bottom[0]->count(axis + 1)};
  if (scores.outer * scores.inner != bottom[1]->count() || scores.classes < 1) {
    throw ValueError(Str(
        NameOfBottom(param, 1), ": shape ", ShapeText(bottom[1]->shape()), " holds ",
        bottom[1]->count(), " labels, expected ", scores.outer * scores.inner,
        ", one for every position of bottom[0] of shape ", ShapeText(bottom[0]->shape()),
        " with the ", scores.classes, " classes on axis ", axis));
  }
  return scores;
}

/// A sample of a batch that cannot be, told in two halves: between them is room for
/// where the sample came from, which a layer does not know but its net may.
class BadSample : public ValueError {
 public:
  BadSample(int bottom, int sample, const std::string& subject, const std::string& fault)
      : ValueError(subject + fault),
        bottom_(bottom),
        sample_(sample),
        subject_(subject),
        fault_(fault) {}

  int bottom() const { return bottom_; }  ///< index of the layer's bottom
  int sample() const { return sample_; }  ///< index on the bottom's first axis
  void SetOrigin(const std::string& origin) {
    SetMessage(Str(subject_, " (", origin, ")", fault_));
  }

 private:
  int bottom_, sample_;
  std::string subject_, fault_;
};

/// Turns labels into class indices, -1 where they equal `ignore`; returns how many do
/// not. Throws BadSample for a label outside the classes. Fractions are cut off, as in
/// Caffe.
template <typename Dtype>
int ReadLabels(const LayerParameter& param, const Blob<Dtype>& labels,
               const LabelledScores& scores, std::optional<int> ignore,
               std::vector<int>* classes) {
  const Dtype* data = labels.cpu_data();
  classes->resize(labels.count());
  int valid = 0;
  for (int i = 0; i < labels.count(); ++i) {
    const Dtype label = data[i];
    // Compared before the cast, which is undefined for NaN and huge values.
    const bool fits_int = label > Dtype(-2e9) && label < Dtype(2e9);
    if (ignore && fits_int && static_cast<int>(label) == *ignore) {
      (*classes)[i] = -1;
      continue;
    }
    if (!(label > -1 && label < scores.classes)) {
      throw BadSample(
          1, labels.num_axes() > 0 ? i / labels.count(1) : 0,
          Str(NameOfBottom(param, 1), ": sample ", i / scores.inner,
              scores.inner > 1 ? Str(", position ", i % scores.inner) : std::string()),
          Str(" has label ", label, ", expected 0 to ", scores.classes - 1, " for the ",
              scores.classes, " classes of bottom[0]",
              ignore ? Str(", or ", *ignore, " to be ignored") : std::string(),
              "; check the labels and the number of outputs of the classifier"));
    }
    (*classes)[i] = static_cast<int>(label);
    ++valid;
  }
  return valid;
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_LABELS_HPP_
