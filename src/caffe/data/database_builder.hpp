#ifndef CAFFE_DATA_DATABASE_BUILDER_HPP_
#define CAFFE_DATA_DATABASE_BUILDER_HPP_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caffe/data/build_state.hpp"
#include "caffe/data/image_list.hpp"
#include "caffe/data/partial_folder.hpp"
#include "caffe/util/db.hpp"

namespace caffe {

/// Called with the number of images done and of all. May throw, which ends the work.
using DataProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// An image that has been left out.
struct RejectedImage {
  std::string name;    ///< path as listed, or key
  int line = 0;        ///< in the list, 0 for none
  std::string reason;  ///< one sentence
};

/// A serialized Datum and its shape, or the reason why there is none.
struct ImageRecord {
  std::string value;
  std::string reason;  ///< one sentence, empty if there is a value
  int channels = 0, height = 0, width = 0;
};

struct BuildOptions {
  BuildSettings settings;    ///< what makes the content, apart from the images' names
  bool check_size = false;   ///< reject images of another size than the first
  int threads = 0;           ///< 0: one per processor
  int commit_images = 1000;  ///< at most so many in a transaction
};

struct BuildResult {
  std::uint64_t listed = 0;
  std::uint64_t written = 0;
  std::uint64_t resumed = 0;  ///< of these, written by an earlier run
  std::uint64_t bytes = 0;    ///< of keys and values
  std::map<int, std::uint64_t> class_counts;
  std::vector<RejectedImage> rejected;
};

/// The key of image `number` of a list: "%08d_name".
std::string DatabaseKey(std::size_t number, const std::string& name);

/// Builds a database of images, in their order, in "<database>.partial".
///
/// A run that was killed or failed is gone on with by the next of the same images and
/// settings: what is stored and what was rejected before that stays. The destructor
/// removes the folder if nothing is stored in it.
///
///     DatabaseBuilder builder("train_lmdb", "lmdb");
///     builder.Build(images, make, options, progress);
///     builder.Publish();
class DatabaseBuilder {
 public:
  /// Throws ValueError for an unknown backend, and if the folder is not of a builder;
  /// FileError as PartialFolder does.
  DatabaseBuilder(const std::string& database, const std::string& backend);
  ~DatabaseBuilder();
  DatabaseBuilder(const DatabaseBuilder&) = delete;
  DatabaseBuilder& operator=(const DatabaseBuilder&) = delete;

  /// Where it is built.
  const std::string& folder() const { return folder_.path(); }
  /// The value of a setting of the run that began it; nothing if that is this one.
  std::optional<std::string> BegunWith(const std::string& setting) const;

  /// Stores what `make` gives for the number of each image; many threads call it. The
  /// images must be there for as long as this runs. An image is rejected for the reason
  /// that its record gives, for its size, and for a name too long for a key.
  ///
  /// Throws ValueError if the folder was begun with other images or settings; FileError
  /// if it holds something else than its state tells, or cannot be written; and what
  /// `progress` throws.
  BuildResult Build(const std::vector<ListedImage>& images,
                    const std::function<ImageRecord(std::size_t)>& make,
                    const BuildOptions& options, const DataProgress& progress);

  /// Gives the database its name.
  void Publish();

 private:
  void Begin(const std::vector<ListedImage>& images, const BuildSettings& settings);
  void Resume(const std::vector<ListedImage>& images, BuildResult* result);
  string SizeProblem(const string& name, const ImageRecord& record);
  void Commit();
  void RemoveAllButState();

  std::unique_ptr<db::DB> db_;
  std::unique_ptr<db::Transaction> transaction_;
  PartialFolder folder_;
  BuildState state_;
  bool published_ = false;
  std::size_t next_ = 0;     // number of the first image that is not known to be stored
  BuildState::Size stored_;  // committed
  BuildState::Size pending_;
  ImageRecord first_;  // the shape of the first one stored
};

}  // namespace caffe

#endif  // CAFFE_DATA_DATABASE_BUILDER_HPP_
