// A layer that touches everything public that a layer with device code may use. It is
// compiled, never run: a name or a signature that is gone breaks the build of it.

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/layer.hpp"
#include "caffe/util/device_alternate.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
__global__ void Twice(const int n, const Dtype* in, Dtype* out) {
  CUDA_KERNEL_LOOP(index, n) { out[index] = 2 * in[index]; }
}

template <typename Dtype>
class ContractLayer : public Layer<Dtype> {
 public:
  explicit ContractLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top) {
    top[0]->ReshapeLike(*bottom[0]);
  }
  virtual inline const char* type() const { return "Contract"; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top) {}
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom) {}
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

  Blob<unsigned int> bits_;
};

template <typename Dtype>
void ContractLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->gpu_data();
  const int* shape = bottom[0]->gpu_shape();
  Dtype* y = top[0]->mutable_gpu_data();
  const int n = bottom[0]->count();
  Twice<Dtype><<<CAFFE_GET_BLOCKS(n), CAFFE_CUDA_NUM_THREADS>>>(n, x, y);
  CUDA_POST_KERNEL_CHECK;
  caffe_copy(n, x, y);
  caffe_gpu_memcpy(n * sizeof(Dtype), shape, y);
  caffe_gpu_memset(n * sizeof(Dtype), 0, y);
  caffe_gpu_set(n, Dtype(1), y);
  caffe_gpu_add_scalar(n, Dtype(1), y);
  caffe_gpu_scal(n, Dtype(2), y);
  caffe_gpu_scale(n, Dtype(2), x, y);
  caffe_gpu_axpy(n, Dtype(2), x, y);
  caffe_gpu_axpby(n, Dtype(2), x, Dtype(3), y);
  caffe_gpu_add(n, x, x, y);
  caffe_gpu_sub(n, x, x, y);
  caffe_gpu_mul(n, x, x, y);
  caffe_gpu_div(n, x, x, y);
  caffe_gpu_abs(n, x, y);
  caffe_gpu_exp(n, x, y);
  caffe_gpu_log(n, x, y);
  caffe_gpu_sqrt(n, x, y);
  caffe_gpu_powx(n, x, Dtype(2), y);
  caffe_gpu_sign(n, x, y);
  caffe_gpu_sgnbit(n, x, y);
  caffe_gpu_fabs(n, x, y);
  caffe_gpu_gemm<Dtype>(CblasNoTrans, CblasTrans, n, n, 1, Dtype(1), x, x, Dtype(0), y);
  caffe_gpu_gemv<Dtype>(CblasNoTrans, n, 1, Dtype(1), x, x, Dtype(0), y);
  caffe_gpu_rng_uniform(n, static_cast<unsigned int*>(bits_.mutable_gpu_data()));
  caffe_gpu_rng_uniform(n, Dtype(0), Dtype(1), y);
  caffe_gpu_rng_gaussian(n, Dtype(0), Dtype(1), y);
  Dtype dot, asum;
  caffe_gpu_dot(n, x, x, &dot);
  caffe_gpu_asum(n, x, &asum);
  LOG_IF(INFO, Caffe::mode() == Caffe::GPU) << dot << asum;
}

template <typename Dtype>
void ContractLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                        const vector<bool>& propagate_down,
                                        const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) {
    return;
  }
  const Dtype* top_diff = top[0]->gpu_diff();
  Dtype* bottom_diff = bottom[0]->mutable_gpu_diff();
  CUDA_CHECK(cudaMemcpy(bottom_diff, top_diff, sizeof(Dtype) * top[0]->count(),
                        cudaMemcpyDefault));
  cublasHandle_t cublas = Caffe::cublas_handle();
  CUBLAS_CHECK(cublasSetStream(cublas, 0));
  curandGenerator_t curand = Caffe::curand_generator();
  CURAND_CHECK(curandSetStream(curand, 0));
#ifdef USE_CUDNN
  cudnnHandle_t handle = Caffe::cudnn_handle();
  cudnnTensorDescriptor_t desc;
  cudnn::createTensor4dDesc<Dtype>(&desc);
  cudnn::setTensor4dDesc<Dtype>(&desc, top[0]->num(), top[0]->channels(),
                                top[0]->height(), top[0]->width());
  cudnnActivationDescriptor_t activation;
  cudnn::createActivationDescriptor<Dtype>(&activation, CUDNN_ACTIVATION_RELU);
  CUDNN_CHECK(cudnnActivationForward(handle, activation, cudnn::dataType<Dtype>::one,
                                     desc, top_diff, cudnn::dataType<Dtype>::zero, desc,
                                     bottom_diff));
  cudnnFilterDescriptor_t filter;
  cudnn::createFilterDesc<Dtype>(&filter, 8, 4, 3, 3);
  cudnnConvolutionDescriptor_t conv;
  cudnn::createConvolutionDesc<Dtype>(&conv);
  cudnn::setConvolutionDesc<Dtype>(&conv, desc, filter, 1, 1, 1, 1);
  cudnnPoolingDescriptor_t pool;
  cudnnPoolingMode_t mode;
  cudnn::createPoolingDesc<Dtype>(&pool, PoolingParameter_PoolMethod_MAX, &mode, 3, 3, 0,
                                  0, 2, 2);
#if CUDNN_VERSION_MIN(9, 0, 0)
  CUDNN_CHECK(cudnnDestroyTensorDescriptor(desc));
#else
#error "cuDNN 9 is the oldest that is supported"
#endif
#endif
}

INSTANTIATE_CLASS(ContractLayer);
REGISTER_LAYER_CLASS(Contract);

}  // namespace caffe
