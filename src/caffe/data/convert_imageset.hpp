#ifndef CAFFE_DATA_CONVERT_IMAGESET_HPP_
#define CAFFE_DATA_CONVERT_IMAGESET_HPP_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace caffe {

/// Called with the number of images done and of all. May throw, which ends the work.
using DataProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// The flags of Caffe's convert_imageset.
struct ConvertImagesetOptions {
  std::string root_folder;  ///< put before every path of the list
  std::string list_file;    ///< one "path label" per line
  std::string database;     ///< to be created
  std::string backend = "lmdb";
  bool gray = false;     ///< 1 channel instead of 3
  bool shuffle = false;  ///< in an order drawn from caffe_rng()
  int resize_width = 0;  ///< both or neither
  int resize_height = 0;
  bool check_size = false;  ///< reject images of another size than the first
  bool encoded = false;     ///< store image files instead of pixels
  std::string encode_type;  ///< jpg, png …; implies `encoded`, default by the extension
  int threads = 0;          ///< 0: one per processor
};

/// An image that has been left out.
struct RejectedImage {
  std::string name;    ///< path as listed, or key
  int line = 0;        ///< in the list, 0 for none
  std::string reason;  ///< one sentence
};

struct ConvertImagesetResult {
  std::uint64_t listed = 0;
  std::uint64_t written = 0;
  std::uint64_t bytes = 0;  ///< of keys and values
  std::map<int, std::uint64_t> class_counts;
  std::vector<RejectedImage> rejected;
};

/// Stores the images of a list as Datum messages with keys "%08d_path", numbered in
/// the order of writing. Whether rejected images are a failure is for the caller to
/// say; an image is rejected when its file cannot be read or decoded.
///
/// The database appears under its name complete or not at all: it is built in the
/// folder "<database>.partial". Throws FileError if the list cannot be read, the
/// database exists or cannot be written, or all images were rejected; ValueError for
/// wrong options and labels.
ConvertImagesetResult ConvertImageset(const ConvertImagesetOptions& options,
                                      const DataProgress& progress = nullptr);

}  // namespace caffe

#endif  // CAFFE_DATA_CONVERT_IMAGESET_HPP_
