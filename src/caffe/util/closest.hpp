#ifndef CAFFE_UTIL_CLOSEST_HPP_
#define CAFFE_UTIL_CLOSEST_HPP_

#include <string>
#include <vector>

namespace caffe {

/// The candidate that `name` was most likely meant to be: the one with the fewest
/// insertions, deletions, substitutions and swaps of neighbours, where case counts
/// only among equals. Empty unless it is close: at most one such edit, case aside, for
/// every three characters of the shorter name.
///
/// python/caffe/closest.py has the same rule for what runs without this library.
std::string ClosestName(const std::string& name,
                        const std::vector<std::string>& candidates);

/// The end of a sentence about an unknown `name`: "; the closest is 'x'". If none is
/// close, the candidates where they are few, and nothing where they are many.
std::string Suggestion(const std::string& name,
                       const std::vector<std::string>& candidates);

}  // namespace caffe

#endif  // CAFFE_UTIL_CLOSEST_HPP_
