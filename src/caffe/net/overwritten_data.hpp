#ifndef CAFFE_NET_OVERWRITTEN_DATA_HPP_
#define CAFFE_NET_OVERWRITTEN_DATA_HPP_

#include <vector>

#include "caffe/graph.hpp"

namespace caffe {

/// Copies of data that a layer in place writes over although the Backward of a layer
/// before it still reads it, as that of Sigmoid reads its top.
///
/// The data is copied before the layer in place runs forward. While a reader runs
/// backward it is put back; outside of that the blob shows what the net computed last.
/// BVLC's gradient is wrong in such nets.
///
/// A layer without bottoms may have filled its top once for all, as one from Python or a
/// plugin does: it finds its top as it left it. In BVLC's nets the layer in place
/// works on its own last result.
template <typename Dtype>
class OverwrittenData {
 public:
  /// Throws ValueError if the gradient would be wrong
  /// all the same: a layer in place changes what a later one reads under another name
  /// (Flatten and Reshape share data), or a parameter.
  explicit OverwrittenData(const Graph<Dtype>& graph);

  bool empty() const { return copies_.empty(); }
  /// The blobs that copies are made of.
  vector<int> blobs() const;

  // Called for every layer that runs, in the order in which the net runs them.
  void BeforeForward(int layer);
  void BeforeBackward(int layer);
  void AfterBackward(int layer);

  // The same of nets that are optimised for inference, too.
  void BeforeFill(int layer);
  void AfterFill(int layer);

 private:
  struct Copy {
    int writer;  ///< the layer in place
    int blob;
    vector<int> readers;
    Blob<Dtype> before, after;
    bool made = false;
  };

  struct Filled {
    int layer;
    int blob;
    Blob<Dtype> data;
  };

  void FindReaders();
  void FindFilled();
  void RefuseStaleReads() const;
  DataUse UseOf(int layer, int group) const;
  void AddReader(int writer, int blob, int reader);

  const Graph<Dtype>& graph_;
  vector<shared_ptr<Copy>> copies_;
  vector<shared_ptr<Filled>> filled_;
};

}  // namespace caffe

#endif  // CAFFE_NET_OVERWRITTEN_DATA_HPP_
