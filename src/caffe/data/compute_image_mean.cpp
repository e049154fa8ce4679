#include "caffe/data/compute_image_mean.hpp"

#include <memory>
#include <opencv2/core.hpp>
#include <utility>

#include "caffe/data/ordered_results.hpp"
#include "caffe/util/db.hpp"
#include "caffe/util/image_io.hpp"
#include "caffe/util/io.hpp"

namespace caffe {
namespace {

struct Image {
  string key;
  Datum datum;  // raw
  string reason;
};

Image DecodeEntry(string key, const string& bytes) {
  Image image;
  image.key = std::move(key);
  try {
    if (!image.datum.ParseFromString(bytes)) {
      throw FileError(Str("its ", bytes.size(), " bytes are no Datum"));
    }
    if (image.datum.encoded()) {
      CVMatToDatum(DecodeImage(image.datum.data(), ImageColors::kAsStored), &image.datum);
    }
    CheckRawDatum(image.datum);
  } catch (const Error& error) {
    image.reason = error.what();
  }
  return image;
}

string ShapeOf(const Datum& datum) {
  return Str(datum.channels(), " x ", datum.height(), " x ", datum.width());
}

template <typename Values>
void Add(const Values& values, std::size_t count, double* sum) {
  for (std::size_t i = 0; i < count; ++i) sum[i] += values[i];
}

// Sums in double are exact for 8-bit values, so the mean does not depend on the order.
class MeanImage {
 public:
  void AddDatum(const Datum& datum) {
    if (images_++ == 0) {
      shape_ = datum;
      shape_.clear_data();
      shape_.clear_float_data();
      sum_.assign(
          static_cast<std::size_t>(datum.channels()) * datum.height() * datum.width(),
          0.0);
    }
    if (datum.data().empty()) {
      Add(datum.float_data().data(), sum_.size(), sum_.data());
    } else {
      Add(reinterpret_cast<const unsigned char*>(datum.data().data()), sum_.size(),
          sum_.data());
    }
  }
  bool Fits(const Datum& datum) const {
    return images_ == 0 || ShapeOf(datum) == ShapeOf(shape_);
  }
  const Datum& shape() const { return shape_; }
  std::uint64_t images() const { return images_; }
  double At(std::size_t i) const { return sum_[i] / static_cast<double>(images_); }
  std::size_t size() const { return sum_.size(); }

 private:
  std::uint64_t images_ = 0;
  Datum shape_;
  vector<double> sum_;
};

void WriteMean(const MeanImage& mean, const string& path) {
  BlobProto proto;
  proto.set_num(1);
  proto.set_channels(mean.shape().channels());
  proto.set_height(mean.shape().height());
  proto.set_width(mean.shape().width());
  for (std::size_t i = 0; i < mean.size(); ++i) {
    proto.add_data(static_cast<float>(mean.At(i)));
  }
  WriteProtoToBinaryFile(proto, path);
}

}  // namespace

ComputeImageMeanResult ComputeImageMean(const ComputeImageMeanOptions& options,
                                        const DataProgress& progress) {
  const std::unique_ptr<db::DB> db(db::GetDB(options.backend));
  db->Open(options.database, db::READ);
  const std::uint64_t total = db->Count();
  const std::unique_ptr<db::Cursor> cursor(db->NewCursor());
  ComputeImageMeanResult result;
  MeanImage mean;
  OrderedResults<Image> images(options.threads);
  for (std::uint64_t done = 0;;) {
    for (; cursor->valid() && !images.full(); cursor->Next()) {
      auto entry = std::make_shared<pair<string, string>>(cursor->key(), cursor->value());
      images.Submit([entry] { return DecodeEntry(entry->first, entry->second); });
    }
    if (images.empty()) break;
    const Image image = images.Next();
    const auto where = [&] {
      return Str("database '", options.database, "', key '", image.key, "': ");
    };
    if (!image.reason.empty()) {
      if (!options.skip_bad) throw FileError(where() + image.reason);
      result.rejected.push_back({image.key, 0, image.reason});
    } else if (!mean.Fits(image.datum)) {
      throw ValueError(
          Str(where(), "the image is ", ShapeOf(image.datum), ", expected ",
              ShapeOf(mean.shape()),
              " (channels, height, width) like the first; build the database "
              "with resize_width and resize_height, or use mean_value"));
    } else {
      mean.AddDatum(image.datum);
    }
    if (progress) progress(++done, total);
  }
  if (mean.images() == 0) {
    throw FileError(Str("database '", options.database, "' has no image to average"));
  }
  result.images = mean.images();
  result.channels = mean.shape().channels();
  result.height = mean.shape().height();
  result.width = mean.shape().width();
  const std::size_t plane = mean.size() / result.channels;
  for (int c = 0; c < result.channels; ++c) {
    double sum = 0;
    for (std::size_t i = 0; i < plane; ++i) sum += mean.At(c * plane + i);
    result.channel_means.push_back(sum / static_cast<double>(plane));
  }
  if (!options.output_file.empty()) WriteMean(mean, options.output_file);
  return result;
}

}  // namespace caffe
