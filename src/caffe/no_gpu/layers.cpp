// The layers that have device code (<name>_layer.cu), in a build without: one line each.

#include "caffe/layers/absval_layer.hpp"
#include "caffe/layers/axpy_layer.hpp"
#include "caffe/layers/conv_layer.hpp"
#include "caffe/layers/cudnn_batch_norm_layer.hpp"
#include "caffe/layers/deconv_layer.hpp"
#include "caffe/layers/elu_layer.hpp"
#include "caffe/layers/exp_layer.hpp"
#include "caffe/layers/inner_product_layer.hpp"
#include "caffe/layers/log_layer.hpp"
#include "caffe/layers/lrn_layer.hpp"
#include "caffe/layers/pooling_layer.hpp"
#include "caffe/layers/power_layer.hpp"
#include "caffe/layers/relu_layer.hpp"
#include "caffe/layers/sigmoid_layer.hpp"
#include "caffe/layers/tanh_layer.hpp"

namespace caffe {

#define REFUSE(classname) \
  STUB_GPU(classname)     \
  INSTANTIATE_LAYER_GPU_FUNCS(classname)

REFUSE(AbsValLayer);
REFUSE(AxpyLayer);
REFUSE(ConvolutionLayer);
REFUSE(CuDNNBatchNormLayer);
STUB_GPU_FORWARD(CuDNNBatchNormLayer, Recompute);
template void CuDNNBatchNormLayer<float>::Recompute_gpu(const vector<Blob<float>*>&,
                                                        const vector<Blob<float>*>&);
template void CuDNNBatchNormLayer<double>::Recompute_gpu(const vector<Blob<double>*>&,
                                                         const vector<Blob<double>*>&);
REFUSE(DeconvolutionLayer);
REFUSE(ELULayer);
REFUSE(ExpLayer);
REFUSE(InnerProductLayer);
REFUSE(LRNLayer);
REFUSE(LogLayer);
REFUSE(PoolingLayer);
REFUSE(PowerLayer);
REFUSE(ReLULayer);
REFUSE(SigmoidLayer);
REFUSE(TanHLayer);

}  // namespace caffe
