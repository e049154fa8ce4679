#include "caffe/util/upgrade_proto.hpp"

#include <climits>
#include <filesystem>

#include "caffe/util/input_file.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/proto_file.hpp"
#include "caffe/util/upgrade_steps.hpp"
#include "caffe/util/utf8.hpp"

namespace caffe {

bool NetNeedsUpgrade(const NetParameter& net_param) {
  return NetNeedsV0ToV1Upgrade(net_param) || NetNeedsV1ToV2Upgrade(net_param) ||
         NetNeedsDataUpgrade(net_param) || NetNeedsInputUpgrade(net_param) ||
         NetNeedsBatchNormUpgrade(net_param) ||
         NetNeedsCuDNNBatchNormUpgrade(net_param) || NetNeedsForkUpgrade(net_param);
}

bool UpgradeNetAsNeeded(const string& param_file, NetParameter* param) {
  bool complete = true;
  if (NetNeedsV0ToV1Upgrade(*param)) {
    LOG(INFO) << "Upgrading '" << param_file << "' from the V0 format";
    NetParameter old;
    old.Swap(param);
    complete &= UpgradeV0Net(old, param);
  }
  if (NetNeedsDataUpgrade(*param)) {
    LOG(INFO) << "Upgrading '" << param_file << "': image transformation parameters";
    UpgradeNetDataTransformation(param);
  }
  if (NetNeedsV1ToV2Upgrade(*param)) {
    LOG(INFO) << "Upgrading '" << param_file << "' from the V1 format";
    NetParameter old;
    old.Swap(param);
    complete &= UpgradeV1Net(old, param);
  }
  LOG_IF(ERROR, !complete) << "'" << param_file << "' has parts that could not be "
                           << "upgraded (see above); going on without them";
  if (NetNeedsInputUpgrade(*param)) {
    LOG(INFO) << "Upgrading '" << param_file << "': input fields to an Input layer";
    UpgradeNetInput(param);
  }
  if (NetNeedsBatchNormUpgrade(*param)) {
    LOG(INFO) << "Upgrading '" << param_file << "': parameters of BatchNorm layers";
    UpgradeNetBatchNorm(param);
  }
  UpgradeNetCuDNNBatchNorm(param);
  UpgradeNetForks(param);
  return complete;
}

bool NetNeedsInputUpgrade(const NetParameter& net_param) {
  return net_param.input_size() > 0;
}

void UpgradeNetInput(NetParameter* net_param) {
  const int inputs = net_param->input_size();
  const int shapes = net_param->input_shape_size();
  const int dims = net_param->input_dim_size();
  const string who = Str("net '", net_param->name(), "': ");
  if (shapes > 0 && dims > 0) {
    throw ValueError(who + "has both input_shape and input_dim; give one of them");
  }
  if (shapes > 0 && shapes != inputs) {
    throw ValueError(
        Str(who, shapes, " input_shape for ", inputs, " input, expected one for each"));
  }
  if (dims > 0 && dims != 4 * inputs) {
    throw ValueError(Str(who, dims, " input_dim for ", inputs,
                         " input, expected four for each: N, C, H, W"));
  }
  // Weight files may name inputs without shapes; there is nothing to make of them.
  if (shapes > 0 || dims > 0) {
    LayerParameter* layer = net_param->add_layer();
    layer->set_name("input");
    layer->set_type("Input");
    for (int i = 0; i < inputs; ++i) {
      layer->add_top(net_param->input(i));
      BlobShape* shape = layer->mutable_input_param()->add_shape();
      if (shapes > 0) {
        *shape = net_param->input_shape(i);
      } else {
        for (int j = 4 * i; j < 4 * i + 4; ++j) shape->add_dim(net_param->input_dim(j));
      }
    }
    for (int i = net_param->layer_size() - 1; i > 0; --i) {
      net_param->mutable_layer()->SwapElements(i - 1, i);
    }
  }
  net_param->clear_input();
  net_param->clear_input_shape();
  net_param->clear_input_dim();
}

void ReadNetParamsFromTextFileOrDie(const string& param_file, NetParameter* param) {
  ReadProtoFromTextFileOrDie(param_file, param);
  WarnOfIgnoredTransformations(*param);
  UpgradeNetAsNeeded(param_file, param);
}

bool ReadStoredNet(const string& param_file, NetParameter* param) {
  const string problem = BinaryFileProblem(param_file, param);
  if (problem.empty() && !HasForeignNumbers(*param)) return false;
  // Another fork's field need not parse as ours of the same number.
  InputFile file(param_file);
  string bytes = file.ReadAll(INT_MAX);
  NetParameter renumbered;
  if (RenumberForeignFields(&bytes) && renumbered.ParseFromString(bytes)) {
    param->Swap(&renumbered);
    return true;
  }
  if (!problem.empty()) throw FileError(problem);
  return false;
}

void ReadNetParamsFromBinaryFileOrDie(const string& param_file, NetParameter* param) {
  ReadStoredNet(param_file, param);
  UpgradeNetAsNeeded(param_file, param);
}

void ReadNetParamsFromFileOrDie(const string& param_file, NetParameter* param) {
  const string head = InputFile(param_file).Head();
  const Contents found = GuessContents(head);
  if (LooksLikeText(head) || found == Contents::kEmpty || found == Contents::kUnknown) {
    ReadNetParamsFromTextFileOrDie(param_file, param);
    return;
  }
  ReadNetParamsFromBinaryFileOrDie(param_file, param);
  const string problem = Utf8Problem(*param, param_file);
  if (!problem.empty()) throw ValueError(problem);
}

bool SolverNeedsTypeUpgrade(const SolverParameter& solver_param) {
  return solver_param.has_solver_type();
}

bool UpgradeSolverType(SolverParameter* solver_param) {
  if (!solver_param->has_solver_type()) return true;
  if (solver_param->has_type()) {
    throw ValueError(
        "solver: has both solver_type (the old enum) and type (a string); give one of "
        "them");
  }
  // In the order of SolverParameter::SolverType.
  static const char* const kTypes[] = {"SGD",     "Nesterov", "AdaGrad",
                                       "RMSProp", "AdaDelta", "Adam"};
  solver_param->set_type(kTypes[solver_param->solver_type()]);
  solver_param->clear_solver_type();
  return true;
}

bool UpgradeSolverAsNeeded(const string& param_file, SolverParameter* param) {
  if (SolverNeedsTypeUpgrade(*param)) {
    LOG(INFO) << "Upgrading '" << param_file << "': solver_type to type";
    UpgradeSolverType(param);
  }
  bool complete = true;
  if (param->has_net_param()) {
    complete &= UpgradeNetAsNeeded(param_file, param->mutable_net_param());
  }
  if (param->has_train_net_param()) {
    complete &= UpgradeNetAsNeeded(param_file, param->mutable_train_net_param());
  }
  for (NetParameter& net : *param->mutable_test_net_param()) {
    complete &= UpgradeNetAsNeeded(param_file, &net);
  }
  return complete;
}

void UpgradeSnapshotPrefixProperty(const string& param_file, SolverParameter* param) {
  using std::filesystem::path;
  std::error_code ignored;
  const string& prefix = param->snapshot_prefix();
  if (!param->has_snapshot_prefix()) {
    param->set_snapshot_prefix(path(param_file).replace_extension().string());
    LOG(INFO) << "snapshot_prefix was not given and is '" << param->snapshot_prefix()
              << "'";
  } else if (prefix.ends_with('/') || std::filesystem::is_directory(prefix, ignored)) {
    param->set_snapshot_prefix((path(prefix) / path(param_file).stem()).string());
    LOG(INFO) << "snapshot_prefix is a folder; snapshots start with '"
              << param->snapshot_prefix() << "'";
  }
}

void ReadSolverParamsFromTextFileOrDie(const string& param_file, SolverParameter* param) {
  ReadProtoFromTextFileOrDie(param_file, param);
  UpgradeSolverAsNeeded(param_file, param);
  UpgradeSnapshotPrefixProperty(param_file, param);
}

}  // namespace caffe
