# Finds the parts of another Caffe without compiling anything.
#
# sknet_locate(<root>) sets in the caller:
#   THEIR_LAYOUT         in words
#   THEIR_INCLUDE        folder with caffe/layer.hpp
#   THEIR_PROTO_INCLUDE  folder with caffe/proto/caffe.pb.h
#   THEIR_LIBRARY        the shared library
# or ends with one sentence. CAFFE_PROTO_INCLUDE_DIR and CAFFE_LIBRARY, where they are set,
# are taken for the last two. As a script: cmake -DCAFFE_ROOT=<root> -P locate.cmake

# Ends with one sentence, given in parts. A text that starts with a space is printed as it
# stands, on one line; the parts one by one, since a list of them would lose semicolons.
function(sknet_refuse)
  set(text)
  math(EXPR last "${ARGC} - 1")
  foreach(i RANGE ${last})
    string(APPEND text "${ARGV${i}}")
  endforeach()
  message(FATAL_ERROR " sknet_layers: ${text}")
endfunction()

# The source tree of a CMake build folder, from its cache; else "".
function(sknet_source_of build result)
  set(${result} "" PARENT_SCOPE)
  if(EXISTS ${build}/CMakeCache.txt)
    file(STRINGS ${build}/CMakeCache.txt line REGEX "^CMAKE_HOME_DIRECTORY:" LIMIT_COUNT 1)
    string(REGEX REPLACE "^[^=]*=" "" line "${line}")
    set(${result} "${line}" PARENT_SCOPE)
  endif()
endfunction()

function(sknet_locate given)
  get_filename_component(root "${given}" ABSOLUTE)
  if(NOT IS_DIRECTORY "${root}")
    sknet_refuse("there is no folder ${root}; name their Caffe's source tree or install "
                 "folder with -DCAFFE_ROOT=")
  endif()

  # -DCaffe_DIR names a build folder, or share/Caffe of an install.
  sknet_source_of(${root} source)
  set(builds)
  if(source)
    set(builds ${root})
    set(root ${source})
  elseif(EXISTS ${root}/CaffeConfig.cmake)
    set(from ${root})
    while(NOT EXISTS ${root}/include/caffe/layer.hpp)
      get_filename_component(up ${root} DIRECTORY)
      if(up STREQUAL root)
        sknet_refuse("${from} has CaffeConfig.cmake, but no folder above it has "
                     "include/caffe/layer.hpp; name the install folder with -DCAFFE_ROOT=")
      endif()
      set(root ${up})
    endwhile()
  endif()

  set(include ${root}/include)
  if(NOT EXISTS ${include}/caffe/layer.hpp)
    sknet_refuse("no Caffe at ${root}: expected include/caffe/layer.hpp in it; name their "
                 "Caffe's source tree or install folder with -DCAFFE_ROOT=")
  endif()

  if(EXISTS ${include}/caffe/layer_traits.hpp)
    sknet_refuse("the Caffe at ${root} is this project's own, which has both layers")
  endif()

  # Where a build leaves the header of caffe.proto and the library: CMake's in build/include,
  # the Makefile's in build/src, or .build_release/src where the link is missing; an install
  # and `make distribute` have both beside the headers. Builds by hand have them anywhere.
  file(GLOB others ${root}/*/CMakeCache.txt)
  list(TRANSFORM others REPLACE "/CMakeCache.txt$" "")
  list(APPEND builds ${root} ${root}/build ${root}/.build_release ${root}/.build_debug
       ${root}/distribute ${others})
  set(header_only)
  set(archive)
  foreach(build ${builds})
    set(proto)
    foreach(folder ${CAFFE_PROTO_INCLUDE_DIR} ${build}/include ${build}/src ${build}
            # Some have it made into their headers, or beside caffe.proto.
            ${include} ${root}/src)
      if(NOT proto AND EXISTS ${folder}/caffe/proto/caffe.pb.h)
        set(proto ${folder})
      endif()
    endforeach()
    if(NOT proto)
      continue()
    endif()
    list(APPEND header_only ${proto})
    file(GLOB archives ${build}/lib/libcaffe*.a ${build}/lib64/libcaffe*.a)
    list(APPEND archive ${archives})
    # A multiarch folder is lib/x86_64-linux-gnu; -d is CMake's debug build, -nv NVIDIA's.
    file(GLOB libraries ${build}/lib/libcaffe.so ${build}/lib64/libcaffe.so
         ${build}/lib/*/libcaffe.so ${build}/lib/libcaffe-nv.so ${build}/lib/libcaffe-d.so
         ${build}/libcaffe.so ${build}/lib/libcaffe.dylib)
    set(libraries ${CAFFE_LIBRARY} ${libraries})
    if(libraries)
      list(GET libraries 0 library)
      if(CAFFE_LIBRARY)
        set(layout "library as named")
      elseif(build STREQUAL root)
        set(layout "install")
      elseif(EXISTS ${build}/CMakeCache.txt)
        set(layout "source tree, built by CMake in ${build}")
      elseif(build STREQUAL "${root}/distribute")
        set(layout "source tree, make distribute")
      else()
        set(layout "source tree, built by make in ${build}")
      endif()
      set(THEIR_LAYOUT "${layout}" PARENT_SCOPE)
      set(THEIR_INCLUDE ${include} PARENT_SCOPE)
      set(THEIR_PROTO_INCLUDE ${proto} PARENT_SCOPE)
      set(THEIR_LIBRARY ${library} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  if(archive)
    list(GET archive 0 archive)
    sknet_refuse("the Caffe at ${root} has ${archive} and no libcaffe.so, so nothing can be "
                 "loaded into it; build it with shared libraries, or compile the layers in "
                 "with plugin/install.sh")
  elseif(header_only)
    sknet_refuse("the Caffe at ${root} is half built: it has caffe/proto/caffe.pb.h and no "
                 "libcaffe.so; finish its build, or name the library with -DCAFFE_LIBRARY=")
  endif()
  sknet_refuse("the Caffe at ${root} is not built: caffe/proto/caffe.pb.h is in none of "
               "include, build/include, build/src and .build_release/src; build it, or name "
               "its build folder with -DCaffe_DIR=, or the folder of that header with "
               "-DCAFFE_PROTO_INCLUDE_DIR=")
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  sknet_locate("${CAFFE_ROOT}")
  foreach(part LAYOUT INCLUDE PROTO_INCLUDE LIBRARY)
    message("${part}=${THEIR_${part}}")
  endforeach()
endif()
