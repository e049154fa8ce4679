#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "caffe/solver.hpp"
#include "caffe/solvers/not_finite.hpp"
#include "caffe/util/upgrade_proto.hpp"

// Builds the train net and the test nets of a solver.

namespace caffe {
namespace {

/// A net to build and where its definition came from, for log and errors.
struct NetSource {
  NetParameter param;
  string origin;
};

NetSource FromFile(const char* field, const string& path) {
  NetSource source;
  source.origin = Str(field, " file: ", path);
  ReadNetParamsFromTextFileOrDie(path, &source.param);
  return source;
}

NetSource FromParam(const char* field, const NetParameter& param) {
  NetSource source{param, field};
  UpgradeNetAsNeeded(field, &source.param);
  return source;
}

NetSource TrainSource(const SolverParameter& param) {
  vector<string> given;
  if (param.has_net()) given.push_back("net");
  if (param.has_net_param()) given.push_back("net_param");
  if (param.has_train_net()) given.push_back("train_net");
  if (param.has_train_net_param()) given.push_back("train_net_param");
  if (given.size() != 1) {
    string list;
    for (const string& field : given) list += (list.empty() ? "" : " and ") + field;
    throw ValueError(Str("solver: ", given.empty() ? "no train net" : list,
                         " given, expected ",
                         "exactly one of net, net_param, train_net and train_net_param"));
  }
  if (param.has_train_net_param())
    return FromParam("train_net_param", param.train_net_param());
  if (param.has_train_net()) return FromFile("train_net", param.train_net());
  if (param.has_net_param()) return FromParam("net_param", param.net_param());
  return FromFile("net", param.net());
}

/// First the nets that are for tests alone; each test_iter left over then makes one
/// test net of `net` or `net_param`.
vector<NetSource> TestSources(const SolverParameter& param) {
  const int own_nets = param.test_net_param_size() + param.test_net_size();
  const bool has_shared = param.has_net() || param.has_net_param();
  const int tests = param.test_iter_size();
  if (has_shared ? tests < own_nets : tests != own_nets) {
    throw ValueError(Str("solver: ", tests, " test_iter given, expected ",
                         has_shared ? "at least " : "", own_nets,
                         ", one for every test net"));
  }
  if (param.test_state_size() > 0 && param.test_state_size() != tests) {
    throw ValueError(Str("solver: ", param.test_state_size(),
                         " test_state given, expected ", tests,
                         ", one for every test net, or none"));
  }
  if (tests > 0 && param.test_interval() <= 0) {
    throw ValueError(Str("solver: test_interval is ", param.test_interval(),
                         ", expected at least 1 since there is a test net"));
  }
  vector<NetSource> sources;
  for (const NetParameter& net : param.test_net_param()) {
    sources.push_back(FromParam("test_net_param", net));
  }
  for (const string& path : param.test_net())
    sources.push_back(FromFile("test_net", path));
  while (static_cast<int>(sources.size()) < tests) {
    sources.push_back(param.has_net_param() ? FromParam("net_param", param.net_param())
                                            : FromFile("net", param.net()));
  }
  return sources;
}

/// Phase, then the state in the net's own definition, then the solver's, each
/// overriding the one before.
template <typename Dtype>
shared_ptr<Net<Dtype>> BuildNet(NetSource* source, Phase phase, const NetState* state) {
  NetState merged;
  merged.set_phase(phase);
  merged.MergeFrom(source->param.state());
  if (state) merged.MergeFrom(*state);
  *source->param.mutable_state() = merged;
  try {
    return std::make_shared<Net<Dtype>>(source->param);
  } catch (Error& error) {
    error.Prefix(source->origin);
    throw;
  }
}

}  // namespace

template <typename Dtype>
void Solver<Dtype>::InitTrainNet() {
  NetSource source = TrainSource(param_);
  LOG_IF(INFO, Caffe::root_solver())
      << "Creating training net "
      << (source.origin.find(" file: ") == string::npos ? "specified in " : "from ")
      << source.origin;
  net_ = BuildNet<Dtype>(&source, TRAIN,
                         param_.has_train_state() ? &param_.train_state() : nullptr);
  LoadWeights(net_.get());
}

template <typename Dtype>
void Solver<Dtype>::InitTestNets() {
  vector<NetSource> sources = TestSources(param_);
  test_nets_.clear();
  for (int i = 0; i < static_cast<int>(sources.size()); ++i) {
    LOG_IF(INFO, Caffe::root_solver())
        << "Creating test net (#" << i << ") specified by " << sources[i].origin;
    test_nets_.push_back(
        BuildNet<Dtype>(&sources[i], TEST,
                        param_.test_state_size() > 0 ? &param_.test_state(i) : nullptr));
    test_nets_[i]->set_debug_info(param_.debug_info());
    LoadWeights(test_nets_[i].get());
    // At once, so that what is loaded into the net in training is tested from then on.
    test_nets_[i]->ShareTrainedLayersWith(net_.get());
  }
}

template <typename Dtype>
void Solver<Dtype>::LoadWeights(Net<Dtype>* net) const {
  for (const string& entry : param_.weights()) {
    std::istringstream paths(entry);
    for (string path; std::getline(paths, path, ',');) {
      const size_t begin = path.find_first_not_of(" \t");
      if (begin == string::npos) continue;
      path = path.substr(begin, path.find_last_not_of(" \t") - begin + 1);
      LOG_IF(INFO, Caffe::root_solver()) << "Finetuning from " << path;
      net->CopyTrainedLayersFrom(path);
      if (param_.on_nan() != SolverParameter::STOP) continue;
      const string bad = FirstParameterNotFinite(*net);
      if (bad.empty()) continue;
      throw ValueError(Str("'", path, "' gives ", bad,
                           " that are not finite; train from other weights (on_nan: "
                           "CONTINUE in the solver takes them)"));
    }
  }
}

#define INSTANTIATE_SOLVER_NETS(Dtype)         \
  template void Solver<Dtype>::InitTrainNet(); \
  template void Solver<Dtype>::InitTestNets(); \
  template void Solver<Dtype>::LoadWeights(Net<Dtype>*) const
INSTANTIATE_SOLVER_NETS(float);
INSTANTIATE_SOLVER_NETS(double);

}  // namespace caffe
