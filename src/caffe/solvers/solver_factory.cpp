#include "caffe/solver_factory.hpp"

#include <string>
#include <vector>

#include "caffe/solver.hpp"
#include "caffe/util/closest.hpp"
#include "caffe/util/registration_log.hpp"

namespace caffe {

template <typename Dtype>
typename SolverRegistry<Dtype>::CreatorRegistry& SolverRegistry<Dtype>::Registry() {
  // Never destroyed: plugins may outlive static destruction.
  static CreatorRegistry* registry = new CreatorRegistry();
  return *registry;
}

template <typename Dtype>
void SolverRegistry<Dtype>::AddCreator(const string& type, Creator creator) {
  // Runs in static initialisers, where an exception would end the process.
  RecordRegistration(type, Registry().emplace(type, creator).second);
}

template <typename Dtype>
Solver<Dtype>* SolverRegistry<Dtype>::CreateSolver(const SolverParameter& param) {
  const string& type = param.type();
  const auto found = Registry().find(type);
  if (found == Registry().end()) {
    throw ValueError(
        Str("solver: unknown type '", type, "'", Suggestion(type, SolverTypeList())));
  }
  return found->second(param);
}

template <typename Dtype>
vector<string> SolverRegistry<Dtype>::SolverTypeList() {
  vector<string> types;
  for (const auto& entry : Registry()) types.push_back(entry.first);
  return types;
}

template class SolverRegistry<float>;
template class SolverRegistry<double>;

}  // namespace caffe
