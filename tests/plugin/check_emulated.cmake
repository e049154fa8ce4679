# The plugin in a Caffe with device code, which is emulated: builds the stand-in with
# SKNet's proto and the plugin for it, checks gradients, and compares all that the layers
# compute on the device with what this project's engine, emulated as well, computes there,
# byte for byte.
#
# cmake -DROOT=<repository> -DWORK=<folder> -DENGINE_RUN=<run_layers of the engine>
#       -P check_emulated.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
  set(output "${output}" PARENT_SCOPE)
  if(status)
    message(FATAL_ERROR "${ARGN}\n${output}")
  endif()
endfunction()

set(emulation ${ROOT}/tests/cuda_emulation)
set(caffe ${WORK}/their_caffe)
file(MAKE_DIRECTORY ${WORK})
run(${CMAKE_COMMAND} -S ${ROOT}/tests/plugin/stand_in -B ${caffe} -DRELEASE_PROTO=ON
    -DCUDA_EMULATION=${emulation} ${LAUNCHER})
run(${CMAKE_COMMAND} --build ${caffe} --parallel 2)
run(${CMAKE_COMMAND} -S ${ROOT}/plugin -B ${WORK}/plugin -DCaffe_DIR=${caffe}
    -DSKNET_CUDA_EMULATION=${emulation}/include -DSKNET_NATIVE_ARCH=OFF ${LAUNCHER})
foreach(line "CUDA +emulated" "cuDNN +9" "cuDNN handle +Caffe::cudnn_handle"
             "batch_norm_param +field 200, caffe.BatchNormParameter: frozen, momentum, eps, scale_filler, bias_filler"
             "C\\+\\+ +C\\+\\+11")
  if(NOT output MATCHES "${line}")
    message(FATAL_ERROR "the table has no '${line}':\n${output}")
  endif()
endforeach()
run(${CMAKE_COMMAND} --build ${WORK}/plugin --parallel 2)

set(plugin ${WORK}/plugin/libsknet_layers.so)
foreach(side "" -gpu)
  run(${caffe}/tools/check_gradients -plugin ${plugin} ${side})
endforeach()
set(net ${ROOT}/tests/plugin/layers.prototxt)
file(READ ${net} text)
string(REPLACE "cudnn_batch_norm_param" "batch_norm_param" text "${text}")
file(WRITE ${WORK}/theirs.prototxt "${text}")
# The emulated device computes the same whatever the compiler's options, unless these are
# for a processor that fuses multiplications and additions.
run(${caffe}/tools/run_layers ${WORK}/theirs.prototxt ${WORK}/theirs.bin -plugin ${plugin}
    -gpu)
run(${ENGINE_RUN} ${net} ${WORK}/ours.bin -gpu)
file(SIZE ${WORK}/ours.bin size)
if(size LESS 1000)
  message(FATAL_ERROR "the engine wrote ${size} bytes")
endif()
run(${CMAKE_COMMAND} -E compare_files ${WORK}/theirs.bin ${WORK}/ours.bin)
