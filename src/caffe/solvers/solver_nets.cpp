#include "caffe/solvers/solver_nets.hpp"

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "caffe/solvers/not_finite.hpp"
#include "caffe/util/upgrade_proto.hpp"

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

template <typename Dtype>
void LoadWeights(const SolverParameter& param, Net<Dtype>* net) {
  for (const string& entry : param.weights()) {
    std::istringstream paths(entry);
    for (string path; std::getline(paths, path, ',');) {
      const size_t begin = path.find_first_not_of(" \t");
      if (begin == string::npos) continue;
      path = path.substr(begin, path.find_last_not_of(" \t") - begin + 1);
      LOG_IF(INFO, Caffe::root_solver()) << "Finetuning from " << path;
      net->CopyTrainedLayersFrom(path);
      if (param.on_nan() != SolverParameter::STOP) continue;
      const string bad = FirstParameterNotFinite(*net);
      if (bad.empty()) continue;
      throw ValueError(Str("'", path, "' gives ", bad,
                           " that are not finite; train from other weights (on_nan: "
                           "CONTINUE in the solver takes them)"));
    }
  }
}

}  // namespace

template <typename Dtype>
shared_ptr<Net<Dtype>> BuildTrainNet(const SolverParameter& param) {
  NetSource source = TrainSource(param);
  LOG_IF(INFO, Caffe::root_solver())
      << "Creating training net "
      << (source.origin.find(" file: ") == string::npos ? "specified in " : "from ")
      << source.origin;
  const auto net = BuildNet<Dtype>(
      &source, TRAIN, param.has_train_state() ? &param.train_state() : nullptr);
  LoadWeights(param, net.get());
  return net;
}

template <typename Dtype>
vector<shared_ptr<Net<Dtype>>> BuildTestNets(const SolverParameter& param,
                                             const Net<Dtype>* trained) {
  vector<NetSource> sources = TestSources(param);
  vector<shared_ptr<Net<Dtype>>> nets;
  for (int i = 0; i < static_cast<int>(sources.size()); ++i) {
    LOG_IF(INFO, Caffe::root_solver())
        << "Creating test net (#" << i << ") specified by " << sources[i].origin;
    nets.push_back(BuildNet<Dtype>(
        &sources[i], TEST, param.test_state_size() > 0 ? &param.test_state(i) : nullptr));
    nets[i]->set_debug_info(param.debug_info());
    LoadWeights(param, nets[i].get());
    // At once, so that what is loaded into the net in training is tested from then on.
    nets[i]->ShareTrainedLayersWith(trained);
  }
  return nets;
}

#define INSTANTIATE_SOLVER_NETS(Dtype)                                          \
  template shared_ptr<Net<Dtype>> BuildTrainNet<Dtype>(const SolverParameter&); \
  template vector<shared_ptr<Net<Dtype>>> BuildTestNets(const SolverParameter&, \
                                                        const Net<Dtype>*)
INSTANTIATE_SOLVER_NETS(float);
INSTANTIATE_SOLVER_NETS(double);

}  // namespace caffe
