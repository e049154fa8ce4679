#ifndef CAFFE_UTIL_CLOSEST_HPP_
#define CAFFE_UTIL_CLOSEST_HPP_

#include <string>
#include <vector>

namespace caffe {

/// The candidate that `name` was most likely meant to be: the one with the fewest
/// insertions, deletions, substitutions and swaps of neighbours, where case counts
/// only among equals. Empty if there are no candidates.
std::string ClosestName(const std::string& name,
                        const std::vector<std::string>& candidates);

}  // namespace caffe

#endif  // CAFFE_UTIL_CLOSEST_HPP_
