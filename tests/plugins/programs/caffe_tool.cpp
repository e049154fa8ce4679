// Trains, scores and times nets: a command with its actions as functions in a map.

#include <gflags/gflags.h>
#include <glog/logging.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "boost/algorithm/string.hpp"
#include "boost/lexical_cast.hpp"
#include "caffe/caffe.hpp"
#include "caffe/util/signal_handler.h"

using caffe::Blob;
using caffe::Caffe;
using caffe::Layer;
using caffe::Net;
using caffe::shared_ptr;
using caffe::Solver;
using caffe::string;
using caffe::Timer;
using caffe::vector;
using std::ostringstream;

DEFINE_string(gpu, "", "Optional; devices, comma-separated, or 'all'.");
DEFINE_string(solver, "", "The solver prototxt.");
DEFINE_string(model, "", "The net prototxt.");
DEFINE_string(phase, "", "Optional; TRAIN or TEST.");
DEFINE_int32(level, 0, "Optional; the level of the net.");
DEFINE_string(stage, "", "Optional; stages, comma-separated.");
DEFINE_string(snapshot, "", "Optional; the solverstate to go on from.");
DEFINE_string(weights, "", "Optional; weights to start from, comma-separated.");
DEFINE_int32(iterations, 50, "How often to run.");
DEFINE_string(sigint_effect, "stop", "Optional; what SIGINT does.");
DEFINE_string(sighup_effect, "snapshot", "Optional; what SIGHUP does.");

typedef int (*Action)();
typedef std::map<caffe::string, Action> ActionMap;
ActionMap g_actions;

#define RegisterAction(func)                            \
  namespace {                                           \
  class __Registerer_##func {                           \
   public:                                              \
    __Registerer_##func() { g_actions[#func] = &func; } \
  };                                                    \
  __Registerer_##func g_registerer_##func;              \
  }

static Action GetAction(const caffe::string& name) {
  if (g_actions.count(name)) return g_actions[name];
  LOG(ERROR) << "Available actions:";
  for (ActionMap::reverse_iterator it = g_actions.rbegin(); it != g_actions.rend();
       ++it) {
    LOG(ERROR) << "\t" << it->first;
  }
  LOG(FATAL) << "Unknown action: " << name;
  return NULL;
}

static void GetDevices(vector<int>* gpus) {
  if (FLAGS_gpu.size() == 0) {
    CHECK_EQ(gpus->size(), 0);
    return;
  }
  vector<string> strings;
  boost::split(strings, FLAGS_gpu, boost::is_any_of(","));
  for (size_t i = 0; i < strings.size(); ++i) {
    gpus->push_back(boost::lexical_cast<int>(strings[i]));
  }
}

static vector<string> GetStages() {
  vector<string> stages;
  boost::split(stages, FLAGS_stage, boost::is_any_of(","));
  return stages;
}

static caffe::Phase GetPhase(caffe::Phase otherwise) {
  if (FLAGS_phase == "") return otherwise;
  if (FLAGS_phase == "TRAIN") return caffe::TRAIN;
  if (FLAGS_phase == "TEST") return caffe::TEST;
  LOG(FATAL) << "phase must be \"TRAIN\" or \"TEST\"";
  return caffe::TRAIN;
}

caffe::SolverAction::Enum GetRequestedAction(const std::string& name) {
  if (name == "stop") return caffe::SolverAction::STOP;
  if (name == "snapshot") return caffe::SolverAction::SNAPSHOT;
  if (name == "none") return caffe::SolverAction::NONE;
  LOG(FATAL) << "Invalid signal effect \"" << name << "\" was specified";
}

int device_query() {
  vector<int> gpus;
  GetDevices(&gpus);
  for (size_t i = 0; i < gpus.size(); ++i) {
    Caffe::SetDevice(gpus[i]);
    Caffe::DeviceQuery();
  }
  return 0;
}
RegisterAction(device_query);

int train() {
  CHECK_GT(FLAGS_solver.size(), 0) << "Need a solver definition to train.";
  CHECK(!FLAGS_snapshot.size() || !FLAGS_weights.size())
      << "Give a snapshot to resume training or weights to finetune but not both.";
  caffe::SolverParameter solver_param;
  caffe::ReadSolverParamsFromTextFileOrDie(FLAGS_solver, &solver_param);
  solver_param.mutable_train_state()->set_level(FLAGS_level);
  vector<string> stages = GetStages();
  for (size_t i = 0; i < stages.size(); ++i) {
    solver_param.mutable_train_state()->add_stage(stages[i]);
  }
  vector<int> gpus;
  GetDevices(&gpus);
  if (gpus.size() == 0) {
    LOG(INFO) << "Use CPU.";
    Caffe::set_mode(Caffe::CPU);
  } else {
    Caffe::SetDevice(gpus[0]);
    Caffe::set_mode(Caffe::GPU);
    Caffe::set_solver_count(gpus.size());
  }
  caffe::SignalHandler signal_handler(GetRequestedAction(FLAGS_sigint_effect),
                                      GetRequestedAction(FLAGS_sighup_effect));
  if (FLAGS_snapshot.size()) {
    solver_param.clear_weights();
  } else if (FLAGS_weights.size()) {
    solver_param.clear_weights();
    solver_param.add_weights(FLAGS_weights);
  }
  shared_ptr<caffe::Solver<float>> solver(
      caffe::SolverRegistry<float>::CreateSolver(solver_param));
  solver->SetActionFunction(signal_handler.GetActionFunction());
  if (FLAGS_snapshot.size()) {
    LOG(INFO) << "Resuming from " << FLAGS_snapshot;
    solver->Restore(FLAGS_snapshot.c_str());
  }
  LOG(INFO) << "Starting Optimization";
  solver->Solve();
  LOG(INFO) << "Optimization Done.";
  return 0;
}
RegisterAction(train);

int test() {
  CHECK_GT(FLAGS_model.size(), 0) << "Need a model definition to score.";
  CHECK_GT(FLAGS_weights.size(), 0) << "Need model weights to score.";
  vector<string> stages = GetStages();
  Net<float> caffe_net(FLAGS_model, caffe::TEST, FLAGS_level, &stages);
  caffe_net.CopyTrainedLayersFrom(FLAGS_weights);
  vector<int> test_score_output_id;
  vector<float> test_score;
  float loss = 0;
  for (int i = 0; i < FLAGS_iterations; ++i) {
    float iter_loss;
    const vector<Blob<float>*>& result = caffe_net.Forward(&iter_loss);
    loss += iter_loss;
    int idx = 0;
    for (size_t j = 0; j < result.size(); ++j) {
      const float* result_vec = result[j]->cpu_data();
      for (int k = 0; k < result[j]->count(); ++k, ++idx) {
        if (i == 0) {
          test_score.push_back(result_vec[k]);
          test_score_output_id.push_back(j);
        } else {
          test_score[idx] += result_vec[k];
        }
        const std::string& output_name =
            caffe_net.blob_names()[caffe_net.output_blob_indices()[j]];
        LOG(INFO) << "Batch " << i << ", " << output_name << " = " << result_vec[k];
      }
    }
  }
  LOG(INFO) << "Loss: " << loss / FLAGS_iterations;
  for (size_t i = 0; i < test_score.size(); ++i) {
    const int blob_index = caffe_net.output_blob_indices()[test_score_output_id[i]];
    const float loss_weight = caffe_net.blob_loss_weights()[blob_index];
    ostringstream loss_msg_stream;
    const float mean_score = test_score[i] / FLAGS_iterations;
    if (loss_weight) {
      loss_msg_stream << " (* " << loss_weight << " = " << loss_weight * mean_score
                      << " loss)";
    }
    LOG(INFO) << caffe_net.blob_names()[blob_index] << " = " << mean_score
              << loss_msg_stream.str();
  }
  return 0;
}
RegisterAction(test);

int time() {
  CHECK_GT(FLAGS_model.size(), 0) << "Need a model definition to time.";
  vector<string> stages = GetStages();
  Net<float> caffe_net(FLAGS_model, GetPhase(caffe::TRAIN), FLAGS_level, &stages);
  float initial_loss;
  caffe_net.Forward(&initial_loss);
  caffe_net.Backward();
  const vector<shared_ptr<Layer<float>>>& layers = caffe_net.layers();
  const vector<vector<Blob<float>*>>& bottom_vecs = caffe_net.bottom_vecs();
  const vector<vector<Blob<float>*>>& top_vecs = caffe_net.top_vecs();
  const vector<vector<bool>>& bottom_need_backward = caffe_net.bottom_need_backward();
  Timer total_timer;
  total_timer.Start();
  Timer timer;
  for (int j = 0; j < FLAGS_iterations; ++j) {
    for (size_t i = 0; i < layers.size(); ++i) {
      timer.Start();
      layers[i]->Forward(bottom_vecs[i], top_vecs[i]);
      LOG(INFO) << layers[i]->layer_param().name()
                << "\tforward: " << timer.MicroSeconds() / 1000 << " ms.";
    }
    for (int i = layers.size() - 1; i >= 0; --i) {
      timer.Start();
      layers[i]->Backward(top_vecs[i], bottom_need_backward[i], bottom_vecs[i]);
      LOG(INFO) << layers[i]->layer_param().name()
                << "\tbackward: " << timer.MicroSeconds() / 1000 << " ms.";
    }
  }
  total_timer.Stop();
  LOG(INFO) << "Total Time: " << total_timer.MilliSeconds() << " ms.";
  return 0;
}
RegisterAction(time);

int main(int argc, char** argv) {
  FLAGS_alsologtostderr = 1;
  gflags::SetVersionString(AS_STRING(CAFFE_VERSION));
  gflags::SetUsageMessage(
      "command line brew\n"
      "usage: caffe <command> <args>\n\n"
      "commands:\n"
      "  train           train or finetune a model\n"
      "  test            score a model\n"
      "  device_query    show GPU diagnostic information\n"
      "  time            benchmark model execution time");
  caffe::GlobalInit(&argc, &argv);
  if (argc == 2) return GetAction(caffe::string(argv[1]))();
  gflags::ShowUsageWithFlagsRestrict(argv[0], "caffe_tool");
  return 1;
}
