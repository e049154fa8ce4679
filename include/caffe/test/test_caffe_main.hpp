#ifndef CAFFE_TEST_TEST_CAFFE_MAIN_HPP_
#define CAFFE_TEST_TEST_CAFFE_MAIN_HPP_

// What tests of layers derive from, with Caffe's names: fixtures that run on every device
// and in both types. For GoogleTest; link gtest_main, or call RUN_ALL_TESTS yourself.

#include <glog/logging.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "caffe/common.hpp"

using std::cout;
using std::endl;

// Where tests look for files, unless the build says otherwise: from the folder they run
// in.
#ifndef CMAKE_SOURCE_DIR
#define CMAKE_SOURCE_DIR "src/"
#endif
#ifndef EXAMPLES_SOURCE_DIR
#define EXAMPLES_SOURCE_DIR "examples/"
#endif
#ifndef CMAKE_EXT
#define CMAKE_EXT ""
#endif
#ifndef ABS_TEST_DATA_DIR
#define ABS_TEST_DATA_DIR CMAKE_SOURCE_DIR "caffe/test/test_data"
#endif

int main(int argc, char** argv);

namespace caffe {

/// TypeParam tells the device and the type; tests name `typename TypeParam::Dtype`.
template <typename TypeParam>
class MultiDeviceTest : public ::testing::Test {
 public:
  typedef typename TypeParam::Dtype Dtype;

 protected:
  MultiDeviceTest() { Caffe::set_mode(TypeParam::device); }
  virtual ~MultiDeviceTest() {}
};

typedef ::testing::Types<float, double> TestDtypes;

template <typename TypeParam>
struct CPUDevice {
  typedef TypeParam Dtype;
  static const Caffe::Brew device = Caffe::CPU;
};

template <typename Dtype>
class CPUDeviceTest : public MultiDeviceTest<CPUDevice<Dtype>> {};

#ifdef CPU_ONLY

typedef ::testing::Types<CPUDevice<float>, CPUDevice<double>> TestDtypesAndDevices;

#else

template <typename TypeParam>
struct GPUDevice {
  typedef TypeParam Dtype;
  static const Caffe::Brew device = Caffe::GPU;
};

template <typename Dtype>
class GPUDeviceTest : public MultiDeviceTest<GPUDevice<Dtype>> {};

typedef ::testing::Types<CPUDevice<float>, CPUDevice<double>, GPUDevice<float>,
                         GPUDevice<double>>
    TestDtypesAndDevices;

#endif

}  // namespace caffe

#endif  // CAFFE_TEST_TEST_CAFFE_MAIN_HPP_
