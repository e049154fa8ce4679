#ifndef CAFFE_DATA_CONVERT_IMAGESET_HPP_
#define CAFFE_DATA_CONVERT_IMAGESET_HPP_

#include <string>

#include "caffe/data/database_builder.hpp"

namespace caffe {

/// The flags of Caffe's convert_imageset.
struct ConvertImagesetOptions {
  std::string root_folder;  ///< put before every path of the list
  std::string list_file;    ///< one "path label" per line
  std::string database;     ///< to be created
  std::string backend = "lmdb";
  bool gray = false;  ///< 1 channel instead of 3
  bool shuffle = false;
  int seed = -1;         ///< of the order; negative: another every time
  int resize_width = 0;  ///< both or neither
  int resize_height = 0;
  bool check_size = false;  ///< reject images of another size than the first
  bool encoded = false;     ///< store image files instead of pixels
  std::string encode_type;  ///< jpg, png …; implies `encoded`, default by the extension
  int threads = 0;          ///< 0: one per processor
};

/// Stores the images of a list as Datum messages with keys "%08d_path", numbered in
/// the order of writing. Whether rejected images are a failure is for the caller to
/// say; an image is rejected when its file cannot be read or decoded.
///
/// The database appears under its name complete or not at all, and what a killed run has
/// stored stays (DatabaseBuilder); a run goes on in the order of the one that began it if
/// it gives no seed. Throws FileError if the list cannot be read, the database exists or
/// cannot be written, or all images were rejected; ValueError for wrong options and
/// labels, and for others than it was begun with.
BuildResult ConvertImageset(const ConvertImagesetOptions& options,
                            const DataProgress& progress = nullptr);

}  // namespace caffe

#endif  // CAFFE_DATA_CONVERT_IMAGESET_HPP_
