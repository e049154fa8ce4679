#ifndef CAFFE_DATA_FILE_RECORD_HPP_
#define CAFFE_DATA_FILE_RECORD_HPP_

#include <cstdint>
#include <optional>
#include <string>

#include "caffe/data/database_builder.hpp"
#include "caffe/data/image_list.hpp"

namespace caffe {

/// Where the bytes of a file lie in an archive.
struct ArchivePart {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// A record that keeps an image file byte by byte, with the shape of its colour image: it
/// is decoded once, which finds damage. Rejected as well is what an LMDB has no key for.
///
/// The file is `image.path` below the folder `source`, or a part of the archive `source`.
ImageRecord FileRecord(const std::string& source, const ListedImage& image,
                       const std::optional<ArchivePart>& part);

}  // namespace caffe

#endif  // CAFFE_DATA_FILE_RECORD_HPP_
