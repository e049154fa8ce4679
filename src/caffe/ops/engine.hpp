#ifndef CAFFE_OPS_ENGINE_HPP_
#define CAFFE_OPS_ENGINE_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/common.hpp"

namespace caffe {

/// One way to compute an op. `make` returns the op, or null with the reason why
/// this engine declines the problem.
template <typename Op, typename Problem>
struct Engine {
  const char* name;
  std::unique_ptr<Op> (*make)(const Problem& problem, std::string* why);
};

/// The name under which the reference code is listed; it never declines.
inline constexpr char kReferenceEngine[] = "reference";

/// The first engine of the ordered list that takes the problem; only the reference is
/// asked if `problem.reference_only`.
template <typename Op, typename Problem>
std::unique_ptr<Op> SelectEngine(const std::vector<Engine<Op, Problem>>& engines,
                                 const Problem& problem) {
  for (const auto& engine : engines) {
    if (problem.reference_only && std::string(engine.name) != kReferenceEngine) continue;
    std::string why;
    if (auto op = engine.make(problem, &why)) return op;
    VLOG(1) << "engine " << engine.name << " declines: " << why;
  }
  throw NotImplementedFailure("no engine takes this problem");
}

}  // namespace caffe

#endif  // CAFFE_OPS_ENGINE_HPP_
