#include "caffe/graph.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace caffe {

int GraphFacts::PlaceOf(int i, int blob) const {
  const vector<int>& bottoms = bottom_ids[i];
  const auto found = std::find(bottoms.begin(), bottoms.end(), blob);
  return found == bottoms.end() ? -1 : static_cast<int>(found - bottoms.begin());
}

template <typename Dtype>
void Graph<Dtype>::Refresh() {
  traits.clear();
  for (const auto& layer : layers) traits.push_back(TraitsOf(*layer));
  bytes.clear();
  for (const auto& blob : blobs) {
    bytes.push_back(static_cast<double>(blob->count()) * sizeof(Dtype));
  }
  // Memory shared in ways that no trait tells of can be seen if it has happened by now.
  const auto same_memory = [this](int a, int b) {
    return blobs[a]->count() > 0 && blobs[b]->count() > 0 &&
           blobs[a]->data() == blobs[b]->data();
  };
  roots.resize(blobs.size());
  std::iota(roots.begin(), roots.end(), 0);
  for (int i = 0; i < static_cast<int>(layers.size()); ++i) {
    const vector<int>& bottoms = bottom_ids[i];
    for (int top : top_ids[i]) {
      if (WorksInPlace(i, top)) continue;
      const auto shared = std::find_if(bottoms.begin(), bottoms.end(), [&](int bottom) {
        return traits[i].shares_bottom || same_memory(top, bottom);
      });
      if (shared != bottoms.end()) roots[top] = roots[*shared];
    }
  }
}

INSTANTIATE_CLASS(Graph);

}  // namespace caffe
