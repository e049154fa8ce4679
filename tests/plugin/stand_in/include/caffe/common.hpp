#ifndef CAFFE_COMMON_HPP_
#define CAFFE_COMMON_HPP_

#include <glog/logging.h>
#include <boost/shared_ptr.hpp>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "caffe/util/device_alternate.hpp"

#define DISABLE_COPY_AND_ASSIGN(classname) \
 private:                                  \
  classname(const classname&);             \
  classname& operator=(const classname&)

#define INSTANTIATE_CLASS(classname)   \
  char gInstantiationGuard##classname; \
  template class classname<float>;     \
  template class classname<double>

#define STAND_IN_GPU_FUNCS(classname, Dtype)                                           \
  template void classname<Dtype>::Forward_gpu(const std::vector<Blob<Dtype>*>& bottom, \
                                              const std::vector<Blob<Dtype>*>& top);   \
  template void classname<Dtype>::Backward_gpu(const std::vector<Blob<Dtype>*>& top,   \
                                               const std::vector<bool>& down,          \
                                               const std::vector<Blob<Dtype>*>& bottom)
#define INSTANTIATE_LAYER_GPU_FUNCS(classname) \
  STAND_IN_GPU_FUNCS(classname, float);        \
  STAND_IN_GPU_FUNCS(classname, double)

#define NOT_IMPLEMENTED LOG(FATAL) << "Not Implemented Yet"

namespace caffe {

using boost::shared_ptr;
using std::map;
using std::set;
using std::string;
using std::vector;

class Caffe {
 public:
  static Caffe& Get();
  enum Brew { CPU, GPU };
  inline static Brew mode() { return Get().mode_; }
  inline static void set_mode(Brew mode) { Get().mode_ = mode; }
  static void set_random_seed(const unsigned int seed);
  inline static bool root_solver() { return true; }
#if defined(USE_CUDNN) && !defined(STAND_IN_WITHOUT_HANDLE)
  // As in SENet's Caffe.
  inline static cudnnHandle_t cudnn_handle() { return Get().cudnn_handle_; }
#endif

 protected:
  Brew mode_;
#ifdef USE_CUDNN
  cudnnHandle_t cudnn_handle_;
#endif

 private:
  Caffe();
  DISABLE_COPY_AND_ASSIGN(Caffe);
};

}  // namespace caffe

#endif  // CAFFE_COMMON_HPP_
