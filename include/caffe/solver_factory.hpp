#ifndef CAFFE_SOLVER_FACTORY_H_
#define CAFFE_SOLVER_FACTORY_H_

#include <map>
#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

template <typename Dtype>
class Solver;

/// Maps SolverParameter.type to constructors. A solver registers itself with
/// REGISTER_SOLVER_CLASS at namespace scope, in this library or in a plugin.
template <typename Dtype>
class SolverRegistry {
 public:
  typedef Solver<Dtype>* (*Creator)(const SolverParameter&);
  typedef std::map<string, Creator> CreatorRegistry;

  static CreatorRegistry& Registry();
  /// The first to register a type keeps it.
  static void AddCreator(const string& type, Creator creator);
  /// The caller owns the result. Throws ValueError naming the closest known
  /// type when it is unknown.
  static Solver<Dtype>* CreateSolver(const SolverParameter& param);
  static vector<string> SolverTypeList();

 private:
  SolverRegistry() {}
};

template <typename Dtype>
class SolverRegisterer {
 public:
  SolverRegisterer(const string& type,
                   Solver<Dtype>* (*creator)(const SolverParameter&)) {
    SolverRegistry<Dtype>::AddCreator(type, creator);
  }
};

/// The older name of SolverRegistry::CreateSolver.
template <typename Dtype>
Solver<Dtype>* GetSolver(const SolverParameter& param) {
  return SolverRegistry<Dtype>::CreateSolver(param);
}

#define REGISTER_SOLVER_CREATOR(type, creator)                                       \
  static ::caffe::SolverRegisterer<float> g_creator_f_##type(#type, creator<float>); \
  static ::caffe::SolverRegisterer<double> g_creator_d_##type(#type, creator<double>)

#define REGISTER_SOLVER_CLASS(type)               \
  template <typename Dtype>                       \
  ::caffe::Solver<Dtype>* Creator_##type##Solver( \
      const ::caffe::SolverParameter& param) {    \
    return new type##Solver<Dtype>(param);        \
  }                                               \
  REGISTER_SOLVER_CREATOR(type, Creator_##type##Solver)

}  // namespace caffe

#endif  // CAFFE_SOLVER_FACTORY_H_
