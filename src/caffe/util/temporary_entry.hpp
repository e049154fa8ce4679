#ifndef CAFFE_UTIL_TEMPORARY_ENTRY_HPP_
#define CAFFE_UTIL_TEMPORARY_ENTRY_HPP_

#include <sys/types.h>

#include <string>

namespace caffe {

// What is being written lies beside its target as ".NAME.<boot id>-<tag>.caffe-tmp", and
// its writer holds it with flock. So what a killed process left can be told from what a
// living one writes, and the next writer in the folder removes it.
//
// All processes of a machine see a lock, whatever user or container they belong to. Other
// machines that share the disk may not: hence the boot id, which is that of one machine
// from one start to the next. python/caffe/files.py has the same rule, and folders, too.

/// Removes what killed processes of this machine left in `folder`; never throws.
void RemoveAbandoned(const std::string& folder) noexcept;

/// Creates a file beside `target`, locked, open for writing, and calls
/// RemoveAbandoned(). Gives a descriptor and its path, or -1 with a reason in errno.
int CreateTemporaryFile(const std::string& target, mode_t mode, std::string* path);

}  // namespace caffe

#endif  // CAFFE_UTIL_TEMPORARY_ENTRY_HPP_
