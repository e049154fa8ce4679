# Defines OpenCVImage::OpenCVImage: the three OpenCV libraries that decode and
# resize. OpenCV's own package file comes only with the meta package, which pulls
# in half a gigabyte.
find_path(OpenCVImage_INCLUDE_DIR opencv2/imgcodecs.hpp PATH_SUFFIXES opencv4)
set(_libraries)
foreach(_part core imgproc imgcodecs)
  find_library(OpenCVImage_${_part}_LIBRARY opencv_${_part})
  list(APPEND _libraries OpenCVImage_${_part}_LIBRARY)
endforeach()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCVImage
  REQUIRED_VARS OpenCVImage_INCLUDE_DIR ${_libraries})
if(OpenCVImage_FOUND AND NOT TARGET OpenCVImage::OpenCVImage)
  add_library(OpenCVImage::OpenCVImage INTERFACE IMPORTED)
  target_include_directories(OpenCVImage::OpenCVImage SYSTEM
    INTERFACE ${OpenCVImage_INCLUDE_DIR})
  foreach(_part core imgproc imgcodecs)
    target_link_libraries(OpenCVImage::OpenCVImage
      INTERFACE ${OpenCVImage_${_part}_LIBRARY})
  endforeach()
endif()
mark_as_advanced(OpenCVImage_INCLUDE_DIR ${_libraries})
