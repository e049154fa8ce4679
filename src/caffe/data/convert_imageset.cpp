#include "caffe/data/convert_imageset.hpp"

#include <charconv>
#include <opencv2/imgcodecs.hpp>

#include "caffe/data/image_list.hpp"
#include "caffe/util/image_io.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {
namespace {

constexpr char kSeed[] = "-seed";

string Extension(const string& path) {
  const size_t dot = path.rfind('.');
  return dot == string::npos || path.find('/', dot) != string::npos
             ? ""
             : path.substr(dot + 1);
}

ImageRecord Convert(const ConvertImagesetOptions& options, const ListedImage& image) {
  ImageRecord result;
  string encoding;
  if (options.encoded || !options.encode_type.empty()) {
    encoding = options.encode_type.empty() ? Extension(image.path) : options.encode_type;
    if (encoding.empty()) {
      result.reason = Str("'", image.path,
                          "' has no extension that tells its type; set "
                          "encode_type");
      return result;
    }
  }
  Datum datum;
  try {
    ReadImageToDatumOrDie(options.root_folder + image.path, image.label,
                          options.resize_height, options.resize_width, !options.gray,
                          encoding, &datum);
  } catch (const Error& error) {
    result.reason = error.what();
    return result;
  }
  result.channels = datum.channels();
  result.height = datum.height();
  result.width = datum.width();
  if (!datum.SerializeToString(&result.value)) {
    result.reason = Str("'", image.path, "' is larger than a Datum can be, 2 GiB");
  }
  return result;
}

void CheckOptions(const ConvertImagesetOptions& options) {
  if (options.resize_width < 0 || options.resize_height < 0 ||
      (options.resize_width == 0) != (options.resize_height == 0)) {
    throw ValueError(Str("resize_width is ", options.resize_width, " and resize_height ",
                         options.resize_height,
                         ", expected both positive, or both 0 to keep the size"));
  }
  const string& type = options.encode_type;
  if (!type.empty() && !cv::haveImageWriter("image." + type)) {
    throw ValueError(Str("encode_type '", type,
                         "' cannot be written, expected for example jpg or png"));
  }
}

// The seed of the run that goes on, or of the one that began it, or a new one.
std::uint64_t SeedOf(const ConvertImagesetOptions& options,
                     const DatabaseBuilder& builder) {
  if (options.seed >= 0) return static_cast<std::uint64_t>(options.seed);
  std::uint64_t seed = (*caffe_rng())() >> 1;  // as large as the option can be
  if (const auto begun = builder.BegunWith(kSeed)) {
    std::from_chars(begun->data(), begun->data() + begun->size(), seed);
  }
  return seed;
}

}  // namespace

BuildResult ConvertImageset(const ConvertImagesetOptions& options,
                            const DataProgress& progress) {
  CheckOptions(options);
  vector<ListedImage> images = ReadImageList(options.list_file);
  DatabaseBuilder builder(options.database, options.backend);
  BuildOptions build;
  build.check_size = options.check_size;
  build.threads = options.threads;
  build.settings = {
      {"another root folder", options.root_folder},
      {"-backend", options.backend},
      {"-gray", Str(options.gray)},
      {"-shuffle", Str(options.shuffle)},
      {"-resize_width", Str(options.resize_width)},
      {"-resize_height", Str(options.resize_height)},
      {"-check_size", Str(options.check_size)},
      {"-encoded", Str(options.encoded)},
      {"-encode_type", options.encode_type},
  };
  if (options.shuffle) {
    const std::uint64_t seed = SeedOf(options, builder);
    build.settings.emplace_back(kSeed, Str(seed));
    rng_t order(seed);
    shuffle(images.begin(), images.end(), &order);
  }
  const BuildResult result = builder.Build(
      images, [&](std::size_t number) { return Convert(options, images[number]); }, build,
      progress);
  if (result.written == 0) {
    throw FileError(Str("none of the ", images.size(), " images of '", options.list_file,
                        "' could be stored; the first: ", result.rejected[0].reason));
  }
  builder.Publish();
  return result;
}

}  // namespace caffe
