#ifndef CAFFE_SOLVERS_OUTPUT_MEANS_HPP_
#define CAFFE_SOLVERS_OUTPUT_MEANS_HPP_

#include <string>
#include <utility>
#include <vector>

#include "caffe/net.hpp"

namespace caffe {

/// Means of every number of a net's outputs, and of its loss, over passes through it.
template <typename Dtype>
class OutputMeans {
 public:
  explicit OutputMeans(const Net<Dtype>& net) : net_(net) {}

  /// Counts what the net has just computed.
  void Add(Dtype loss);

  Dtype loss() const { return static_cast<Dtype>(loss_ / passes_); }
  /// With the names of their blobs, in the order of Net::output_blobs.
  vector<std::pair<string, Dtype>> Named() const;
  /// For the log: "    Test net output #0: loss = 0.24 (* 0.5 = 0.12 loss)"; the part in
  /// parentheses is for outputs that enter the loss.
  vector<string> Lines(const string& phase) const;

 private:
  const Net<Dtype>& net_;
  int passes_ = 0;
  double loss_ = 0;
  vector<double> sums_;
  vector<int> blobs_;  ///< for every sum its blob's index in the net
};

}  // namespace caffe

#endif  // CAFFE_SOLVERS_OUTPUT_MEANS_HPP_
