#include "data.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <opencv2/core/core.hpp>
#include <optional>
#include <string>
#include <tuple>

#include "caffe/data/compute_image_mean.hpp"
#include "caffe/data/convert_imageset.hpp"
#include "caffe/data/file_record.hpp"
#include "caffe/util/db.hpp"
#include "caffe/util/image_io.hpp"

namespace nb = nanobind;

namespace caffe::python {
namespace {

/// That resizing a strip must not exceed: those of the largest image that is decoded.
constexpr std::int64_t kMaxSquarePixels = std::int64_t{1} << 28;

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

nb::bytes SquareImage(const nb::bytes& bytes, int side, const string& encoding) {
  const string file(bytes.c_str(), bytes.size());
  string square;
  {
    nb::gil_scoped_release release;
    cv::Mat image = DecodeImage(file, ImageColors::kColor);
    // In 64 bits: a strip's longer side may be many times the shorter.
    const std::int64_t shorter = std::min(image.rows, image.cols);
    const std::int64_t height = image.rows * std::int64_t{side} / shorter;
    const std::int64_t width = image.cols * std::int64_t{side} / shorter;
    if (height * width > kMaxSquarePixels) {
      throw ValueError(Str("of ", image.cols, "x", image.rows, " pixels, it becomes ",
                           width, "x", height, " before its centre is cut out, expected ",
                           "at most ", kMaxSquarePixels, " pixels; leave it out"));
    }
    image = ResizeImage(image, static_cast<int>(height), static_cast<int>(width));
    const cv::Rect centre(static_cast<int>((width - side) / 2),
                          static_cast<int>((height - side) / 2), side, side);
    square = EncodeImage(image(centre), encoding);
  }
  return nb::bytes(square.data(), square.size());
}

/// Writes a new database, entry by entry.
class DatabaseWriter {
 public:
  DatabaseWriter(const string& folder, const string& backend) : db_(db::GetDB(backend)) {
    db_->Open(folder, db::NEW);
    transaction_.reset(db_->NewTransaction());
  }

  void Put(const string& key, const nb::bytes& value) {
    transaction_->Put(key, string(value.c_str(), value.size()));
  }

  void Commit() {
    nb::gil_scoped_release release;
    transaction_->Commit();
    transaction_.reset(db_->NewTransaction());
  }

  void Close() {
    transaction_.reset();
    db_->Close();
  }

 private:
  std::unique_ptr<db::DB> db_;
  std::unique_ptr<db::Transaction> transaction_;
};

std::uint64_t Entries(const string& source, const string& backend) {
  const std::unique_ptr<db::DB> database(db::GetDB(backend));
  database->Open(source, db::READ);
  return database->Count();
}

/// Calls `function(done, total)`, at the end and before that every so many milliseconds,
/// and lets Ctrl-C end the work.
DataProgress Progress(const nb::object& function, int every_ms) {
  using Clock = std::chrono::steady_clock;
  return [&function, every_ms, next = Clock::now()](std::uint64_t done,
                                                    std::uint64_t total) mutable {
    if (Clock::now() < next && done < total) return;
    nb::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (!function.is_none()) function(done, total);
    next = Clock::now() + std::chrono::milliseconds(every_ms);
  };
}

constexpr int kEveryMs = 100;

string BytesOf(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }

/// As os.fsdecode: names of files need not be UTF-8.
nb::str NameOf(const string& bytes) {
  return nb::steal<nb::str>(PyUnicode_DecodeFSDefaultAndSize(
      bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
}

/// A file of images: (name, label, offset, size), the last two of a part of an archive.
using ImageFile = std::tuple<nb::bytes, int, std::uint64_t, std::uint64_t>;

ListedImage ListedImageOf(const ImageFile& file) {
  return {.path = BytesOf(std::get<0>(file)), .label = std::get<1>(file)};
}

std::optional<ArchivePart> PartOf(const ImageFile& file, bool archive) {
  if (!archive) return std::nullopt;
  return ArchivePart{std::get<2>(file), std::get<3>(file)};
}

nb::str ImageFileProblem(const nb::bytes& source, bool archive, const ImageFile& file) {
  const string path = BytesOf(source);
  const ListedImage image = ListedImageOf(file);
  const auto part = PartOf(file, archive);
  string reason;
  {
    nb::gil_scoped_release release;
    reason = FileRecord(path, image, part).reason;
  }
  return NameOf(reason);
}

BuildResult StoreImageFiles(const nb::bytes& database, const nb::bytes& source,
                            bool archive, const nb::list& files,
                            const BuildSettings& settings, int threads, int commit_images,
                            const nb::object& progress, const nb::object& complete) {
  const string path = BytesOf(source), target = BytesOf(database);
  vector<ListedImage> images;
  vector<std::optional<ArchivePart>> parts;
  images.reserve(files.size());
  parts.reserve(files.size());
  for (const nb::handle item : files) {
    const auto file = nb::cast<ImageFile>(item);
    images.push_back(ListedImageOf(file));
    parts.push_back(PartOf(file, archive));
  }
  BuildOptions options;
  options.settings = settings;
  options.threads = threads;
  options.commit_images = commit_images;
  nb::gil_scoped_release release;
  DatabaseBuilder builder(target, "lmdb");
  BuildResult result = builder.Build(
      images,
      [&](std::size_t number) { return FileRecord(path, images[number], parts[number]); },
      options, Progress(progress, 0));
  {
    nb::gil_scoped_acquire gil;
    complete(NameOf(builder.folder()), nb::cast(result));
  }
  builder.Publish();
  return result;
}

void BindTools(nb::module_& m) {
  nb::class_<RejectedImage>(m, "RejectedImage", "An image that was left out.")
      .def_prop_ro(
          "name", [](const RejectedImage& image) { return NameOf(image.name); },
          "Path as listed, or key.")
      .def_ro("line", &RejectedImage::line, "Line of the list, or 0.")
      .def_prop_ro(
          "reason", [](const RejectedImage& image) { return NameOf(image.reason); },
          "One sentence.");

  nb::class_<BuildResult>(m, "BuildResult", "What became of the images of a list.")
      .def_ro("listed", &BuildResult::listed, "Images of the list.")
      .def_ro("written", &BuildResult::written, "Images in the database.")
      .def_ro("resumed", &BuildResult::resumed, "Those that an earlier run had written.")
      .def_ro("bytes", &BuildResult::bytes, "Of keys and values.")
      .def_ro("class_counts", &BuildResult::class_counts, "Images of each label.")
      .def_ro("rejected", &BuildResult::rejected);
  m.def("store_image_files", &StoreImageFiles, nb::arg("database"), nb::arg("source"),
        nb::arg("archive"), nb::arg("files"), nb::arg("settings"), nb::arg("threads"),
        nb::arg("commit_images"), nb::arg("progress").none(), nb::arg("complete"),
        nb::sig("def store_image_files(database: bytes, source: bytes, archive: bool, "
                "files: list[tuple[bytes, int, int, int]], "
                "settings: Sequence[tuple[str, str]], threads: int, commit_images: int, "
                "progress: Callable[[int, int], object] | None, "
                "complete: Callable[[str, BuildResult], object]) -> BuildResult"),
        "Builds an LMDB of image files as they are, each (name, label, offset, size) in "
        "the folder or archive `source`; calls complete(folder, result) before the "
        "folder gets its name.");
  m.def("image_file_problem", &ImageFileProblem, nb::arg("source"), nb::arg("archive"),
        nb::arg("file"),
        nb::sig("def image_file_problem(source: bytes, archive: bool, "
                "file: tuple[bytes, int, int, int]) -> str"),
        "Why store_image_files would leave a file out; else empty.");

  nb::class_<ConvertImagesetOptions>(m, "ConvertImagesetOptions",
                                     "The flags of convert_imageset.")
      .def(nb::init<>())
      .def_rw("root_folder", &ConvertImagesetOptions::root_folder)
      .def_rw("list_file", &ConvertImagesetOptions::list_file)
      .def_rw("database", &ConvertImagesetOptions::database)
      .def_rw("backend", &ConvertImagesetOptions::backend)
      .def_rw("gray", &ConvertImagesetOptions::gray)
      .def_rw("shuffle", &ConvertImagesetOptions::shuffle)
      .def_rw("seed", &ConvertImagesetOptions::seed)
      .def_rw("resize_width", &ConvertImagesetOptions::resize_width)
      .def_rw("resize_height", &ConvertImagesetOptions::resize_height)
      .def_rw("check_size", &ConvertImagesetOptions::check_size)
      .def_rw("encoded", &ConvertImagesetOptions::encoded)
      .def_rw("encode_type", &ConvertImagesetOptions::encode_type)
      .def_rw("threads", &ConvertImagesetOptions::threads);
  m.def(
      "convert_imageset",
      [](const ConvertImagesetOptions& options, const nb::object& progress) {
        nb::gil_scoped_release release;
        return ConvertImageset(options, Progress(progress, kEveryMs));
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
        return ComputeImageMean(options, Progress(progress, kEveryMs));
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
  m.def(
      "square_image", &SquareImage, nb::arg("file"), nb::arg("side"), nb::arg("encoding"),
      "The image in the bytes of a file, resized so that its shorter side is `side`, and "
      "cut to the square in its centre, as the bytes of a file of type `encoding`.");
  nb::class_<DatabaseWriter>(m, "DatabaseWriter",
                             "Writes a new database; nothing may have its name.")
      .def(nb::init<const string&, const string&>(), nb::arg("folder"),
           nb::arg("backend"))
      .def("put", &DatabaseWriter::Put, nb::arg("key"), nb::arg("value"),
           "Adds an entry, which Commit stores.")
      .def("commit", &DatabaseWriter::Commit, "Writes what was put since the last one.")
      .def("close", &DatabaseWriter::Close, "Ends; what is not committed is dropped.");
  m.def("db_entries", &Entries, nb::arg("source"), nb::arg("backend"),
        nb::call_guard<nb::gil_scoped_release>(), "Number of entries of a database.");
  BindTools(m);
}

}  // namespace caffe::python
