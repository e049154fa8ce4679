#include "caffe/data/convert_imageset.hpp"

#include <cstdio>
#include <memory>
#include <opencv2/imgcodecs.hpp>

#include "caffe/data/image_list.hpp"
#include "caffe/data/ordered_results.hpp"
#include "caffe/data/partial_folder.hpp"
#include "caffe/util/db.hpp"
#include "caffe/util/image_io.hpp"

namespace caffe {
namespace {

// A transaction keeps its entries in memory until it is committed.
constexpr std::uint64_t kCommitEntries = 1000;
constexpr std::uint64_t kCommitBytes = std::uint64_t{64} << 20;

// One image ready to be stored, or the reason why not.
struct Converted {
  string value;
  string reason;
  int channels = 0, height = 0, width = 0;
};

string Extension(const string& path) {
  const size_t dot = path.rfind('.');
  return dot == string::npos || path.find('/', dot) != string::npos
             ? ""
             : path.substr(dot + 1);
}

Converted Convert(const ConvertImagesetOptions& options, const ListedImage& image) {
  Converted result;
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

// Writes to the database in transactions.
class Writer {
 public:
  Writer(const string& backend, const string& path) : db_(db::GetDB(backend)) {
    db_->Open(path, db::NEW);
    transaction_.reset(db_->NewTransaction());
  }
  void Put(const string& key, const string& value) {
    transaction_->Put(key, value);
    ++entries_;
    bytes_ += key.size() + value.size();
    if (entries_ >= kCommitEntries || bytes_ >= kCommitBytes) Commit();
  }
  void Commit() {
    transaction_->Commit();
    transaction_.reset(db_->NewTransaction());
    entries_ = bytes_ = 0;
  }
  void Close() {
    Commit();
    transaction_.reset();
    db_->Close();
  }

 private:
  std::unique_ptr<db::DB> db_;
  std::unique_ptr<db::Transaction> transaction_;
  std::uint64_t entries_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace

ConvertImagesetResult ConvertImageset(const ConvertImagesetOptions& options,
                                      const DataProgress& progress) {
  CheckOptions(options);
  vector<ListedImage> images = ReadImageList(options.list_file);
  if (options.shuffle) caffe::shuffle(images.begin(), images.end());

  PartialFolder folder(options.database);
  Writer writer(options.backend, folder.path());
  OrderedResults<Converted> converted(options.threads);
  ConvertImagesetResult result;
  result.listed = images.size();
  Converted first;  // the first one stored, for check_size
  std::size_t submitted = 0;
  for (std::size_t i = 0; i < images.size(); ++i) {
    while (submitted < images.size() && !converted.full()) {
      const ListedImage& next = images[submitted++];
      converted.Submit([&options, &next] { return Convert(options, next); });
    }
    Converted image = converted.Next();
    char number[24];
    std::snprintf(number, sizeof(number), "%08zu_", i);
    const string key = number + images[i].path;
    if (image.reason.empty() && options.check_size && result.written > 0 &&
        (image.channels != first.channels || image.height != first.height ||
         image.width != first.width)) {
      image.reason =
          Str("'", images[i].path, "' is ", image.channels, " x ", image.height, " x ",
              image.width, ", expected ", first.channels, " x ", first.height, " x ",
              first.width, " (channels, height, width) like the first image");
    }
    if (image.reason.empty()) {
      try {
        writer.Put(key, image.value);
      } catch (const ValueError& error) {
        image.reason = error.what();  // a path too long for a key
      }
    }
    if (image.reason.empty()) {
      result.bytes += key.size() + image.value.size();
      ++result.class_counts[images[i].label];
      if (result.written++ == 0) first = std::move(image);
    } else {
      result.rejected.push_back({images[i].path, images[i].line, image.reason});
    }
    if (progress) progress(i + 1, images.size());
  }
  if (result.written == 0) {
    throw FileError(Str("none of the ", images.size(), " images of '", options.list_file,
                        "' could be stored; the first: ", result.rejected[0].reason));
  }
  writer.Close();
  folder.Commit();
  return result;
}

}  // namespace caffe
