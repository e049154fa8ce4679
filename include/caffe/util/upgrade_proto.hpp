#ifndef CAFFE_UTIL_UPGRADE_PROTO_H_
#define CAFFE_UTIL_UPGRADE_PROTO_H_

#include <string>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

// Reading networks and solvers of every generation. After any of the Read functions
// or UpgradeNetAsNeeded, a net has only `layer`s (no `layers`, no `input`), and a
// CuDNNBatchNorm layer has its parameters in `cudnn_batch_norm_param`.

/// Read and upgrade a net. Throw FileError or ValueError naming file, line, layer.
void ReadNetParamsFromTextFileOrDie(const string& param_file, NetParameter* param);
void ReadNetParamsFromBinaryFileOrDie(const string& param_file, NetParameter* param);

/// Either, as the file's contents say. Names that are not UTF-8 are refused here too, so
/// that programs in any language can read what comes out.
void ReadNetParamsFromFileOrDie(const string& param_file, NetParameter* param);

/// Reads and upgrades a solver, its inline nets, and its snapshot prefix.
void ReadSolverParamsFromTextFileOrDie(const string& param_file, SolverParameter* param);

/// True if UpgradeNetAsNeeded would change the net.
bool NetNeedsUpgrade(const NetParameter& net_param);

/// Brings a net to the present format; `param_file` is for messages. False if parts of
/// an old net had no successor (each is logged). Upgrading twice changes nothing more.
bool UpgradeNetAsNeeded(const string& param_file, NetParameter* param);

// The single steps, in the order UpgradeNetAsNeeded takes them.

/// V0: `layers { layer { … } }`, of 2013.
bool NetNeedsV0ToV1Upgrade(const NetParameter& net_param);
bool UpgradeV0Net(const NetParameter& v0_net_param, NetParameter* net_param);
/// Turns V0's layers of type "padding" into the `pad` of the layers behind them.
void UpgradeV0PaddingLayers(const NetParameter& param, NetParameter* param_upgraded_pad);
bool UpgradeV0LayerParameter(const V1LayerParameter& v0_layer_connection,
                             V1LayerParameter* layer_param);
V1LayerParameter_LayerType UpgradeV0LayerType(const string& type);

/// Moves scale, mean_file, crop_size and mirror of V1 data layers to transform_param.
bool NetNeedsDataUpgrade(const NetParameter& net_param);
void UpgradeNetDataTransformation(NetParameter* net_param);

/// V1: `layers { type: CONVOLUTION … }`, of 2014.
bool NetNeedsV1ToV2Upgrade(const NetParameter& net_param);
bool UpgradeV1Net(const NetParameter& v1_net_param, NetParameter* net_param);
bool UpgradeV1LayerParameter(const V1LayerParameter& v1_layer_param,
                             LayerParameter* layer_param);
const char* UpgradeV1LayerType(const V1LayerParameter_LayerType type);

/// `input` and `input_dim` or `input_shape` become a layer of type Input.
bool NetNeedsInputUpgrade(const NetParameter& net_param);
void UpgradeNetInput(NetParameter* net_param);

/// BatchNorm layers with three `param`s: these blobs are statistics and get lr_mult 0.
bool NetNeedsBatchNormUpgrade(const NetParameter& net_param);
void UpgradeNetBatchNorm(NetParameter* net_param);

/// Gathers the parameters of CuDNNBatchNorm layers in cudnn_batch_norm_param, whichever
/// of the fields 139 and 200 and of their names they came by, and drops field 200 of
/// other layers, where it is another fork's field.
bool NetNeedsCuDNNBatchNormUpgrade(const NetParameter& net_param);
void UpgradeNetCuDNNBatchNorm(NetParameter* net_param);

/// Other forks' spellings of what is here: ceil_mode of a pooling becomes round_mode,
/// blobs that NVIDIA's Caffe stored become `data` and `diff`, and the numbers that forks
/// have in bn_param become ours.
bool NetNeedsForkUpgrade(const NetParameter& net_param);
void UpgradeNetForks(NetParameter* net_param);

/// solver_type (an enum) becomes type (a string).
bool SolverNeedsTypeUpgrade(const SolverParameter& solver_param);
bool UpgradeSolverType(SolverParameter* solver_param);
bool UpgradeSolverAsNeeded(const string& param_file, SolverParameter* param);

/// Without a snapshot_prefix: the solver's path without its ending. If that is a folder:
/// the solver's name in this folder.
void UpgradeSnapshotPrefixProperty(const string& param_file, SolverParameter* param);

}  // namespace caffe

#endif  // CAFFE_UTIL_UPGRADE_PROTO_H_
