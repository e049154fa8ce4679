#ifndef CAFFE_DATA_PARTIAL_FOLDER_HPP_
#define CAFFE_DATA_PARTIAL_FOLDER_HPP_

#include <string>

namespace caffe {

/// A folder that appears under its name complete or not at all.
///
/// It is built as path() inside a hidden folder beside it, which the destructor removes
/// or, where the process was killed, the next that writes there (temporary_entry.hpp).
/// Throws FileError if the target exists, unless as an empty folder, or if another
/// process is building it.
class PartialFolder {
 public:
  explicit PartialFolder(const std::string& target);
  ~PartialFolder();
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;

  /// Where to build it; does not exist yet.
  std::string path() const { return partial_ + "/database"; }
  /// Gives it its name.
  void Commit();

 private:
  std::string target_;
  std::string partial_;
  int lock_ = -1;
};

}  // namespace caffe

#endif  // CAFFE_DATA_PARTIAL_FOLDER_HPP_
