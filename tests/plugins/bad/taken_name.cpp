// Brings a layer of its own and one that the library has already.

#include <vector>

#include "caffe/layer.hpp"
#include "caffe/layer_factory.hpp"

namespace caffe {

template <typename Dtype>
class TakenNameLayer : public Layer<Dtype> {
 public:
  explicit TakenNameLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top) {}

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top) {}
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom) {}
};

INSTANTIATE_CLASS(TakenNameLayer);

template <typename Dtype>
shared_ptr<Layer<Dtype>> CreateTakenName(const LayerParameter& param) {
  return shared_ptr<Layer<Dtype>>(new TakenNameLayer<Dtype>(param));
}

REGISTER_LAYER_CREATOR(Axpy, CreateTakenName);
REGISTER_LAYER_CLASS(TakenName);

}  // namespace caffe
