# For CAFFE_CUDA: NVIDIA's compiler and libraries, as the target CaffeCuda::CaffeCuda.
#
# They come from CUDACXX or -DCMAKE_CUDA_COMPILER, else from the nvidia-* wheels of the
# active Python environment, so that no CUDA of the system is needed, else from the system.
include_guard()

# Where Python packages lie that wheels have put libraries into.
function(find_wheels result)
  find_package(Python 3.10 QUIET COMPONENTS Interpreter)
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c
      "import sys; print(';'.join(p for p in sys.path if p.endswith('-packages')))"
    OUTPUT_VARIABLE folders OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  list(TRANSFORM folders APPEND /nvidia)
  set(${result} ${folders} PARENT_SCOPE)
endfunction()

find_wheels(CAFFE_WHEELS)
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  set(wheel_toolkits ${CAFFE_WHEELS})
  list(TRANSFORM wheel_toolkits APPEND /cu13)
  find_program(CAFFE_NVCC nvcc HINTS ${wheel_toolkits} PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(NOT CAFFE_NVCC)
    message(FATAL_ERROR "CAFFE_CUDA needs NVIDIA's compiler and found no nvcc: run "
            "'pip install nvidia-cuda-nvcc nvidia-nvvm nvidia-cuda-crt nvidia-cuda-cccl "
            "nvidia-cuda-runtime nvidia-cublas nvidia-curand nvidia-cudnn-cu13', or name "
            "one in CUDACXX, or leave -DCAFFE_CUDA=ON out to build for the CPU")
  endif()
  set(CMAKE_CUDA_COMPILER ${CAFFE_NVCC})
endif()
# What enable_language() would set to the oldest alone: the GPU of this machine, or all that
# are in use.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  find_program(CAFFE_NVIDIA_SMI nvidia-smi)
  if(CAFFE_NVIDIA_SMI)
    set(CMAKE_CUDA_ARCHITECTURES native)
  else()
    set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100-real 120)
  endif()
endif()
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.4)
  message(FATAL_ERROR "${CMAKE_CUDA_COMPILER} is CUDA ${CMAKE_CUDA_COMPILER_VERSION}, expected "
          "12.4 or later; name another in CUDACXX")
endif()
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8 AND "120" IN_LIST CMAKE_CUDA_ARCHITECTURES)
  list(REMOVE_ITEM CMAKE_CUDA_ARCHITECTURES 90-real 100-real 120)
  list(APPEND CMAKE_CUDA_ARCHITECTURES 90)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
if(CAFFE_CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CAFFE_CCACHE})
endif()

get_filename_component(CAFFE_TOOLKIT ${CMAKE_CUDA_COMPILER} REALPATH)
get_filename_component(CAFFE_TOOLKIT ${CAFFE_TOOLKIT}/../.. ABSOLUTE)
set(wheel_folders "")
foreach(wheels ${CAFFE_WHEELS})
  list(APPEND wheel_folders ${wheels}/cudnn ${wheels}/cudnn_jit ${wheels}/nccl)
endforeach()

add_library(CaffeCuda::CaffeCuda INTERFACE IMPORTED)
target_include_directories(CaffeCuda::CaffeCuda SYSTEM INTERFACE
  ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
# Wheels have the libraries by their version's name alone.
function(use_cuda_library name header versions package)
  set(names ${name})
  foreach(version ${versions})
    list(APPEND names lib${name}.so.${version})
  endforeach()
  string(TOUPPER CAFFE_${name} variable)
  find_library(${variable}_LIBRARY NAMES ${names}
    HINTS ${CAFFE_TOOLKIT} ${wheel_folders} PATH_SUFFIXES lib64 lib targets/x86_64-linux/lib)
  find_path(${variable}_INCLUDE ${header}
    HINTS ${CAFFE_TOOLKIT} ${wheel_folders} PATH_SUFFIXES include targets/x86_64-linux/include)
  if(${variable}_LIBRARY AND ${variable}_INCLUDE)
    target_link_libraries(CaffeCuda::CaffeCuda INTERFACE ${${variable}_LIBRARY})
    target_include_directories(CaffeCuda::CaffeCuda SYSTEM INTERFACE ${${variable}_INCLUDE})
  elseif(package)
    message(FATAL_ERROR "CAFFE_CUDA found no ${header} with lib${name}: run 'pip install "
            "${package}', or name their places by -D${variable}_INCLUDE= and "
            "-D${variable}_LIBRARY=")
  endif()
endfunction()
use_cuda_library(cublas cublas_v2.h "13;12" nvidia-cublas)
use_cuda_library(cublasLt cublasLt.h "13;12" nvidia-cublas)
use_cuda_library(curand curand.h "10" nvidia-curand)
use_cuda_library(cudnn cudnn.h "9" nvidia-cudnn-cu13)
use_cuda_library(nccl nccl.h "2" "")
