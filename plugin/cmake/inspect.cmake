# Reads what another Caffe is from its library and headers, still without compiling.
#
# sknet_inspect() takes what sknet_locate() found and sets in the caller:
#   THEIR_CUDA           ON if the library has device code
#   THEIR_CUDNN          ON if the library uses cuDNN
#   THEIR_CUDNN_MAJOR    of the cuDNN that the library was linked to, if that shows
#   THEIR_NEEDED         the libraries that it was linked to
#   THEIR_PROTO_LIBRARY  the one of these with the code of caffe.proto, if there is one
# or ends with one sentence.

function(sknet_inspect)
  file(READ ${THEIR_INCLUDE}/caffe/layer.hpp layer)
  if(layer MATCHES "class LayerBase")
    sknet_refuse("the Caffe at ${THEIR_INCLUDE} has layers of two types, forward and "
                 "backward (NVIDIA's 0.16 and later), to which these layers of one type do "
                 "not fit; use its BatchNorm, or another Caffe")
  endif()
  if(NOT layer MATCHES "param_propagate_down_")
    sknet_refuse("the Caffe at ${THEIR_INCLUDE} is older than 2014: its layers have no "
                 "param_propagate_down_; use Caffe 1.0 or one that is near it")
  endif()

  execute_process(COMMAND ${CMAKE_NM} -D ${THEIR_LIBRARY} OUTPUT_VARIABLE symbols
    ERROR_VARIABLE errors RESULT_VARIABLE status)
  if(status OR NOT symbols)
    string(STRIP "${errors}" errors)
    string(REGEX REPLACE "\n.*" "" errors "${errors}")
    sknet_refuse("cannot read the symbols of ${THEIR_LIBRARY} (${errors}); is it a library "
                 "for this machine?")
  endif()

  # The strings of libstdc++ before GCC 5, of it since then, and of LLVM's libc++ are three
  # types: code with one cannot be linked to code with another.
  set(theirs "libstdc++ before GCC 5 (_GLIBCXX_USE_CXX11_ABI=0)")
  if(symbols MATCHES "NSt3__1")
    set(theirs "LLVM's libc++")
  elseif(symbols MATCHES "__cxx11|B5cxx11")
    set(theirs "libstdc++ since GCC 5")
  elseif(NOT symbols MATCHES "Ss|St6vectorISs")
    set(theirs)  # it shows nowhere
  endif()
  # Asked anew each time: the flags are among the cures.
  separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS}")
  file(WRITE ${CMAKE_BINARY_DIR}/strings.cpp "#include <string>\n")
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} ${flags} -E -dM ${CMAKE_BINARY_DIR}/strings.cpp
    OUTPUT_VARIABLE macros ERROR_QUIET)
  if(macros MATCHES "_LIBCPP_VERSION")
    set(ours "LLVM's libc++")
  elseif(macros MATCHES "_GLIBCXX_USE_CXX11_ABI 1")
    set(ours "libstdc++ since GCC 5")
  else()
    set(ours "libstdc++ before GCC 5 (_GLIBCXX_USE_CXX11_ABI=0)")
  endif()
  if(theirs AND NOT theirs STREQUAL ours)
    sknet_refuse("another compiler's ABI: ${THEIR_LIBRARY} has strings of ${theirs}, and "
                 "${CMAKE_CXX_COMPILER} makes those of ${ours}; use their compiler "
                 "(-DCMAKE_CXX_COMPILER=) or its flags "
                 "(-DCMAKE_CXX_FLAGS=-D_GLIBCXX_USE_CXX11_ABI=0, -stdlib=libc++)")
  endif()

  set(cuda OFF)
  set(cudnn OFF)
  if(symbols MATCHES "caffe_gpu_axpy|cublas|cudaMalloc|cudaSetDevice")
    set(cuda ON)
  endif()
  if(symbols MATCHES "cudnnCreate")
    set(cudnn ON)
  endif()
  set(THEIR_CUDA ${cuda} PARENT_SCOPE)
  set(THEIR_CUDNN ${cudnn} PARENT_SCOPE)

  execute_process(COMMAND ${CMAKE_OBJDUMP} -p ${THEIR_LIBRARY} OUTPUT_VARIABLE dynamic
    ERROR_QUIET)
  string(REGEX MATCHALL "NEEDED +[^\n]+" needed "${dynamic}")
  list(TRANSFORM needed REPLACE "NEEDED +" "")
  set(THEIR_NEEDED "${needed}" PARENT_SCOPE)
  set(THEIR_PROTO_LIBRARY PARENT_SCOPE)
  if("${needed}" MATCHES "(^|;)(lib(caffe)?proto(-d)?\\.so[0-9.]*)(;|$)")
    set(name ${CMAKE_MATCH_2})
    get_filename_component(folder ${THEIR_LIBRARY} DIRECTORY)
    if(EXISTS ${folder}/${name})
      set(THEIR_PROTO_LIBRARY ${folder}/${name} PARENT_SCOPE)
    endif()
  endif()
  if("${needed}" MATCHES "libcudnn\\.so\\.([0-9]+)")
    set(THEIR_CUDNN_MAJOR ${CMAKE_MATCH_1} PARENT_SCOPE)
  endif()
endfunction()

# The protobuf headers and library that go with theirs; sets PROTOBUF_HEADERS and
# PROTOBUF_LIBRARY in the caller.
function(sknet_find_protobuf)
  find_path(Protobuf_INCLUDE_DIR google/protobuf/message.h)
  if(NOT EXISTS "${Protobuf_INCLUDE_DIR}/google/protobuf/message.h")
    sknet_refuse("the headers of protobuf are missing (google/protobuf/message.h), which "
                 "caffe.pb.h includes; install libprotobuf-dev, or name the folder of "
                 "theirs with -DProtobuf_INCLUDE_DIR=")
  endif()
  find_library(Protobuf_LIBRARY protobuf)
  if(NOT Protobuf_LIBRARY)
    sknet_refuse("the library of protobuf is missing; install libprotobuf-dev, or name theirs "
                 "with -DProtobuf_LIBRARY=")
  endif()
  execute_process(COMMAND ${CMAKE_OBJDUMP} -p ${Protobuf_LIBRARY} OUTPUT_VARIABLE dynamic
    ERROR_QUIET)
  if("${THEIR_NEEDED}" MATCHES "(libprotobuf\\.so\\.[0-9.]+)")
    set(wanted ${CMAKE_MATCH_1})
    if(dynamic MATCHES "SONAME +([^\n ]+)" AND NOT CMAKE_MATCH_1 STREQUAL wanted)
      sknet_refuse("${THEIR_LIBRARY} was linked to ${wanted}, and ${Protobuf_LIBRARY} is "
                   "${CMAKE_MATCH_1}; name the protobuf that it was built with, with "
                   "-DProtobuf_LIBRARY= and -DProtobuf_INCLUDE_DIR=")
    endif()
  endif()
  set(PROTOBUF_HEADERS ${Protobuf_INCLUDE_DIR} PARENT_SCOPE)
  set(PROTOBUF_LIBRARY ${Protobuf_LIBRARY} PARENT_SCOPE)
endfunction()
