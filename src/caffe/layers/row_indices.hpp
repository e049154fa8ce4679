#ifndef CAFFE_LAYERS_ROW_INDICES_HPP_
#define CAFFE_LAYERS_ROW_INDICES_HPP_

#include <algorithm>
#include <numeric>
#include <vector>

#include "caffe/layers/labels.hpp"

namespace caffe {

/// Checks that bottom `index` holds whole numbers from 0 to `limit` - 1, which are
/// `what`, and gives them. Fractions are cut off, as in Caffe. On the host, where a wrong
/// one can be named: they come from there, and are few.
template <typename Dtype>
void ReadIndices(const LayerParameter& param, const Blob<Dtype>& bottom, int index,
                 int limit, const char* what, Blob<int>* indices) {
  indices->Reshape({bottom.count()});
  const Dtype* from = bottom.cpu_data();
  int* to = indices->mutable_cpu_data();
  const LabelReader reader{limit, false, 0};
  for (int i = 0; i < bottom.count(); ++i) {
    to[i] = reader.ClassOf(from[i]);
    if (to[i] < 0) {
      throw BadSample(index, bottom.num_axes() > 0 ? i / bottom.count(1) : 0,
                      Str(NameOfBottom(param, index), ": element ", i),
                      Str(" is ", from[i], ", expected a whole number from 0 to ",
                          limit - 1, ", ", what));
    }
  }
}

/// Which rows have an index, for sums over them: in the order of the rows, so that equal
/// inputs give equal bits however many threads add up.
struct RowsByIndex {
  std::vector<int> rows;   ///< sorted by index, and by row where that is equal
  std::vector<int> index;  ///< those that occur, rising
  std::vector<int>
      begin;  ///< of each, its first place in `rows`; and the end of the last

  explicit RowsByIndex(const Blob<int>& indices) : rows(indices.count()) {
    const int* of = indices.cpu_data();
    std::iota(rows.begin(), rows.end(), 0);
    std::stable_sort(rows.begin(), rows.end(),
                     [of](int a, int b) { return of[a] < of[b]; });
    for (int i = 0; i < static_cast<int>(rows.size()); ++i) {
      if (!index.empty() && index.back() == of[rows[i]]) continue;
      index.push_back(of[rows[i]]);
      begin.push_back(i);
    }
    begin.push_back(static_cast<int>(rows.size()));
  }
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_ROW_INDICES_HPP_
