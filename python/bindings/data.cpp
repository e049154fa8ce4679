#include "data.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <opencv2/core/core.hpp>
#include <string>

#include "caffe/data/compute_image_mean.hpp"
#include "caffe/data/convert_imageset.hpp"
#include "caffe/util/image_io.hpp"

namespace nb = nanobind;

namespace caffe::python {
namespace {

using Image = nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<3>>;

Image Decode(const nb::bytes& bytes, bool color) {
  const string file(bytes.c_str(), bytes.size());
  auto* image = new cv::Mat;
  nb::capsule owner(image,
                    [](void* image) noexcept { delete static_cast<cv::Mat*>(image); });
  {
    nb::gil_scoped_release release;
    *image = DecodeImage(file, color ? ImageColors::kColor : ImageColors::kGray);
  }
  return Image(image->data,
               {static_cast<size_t>(image->rows), static_cast<size_t>(image->cols),
                static_cast<size_t>(image->channels())},
               owner);
}

/// Calls `function(done, total)` a few times a second and at the end, and lets
/// Ctrl-C end the work.
DataProgress Progress(const nb::object& function) {
  using Clock = std::chrono::steady_clock;
  return
      [&function, next = Clock::now()](std::uint64_t done, std::uint64_t total) mutable {
        if (Clock::now() < next && done < total) return;
        nb::gil_scoped_acquire gil;
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
        if (!function.is_none()) function(done, total);
        next = Clock::now() + std::chrono::milliseconds(100);
      };
}

void BindTools(nb::module_& m) {
  nb::class_<RejectedImage>(m, "RejectedImage", "An image that was left out.")
      .def_ro("name", &RejectedImage::name, "Path as listed, or key.")
      .def_ro("line", &RejectedImage::line, "Line of the list, or 0.")
      .def_ro("reason", &RejectedImage::reason, "One sentence.");

  nb::class_<ConvertImagesetOptions>(m, "ConvertImagesetOptions",
                                     "The flags of convert_imageset.")
      .def(nb::init<>())
      .def_rw("root_folder", &ConvertImagesetOptions::root_folder)
      .def_rw("list_file", &ConvertImagesetOptions::list_file)
      .def_rw("database", &ConvertImagesetOptions::database)
      .def_rw("backend", &ConvertImagesetOptions::backend)
      .def_rw("gray", &ConvertImagesetOptions::gray)
      .def_rw("shuffle", &ConvertImagesetOptions::shuffle)
      .def_rw("resize_width", &ConvertImagesetOptions::resize_width)
      .def_rw("resize_height", &ConvertImagesetOptions::resize_height)
      .def_rw("check_size", &ConvertImagesetOptions::check_size)
      .def_rw("encoded", &ConvertImagesetOptions::encoded)
      .def_rw("encode_type", &ConvertImagesetOptions::encode_type)
      .def_rw("threads", &ConvertImagesetOptions::threads);
  nb::class_<ConvertImagesetResult>(m, "ConvertImagesetResult")
      .def_ro("listed", &ConvertImagesetResult::listed)
      .def_ro("written", &ConvertImagesetResult::written)
      .def_ro("bytes", &ConvertImagesetResult::bytes)
      .def_ro("class_counts", &ConvertImagesetResult::class_counts)
      .def_ro("rejected", &ConvertImagesetResult::rejected);
  m.def(
      "convert_imageset",
      [](const ConvertImagesetOptions& options, const nb::object& progress) {
        nb::gil_scoped_release release;
        return ConvertImageset(options, Progress(progress));
      },
      nb::arg("options"), nb::arg("progress").none() = nb::none(),
      "Stores the images of a list in a database.");

  nb::class_<ComputeImageMeanOptions>(m, "ComputeImageMeanOptions",
                                      "The flags of compute_image_mean.")
      .def(nb::init<>())
      .def_rw("database", &ComputeImageMeanOptions::database)
      .def_rw("backend", &ComputeImageMeanOptions::backend)
      .def_rw("output_file", &ComputeImageMeanOptions::output_file)
      .def_rw("skip_bad", &ComputeImageMeanOptions::skip_bad)
      .def_rw("threads", &ComputeImageMeanOptions::threads);
  nb::class_<ComputeImageMeanResult>(m, "ComputeImageMeanResult")
      .def_ro("images", &ComputeImageMeanResult::images)
      .def_ro("channels", &ComputeImageMeanResult::channels)
      .def_ro("height", &ComputeImageMeanResult::height)
      .def_ro("width", &ComputeImageMeanResult::width)
      .def_ro("channel_means", &ComputeImageMeanResult::channel_means)
      .def_ro("rejected", &ComputeImageMeanResult::rejected);
  m.def(
      "compute_image_mean",
      [](const ComputeImageMeanOptions& options, const nb::object& progress) {
        nb::gil_scoped_release release;
        return ComputeImageMean(options, Progress(progress));
      },
      nb::arg("options"), nb::arg("progress").none() = nb::none(),
      "The mean image of a database.");
}

}  // namespace

void BindData(nb::module_& m) {
  m.def("decode_image", &Decode, nb::arg("file"), nb::arg("color"),
        nb::sig("def decode_image(file: bytes, color: bool) -> "
                "numpy.typing.NDArray[numpy.uint8]"),
        "The image in the bytes of a file: (height, width, 3), blue first, or one "
        "channel.");
  BindTools(m);
}

}  // namespace caffe::python
