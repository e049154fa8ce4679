#ifndef CAFFE_PARALLEL_GRADIENT_SUM_HPP_
#define CAFFE_PARALLEL_GRADIENT_SUM_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/parallel.hpp"
#include "caffe/parallel/device_mean.hpp"

namespace caffe {

/// Puts the mean over a group in place of a net's gradients while it runs backward: the
/// sum of a parameter starts behind the last layer that adds to its diff.
template <typename Dtype>
class GradientSum : public Net<Dtype>::Callback {
 public:
  /// Both must outlive it.
  GradientSum(Net<Dtype>* net, ProcessGroup* group);
  ~GradientSum() override { net_->remove_after_backward(this); }

  bool reads_blobs() const override { return false; }

  /// Means are taken in the next complete backward pass, and are there when it returns.
  /// The mean of `value`, if given, comes in the same message as one of the gradients.
  void SumInNextBackward(Dtype* value = nullptr) {
    active_ = true;
    value_ = value;
  }
  /// Takes the means of gradients that are complete.
  void SumNow();
  /// The shapes of the parameters in the order of their sums; equal on all processes
  /// that can train together.
  string Order() const;

 protected:
  void run(int layer) override;

 private:
  void RunOnDevice(int layer);

  Net<Dtype>* net_;
  ProcessGroup* group_;
  bool active_ = false;
  std::unique_ptr<DeviceMean> device_mean_;  // null: through host memory
  bool asked_for_device_mean_ = false;
  vector<vector<Blob<Dtype>*>> complete_behind_;  // parameters, by layer
  Dtype* value_ = nullptr;
  Blob<Dtype>* carrier_ = nullptr;  // the smallest parameter, beside which it goes
  vector<Dtype> message_;           // the gradient of that one, and the value

  DISABLE_COPY_AND_ASSIGN(GradientSum);
};

}  // namespace caffe

#endif  // CAFFE_PARALLEL_GRADIENT_SUM_HPP_
