#include "caffe/parallel/gradient_sum.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace caffe {

template <typename Dtype>
GradientSum<Dtype>::GradientSum(Net<Dtype>* net, ProcessGroup* group)
    : net_(net), group_(group), complete_behind_(net->layers().size()) {
  vector<int> first_user(net->params().size(), -1);
  int param = 0;
  for (int i = 0; i < static_cast<int>(net->layers().size()); ++i) {
    for (size_t j = 0; j < net->layers()[i]->blobs().size(); ++j, ++param) {
      const int owner = net->param_owners()[param];
      int& user = first_user[owner < 0 ? param : owner];
      if (user < 0 && net->layer_need_backward()[i]) user = i;
    }
  }
  for (size_t p = 0; p < first_user.size(); ++p) {
    if (first_user[p] < 0) continue;
    complete_behind_[first_user[p]].push_back(net->params()[p].get());
  }
  for (const auto& params : complete_behind_) {
    for (Blob<Dtype>* param : params) {
      if (!carrier_ || param->count() < carrier_->count()) carrier_ = param;
    }
  }
  net->add_after_backward(this);
}

template <typename Dtype>
void GradientSum<Dtype>::run(int layer) {
  if (!active_) return;
  if (Caffe::mode() == Caffe::GPU && !asked_for_device_mean_) {
    asked_for_device_mean_ = true;
    device_mean_ = DeviceMean::Make(group_);
  }
  if (device_mean_) return RunOnDevice(layer);
  for (Blob<Dtype>* param : complete_behind_[layer]) {
    param->scale_diff(Dtype(1) / group_->size());
    Dtype* diff = param->mutable_cpu_diff();
    if (value_ && param == carrier_) {
      message_.assign(diff, diff + param->count());
      message_.push_back(*value_);
      group_->StartSum(message_.data(), param->count() + 1);
    } else {
      group_->StartSum(diff, param->count());
    }
  }
  group_->Advance();
  if (layer > 0) return;
  if (value_ && !carrier_) group_->StartSum(value_, 1);
  group_->Wait();
  if (value_ && carrier_) {
    *value_ = message_.back();
    std::copy_n(message_.begin(), carrier_->count(), carrier_->mutable_cpu_diff());
  }
  // A mean as TrainingGroup::Mean takes it, to the bit.
  if (value_) *value_ /= group_->size();
  value_ = nullptr;
  active_ = false;
}

template <typename Dtype>
void GradientSum<Dtype>::RunOnDevice(int layer) {
  for (Blob<Dtype>* param : complete_behind_[layer]) {
    device_mean_->Start(param->mutable_gpu_diff(), param->count());
  }
  if (layer > 0) return;
  device_mean_->Finish();
  if (value_) {
    group_->StartSum(value_, 1);
    group_->Wait();
    *value_ /= group_->size();
  }
  value_ = nullptr;
  active_ = false;
}

template <typename Dtype>
void GradientSum<Dtype>::SumNow() {
  active_ = true;
  for (int i = static_cast<int>(complete_behind_.size()) - 1; i >= 0; --i) run(i);
}

template <typename Dtype>
string GradientSum<Dtype>::Order() const {
  string order;
  for (size_t i = complete_behind_.size(); i-- > 0;) {
    for (const Blob<Dtype>* param : complete_behind_[i]) {
      order += ShapeText(param->shape()) + " ";
    }
  }
  return order;
}

template class GradientSum<float>;
template class GradientSum<double>;

}  // namespace caffe
