#ifndef CAFFE_RESUMABLE_HPP_
#define CAFFE_RESUMABLE_HPP_

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// A layer with state beyond its blobs that a resumed run needs, such as a position in
/// its data. A solver stores it in its solverstate; a layer takes part by deriving from
/// this class beside Layer.
class Resumable {
 public:
  /// Returns false when there is nothing to store.
  virtual bool SaveState(LayerState* state) const = 0;
  virtual void RestoreState(const LayerState& state) = 0;

 protected:
  ~Resumable() = default;
};

}  // namespace caffe

#endif  // CAFFE_RESUMABLE_HPP_
