#ifndef CAFFE_TESTS_FUZZ_SMALL_SOLVER_HPP_
#define CAFFE_TESTS_FUZZ_SMALL_SOLVER_HPP_

#include "caffe/solver.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe/util/io.hpp"
#include "fuzz.hpp"
#include "small_net.hpp"

namespace caffe {
namespace fuzz {

/// Has a solver of the small net resume from a file that holds the input.
inline void Resume(const std::uint8_t* data, std::size_t size,
                   const std::string& ending) {
  static Solver<float>* const solver = [] {
    SolverParameter param;
    ParseProtoTextOrDie(
        R"(type: "Adam" base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" random_seed: 1
           solver_mode: CPU snapshot_after_train: false)",
        "small solver", &param);
    ParseProtoTextOrDie(kSmallNet, "small net", param.mutable_net_param());
    param.mutable_net_param()->set_force_backward(true);
    return SolverRegistry<float>::CreateSolver(param);
  }();
  const InputFile file(data, size, ending);
  MayRefuse([&] { solver->Restore(file.path().c_str()); });
}

}  // namespace fuzz
}  // namespace caffe

#endif  // CAFFE_TESTS_FUZZ_SMALL_SOLVER_HPP_
