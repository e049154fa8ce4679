#ifndef CAFFE_LAYERS_LABELS_HPP_
#define CAFFE_LAYERS_LABELS_HPP_

#include <cstddef>
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

/// The same of losses with one label for each sample, whose classes are all of the axes
/// behind the first.
template <typename Dtype>
LabelledScores CheckedRows(const LayerParameter& param,
                           const std::vector<Blob<Dtype>*>& bottom) {
  const LabelledScores rows{bottom[0]->shape(0), bottom[0]->count(1), 1};
  if (rows.outer != bottom[1]->count() || rows.classes < 1) {
    throw ValueError(Str(
        NameOfBottom(param, 1), ": shape ", ShapeText(bottom[1]->shape()), " holds ",
        bottom[1]->count(), " labels, expected ", rows.outer,
        ", one for every sample of bottom[0] of shape ", ShapeText(bottom[0]->shape())));
  }
  return rows;
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

/// Throws if a gradient of `bottom` is asked for: what it holds, such as "labels", has
/// none.
inline void CheckNoGradientOf(const char* what, const LayerParameter& param,
                              const std::vector<bool>& propagate_down,
                              std::size_t bottom = 1) {
  if (bottom >= propagate_down.size() || !propagate_down[bottom]) return;
  throw ValueError(Str(NameOfBottom(param, static_cast<int>(bottom)), ": ", what,
                       " have no gradient; set propagate_down: false for them"));
}

/// Which class a label stands for, for CPU and GPU alike. Fractions are cut off, as in
/// Caffe.
struct LabelReader {
  static constexpr int kIgnored = -1, kOutside = -2;  ///< instead of a class

  int classes;
  bool ignores;
  int ignored;  ///< the label that is left out with `ignores`

  template <typename Dtype>
  CAFFE_HOST_DEVICE int ClassOf(Dtype label) const {
    // Compared before the cast, which is undefined for NaN and huge values.
    const bool fits_int = label > Dtype(-2e9) && label < Dtype(2e9);
    if (ignores && fits_int && static_cast<int>(label) == ignored) return kIgnored;
    return label > -1 && label < classes ? static_cast<int>(label) : int{kOutside};
  }
};

/// Turns labels into class indices, -1 where they are ignored; returns how many are not.
/// Throws BadSample for a label outside the classes.
template <typename Dtype>
int ReadLabels(const LayerParameter& param, const Blob<Dtype>& labels,
               const LabelledScores& scores, const LabelReader& reader, int* classes) {
  const Dtype* data = labels.cpu_data();
  int valid = 0;
  for (int i = 0; i < labels.count(); ++i) {
    classes[i] = reader.ClassOf(data[i]);
    if (classes[i] == LabelReader::kOutside) {
      throw BadSample(
          1, labels.num_axes() > 0 ? i / labels.count(1) : 0,
          Str(NameOfBottom(param, 1), ": sample ", i / scores.inner,
              scores.inner > 1 ? Str(", position ", i % scores.inner) : std::string()),
          Str(" has label ", data[i], ", expected 0 to ", scores.classes - 1, " for the ",
              scores.classes, " classes of bottom[0]",
              reader.ignores ? Str(", or ", reader.ignored, " to be ignored")
                             : std::string(),
              "; check the labels and the number of outputs of the classifier"));
    }
    valid += classes[i] >= 0;
  }
  return valid;
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_LABELS_HPP_
