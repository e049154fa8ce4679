// The arithmetic on a GPU, in a build that has none.

#include "caffe/util/math_functions.hpp"

#include "caffe/util/im2col.hpp"

namespace caffe {

void caffe_gpu_memcpy(const size_t, const void*, void*) { NO_GPU; }
void caffe_gpu_memset(const size_t, const int, void*) { NO_GPU; }
void caffe_gpu_rng_uniform(const int, unsigned int*) { NO_GPU; }

template <typename Dtype>
void caffe_gpu_gemm(const CBLAS_TRANSPOSE, const CBLAS_TRANSPOSE, const int, const int,
                    const int, const Dtype, const Dtype*, const Dtype*, const Dtype,
                    Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_gemv(const CBLAS_TRANSPOSE, const int, const int, const Dtype,
                    const Dtype*, const Dtype*, const Dtype, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_axpy(const int, const Dtype, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_axpby(const int, const Dtype, const Dtype*, const Dtype, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_set(const int, const Dtype, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_add_scalar(const int, const Dtype, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_scal(const int, const Dtype, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_add(const int, const Dtype*, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_sub(const int, const Dtype*, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_mul(const int, const Dtype*, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_div(const int, const Dtype*, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_abs(const int, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_exp(const int, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_log(const int, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_powx(const int, const Dtype*, const Dtype, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_sqrt(const int, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_rng_uniform(const int, const Dtype, const Dtype, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_rng_gaussian(const int, const Dtype, const Dtype, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_dot(const int, const Dtype*, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_asum(const int, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_sign(const int, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_sgnbit(const int, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_fabs(const int, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void caffe_gpu_scale(const int, const Dtype, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void im2col_nd_gpu(const Dtype*, const int, const int, const int*, const int*, const int*,
                   const int*, const int*, const int*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void im2col_gpu(const Dtype*, const int, const int, const int, const int, const int,
                const int, const int, const int, const int, const int, const int,
                Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void col2im_nd_gpu(const Dtype*, const int, const int, const int*, const int*, const int*,
                   const int*, const int*, const int*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void col2im_gpu(const Dtype*, const int, const int, const int, const int, const int,
                const int, const int, const int, const int, const int, const int,
                Dtype*) {
  NO_GPU;
}

#define INSTANTIATE(Dtype)                                                               \
  template void caffe_gpu_gemm<Dtype>(const CBLAS_TRANSPOSE, const CBLAS_TRANSPOSE,      \
                                      const int, const int, const int, const Dtype,      \
                                      const Dtype*, const Dtype*, const Dtype, Dtype*);  \
  template void caffe_gpu_gemv<Dtype>(const CBLAS_TRANSPOSE, const int, const int,       \
                                      const Dtype, const Dtype*, const Dtype*,           \
                                      const Dtype, Dtype*);                              \
  template void caffe_gpu_axpy<Dtype>(const int, const Dtype, const Dtype*, Dtype*);     \
  template void caffe_gpu_axpby<Dtype>(const int, const Dtype, const Dtype*,             \
                                       const Dtype, Dtype*);                             \
  template void caffe_gpu_set<Dtype>(const int, const Dtype, Dtype*);                    \
  template void caffe_gpu_add_scalar<Dtype>(const int, const Dtype, Dtype*);             \
  template void caffe_gpu_scal<Dtype>(const int, const Dtype, Dtype*);                   \
  template void caffe_gpu_add<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);     \
  template void caffe_gpu_sub<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);     \
  template void caffe_gpu_mul<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);     \
  template void caffe_gpu_div<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);     \
  template void caffe_gpu_abs<Dtype>(const int, const Dtype*, Dtype*);                   \
  template void caffe_gpu_exp<Dtype>(const int, const Dtype*, Dtype*);                   \
  template void caffe_gpu_log<Dtype>(const int, const Dtype*, Dtype*);                   \
  template void caffe_gpu_powx<Dtype>(const int, const Dtype*, const Dtype, Dtype*);     \
  template void caffe_gpu_sqrt<Dtype>(const int, const Dtype*, Dtype*);                  \
  template void caffe_gpu_rng_uniform<Dtype>(const int, const Dtype, const Dtype,        \
                                             Dtype*);                                    \
  template void caffe_gpu_rng_gaussian<Dtype>(const int, const Dtype, const Dtype,       \
                                              Dtype*);                                   \
  template void caffe_gpu_dot<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);     \
  template void caffe_gpu_asum<Dtype>(const int, const Dtype*, Dtype*);                  \
  template void caffe_gpu_sign<Dtype>(const int, const Dtype*, Dtype*);                  \
  template void caffe_gpu_sgnbit<Dtype>(const int, const Dtype*, Dtype*);                \
  template void caffe_gpu_fabs<Dtype>(const int, const Dtype*, Dtype*);                  \
  template void caffe_gpu_scale<Dtype>(const int, const Dtype, const Dtype*, Dtype*);    \
  template void im2col_nd_gpu<Dtype>(const Dtype*, const int, const int, const int*,     \
                                     const int*, const int*, const int*, const int*,     \
                                     const int*, Dtype*);                                \
  template void im2col_gpu<Dtype>(const Dtype*, const int, const int, const int,         \
                                  const int, const int, const int, const int, const int, \
                                  const int, const int, const int, Dtype*);              \
  template void col2im_nd_gpu<Dtype>(const Dtype*, const int, const int, const int*,     \
                                     const int*, const int*, const int*, const int*,     \
                                     const int*, Dtype*);                                \
  template void col2im_gpu<Dtype>(const Dtype*, const int, const int, const int,         \
                                  const int, const int, const int, const int, const int, \
                                  const int, const int, const int, Dtype*)

INSTANTIATE(float);
INSTANTIATE(double);

}  // namespace caffe
