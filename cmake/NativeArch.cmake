# caffe_native_arch(<target> <PRIVATE|INTERFACE>): compiles a target for the processor of
# this machine, with those flags that the compiler knows: -mprefer-vector-width is x86's.
include(CheckCXXCompilerFlag)

function(caffe_native_arch target scope)
  foreach(flag -march=native -mprefer-vector-width=512)
    string(MAKE_C_IDENTIFIER "CAFFE_HAS${flag}" known)
    check_cxx_compiler_flag(${flag} ${known})
    if(${known})
      target_compile_options(${target} ${scope} ${flag})
    endif()
  endforeach()
endfunction()
