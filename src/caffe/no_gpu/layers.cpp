// The layers that have device code (<name>_layer.cu), in a build without: one line each.

#include "caffe/layers/absval_layer.hpp"
#include "caffe/layers/axpy_layer.hpp"
#include "caffe/layers/batch_norm_layer.hpp"
#include "caffe/layers/batch_reindex_layer.hpp"
#include "caffe/layers/bias_layer.hpp"
#include "caffe/layers/bnll_layer.hpp"
#include "caffe/layers/clip_layer.hpp"
#include "caffe/layers/concat_layer.hpp"
#include "caffe/layers/contrastive_loss_layer.hpp"
#include "caffe/layers/conv_layer.hpp"
#include "caffe/layers/crop_layer.hpp"
#include "caffe/layers/cudnn_batch_norm_layer.hpp"
#include "caffe/layers/deconv_layer.hpp"
#include "caffe/layers/dropout_layer.hpp"
#include "caffe/layers/eltwise_layer.hpp"
#include "caffe/layers/elu_layer.hpp"
#include "caffe/layers/embed_layer.hpp"
#include "caffe/layers/euclidean_loss_layer.hpp"
#include "caffe/layers/exp_layer.hpp"
#include "caffe/layers/filter_layer.hpp"
#include "caffe/layers/hinge_loss_layer.hpp"
#include "caffe/layers/im2col_layer.hpp"
#include "caffe/layers/infogain_loss_layer.hpp"
#include "caffe/layers/inner_product_layer.hpp"
#include "caffe/layers/interp_layer.hpp"
#include "caffe/layers/log_layer.hpp"
#include "caffe/layers/lrn_layer.hpp"
#include "caffe/layers/lstm_layer.hpp"
#include "caffe/layers/multinomial_logistic_loss_layer.hpp"
#include "caffe/layers/mvn_layer.hpp"
#include "caffe/layers/parameter_layer.hpp"
#include "caffe/layers/pooling_layer.hpp"
#include "caffe/layers/power_layer.hpp"
#include "caffe/layers/prelu_layer.hpp"
#include "caffe/layers/reduction_layer.hpp"
#include "caffe/layers/relu_layer.hpp"
#include "caffe/layers/scale_layer.hpp"
#include "caffe/layers/sigmoid_cross_entropy_loss_layer.hpp"
#include "caffe/layers/sigmoid_layer.hpp"
#include "caffe/layers/silence_layer.hpp"
#include "caffe/layers/slice_layer.hpp"
#include "caffe/layers/softmax_layer.hpp"
#include "caffe/layers/softmax_loss_layer.hpp"
#include "caffe/layers/split_layer.hpp"
#include "caffe/layers/swish_layer.hpp"
#include "caffe/layers/tanh_layer.hpp"
#include "caffe/layers/threshold_layer.hpp"
#include "caffe/layers/tile_layer.hpp"

namespace caffe {

#define REFUSE(classname) \
  STUB_GPU(classname)     \
  INSTANTIATE_LAYER_GPU_FUNCS(classname)

#define REFUSE_RECOMPUTE(classname)                                            \
  STUB_GPU_FORWARD(classname, Recompute)                                       \
  template void classname<float>::Recompute_gpu(const vector<Blob<float>*>&,   \
                                                const vector<Blob<float>*>&);  \
  template void classname<double>::Recompute_gpu(const vector<Blob<double>*>&, \
                                                 const vector<Blob<double>*>&)

REFUSE(AbsValLayer);
REFUSE(AxpyLayer);
REFUSE(BNLLLayer);
REFUSE(BatchNormLayer);
REFUSE_RECOMPUTE(BatchNormLayer);
REFUSE(BatchReindexLayer);
REFUSE(BiasLayer);
REFUSE(ClipLayer);
REFUSE(ConcatLayer);
REFUSE(ContrastiveLossLayer);
REFUSE(ConvolutionLayer);
REFUSE(CropLayer);
REFUSE(CuDNNBatchNormLayer);
REFUSE_RECOMPUTE(CuDNNBatchNormLayer);
REFUSE(DeconvolutionLayer);
REFUSE(DropoutLayer);
REFUSE(ELULayer);
REFUSE(EltwiseLayer);
REFUSE(EmbedLayer);
REFUSE(EuclideanLossLayer);
REFUSE(ExpLayer);
REFUSE(FilterLayer);
REFUSE(HingeLossLayer);
REFUSE(Im2colLayer);
REFUSE(InfogainLossLayer);
REFUSE(InnerProductLayer);
REFUSE(InterpLayer);
REFUSE(LRNLayer);
REFUSE(LSTMUnitLayer);
REFUSE(LogLayer);
REFUSE(MVNLayer);
REFUSE(MultinomialLogisticLossLayer);
REFUSE(PReLULayer);
REFUSE(ParameterLayer);
REFUSE(PoolingLayer);
REFUSE(PowerLayer);
REFUSE(ReLULayer);
REFUSE(ReductionLayer);
REFUSE(ScaleLayer);
REFUSE(SigmoidCrossEntropyLossLayer);
REFUSE(SigmoidLayer);
REFUSE(SilenceLayer);
REFUSE(SliceLayer);
REFUSE(SoftmaxLayer);
REFUSE(SoftmaxWithLossLayer);
REFUSE(SplitLayer);
REFUSE(SwishLayer);
REFUSE(TanHLayer);
REFUSE(ThresholdLayer);
REFUSE(TileLayer);

}  // namespace caffe
