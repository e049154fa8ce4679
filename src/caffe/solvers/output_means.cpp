#include "caffe/solvers/output_means.hpp"

#include <string>
#include <utility>
#include <vector>

namespace caffe {

template <typename Dtype>
void OutputMeans<Dtype>::Add(Dtype loss) {
  ++passes_;
  loss_ += loss;
  size_t sum = 0;
  for (size_t i = 0; i < net_.output_blobs().size(); ++i) {
    const Dtype* values = net_.output_blobs()[i]->cpu_data();
    for (int j = 0; j < net_.output_blobs()[i]->count(); ++j, ++sum) {
      if (sum == sums_.size()) {
        sums_.push_back(0);
        blobs_.push_back(net_.output_blob_indices()[i]);
      }
      sums_[sum] += values[j];
    }
  }
}

template <typename Dtype>
vector<std::pair<string, Dtype>> OutputMeans<Dtype>::Named() const {
  vector<std::pair<string, Dtype>> means;
  for (size_t i = 0; i < sums_.size(); ++i) {
    means.emplace_back(net_.blob_names()[blobs_[i]],
                       static_cast<Dtype>(sums_[i] / passes_));
  }
  return means;
}

template <typename Dtype>
vector<string> OutputMeans<Dtype>::Lines(const string& phase) const {
  vector<string> lines;
  for (const auto& [name, mean] : Named()) {
    const size_t i = lines.size();
    const Dtype weight = net_.blob_loss_weights()[blobs_[i]];
    lines.push_back(Str("    ", phase, " net output #", i, ": ", name, " = ", mean));
    if (weight) lines[i] += Str(" (* ", weight, " = ", weight * mean, " loss)");
  }
  return lines;
}

INSTANTIATE_CLASS(OutputMeans);

}  // namespace caffe
