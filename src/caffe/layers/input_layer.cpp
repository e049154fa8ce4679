#include "caffe/layers/input_layer.hpp"

#include "caffe/layers/shape_param.hpp"

namespace caffe {

template <typename Dtype>
void InputLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                   const vector<Blob<Dtype>*>& top) {
  const InputParameter& param = this->layer_param_.input_param();
  const size_t shapes = param.shape_size();
  if (shapes > 1 && shapes != top.size()) {
    throw ValueError(Str(shapes, " input_param.shape entries, expected ", top.size(),
                         ", one for every top, or one for all, or none"));
  }
  for (size_t i = 0; i < top.size() && shapes > 0; ++i) {
    const BlobShape& shape = param.shape(shapes == 1 ? 0 : static_cast<int>(i));
    top[i]->Reshape(ShapeFromParam("input_param.shape", shape));
  }
}

INSTANTIATE_CLASS(InputLayer);
REGISTER_LAYER_CLASS(Input);

}  // namespace caffe
