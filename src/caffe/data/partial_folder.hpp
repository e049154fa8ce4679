#ifndef CAFFE_DATA_PARTIAL_FOLDER_HPP_
#define CAFFE_DATA_PARTIAL_FOLDER_HPP_

#include <string>

namespace caffe {

/// A folder that appears under its name complete or not at all, and in whose making a
/// process can go on where another was killed.
///
/// It is made as path(), "<target>.partial", which its maker holds with flock: a lock
/// that no killed process leaves. Throws FileError if the target exists, unless as an
/// empty folder, or if another process is making it.
class PartialFolder {
 public:
  explicit PartialFolder(const std::string& target);
  /// Leaves what is in it.
  ~PartialFolder();
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;

  const std::string& target() const { return target_; }
  const std::string& path() const { return path_; }
  /// Gives it its name.
  void Commit();

 private:
  void Lock();

  std::string target_;
  std::string path_;
  int lock_ = -1;
};

}  // namespace caffe

#endif  // CAFFE_DATA_PARTIAL_FOLDER_HPP_
