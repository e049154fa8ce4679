#ifndef CAFFE_TESTS_SOLVERS_SOLVER_FIXTURE_HPP_
#define CAFFE_TESTS_SOLVERS_SOLVER_FIXTURE_HPP_

#include <google/protobuf/text_format.h>
#include <sys/resource.h>

#include <csignal>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "caffe/layer.hpp"
#include "caffe/resumable.hpp"
#include "caffe/sgd_solvers.hpp"
#include "caffe/util/math_functions.hpp"
#include "fill.hpp"
#include "util/temporary_folder.hpp"

namespace caffe {
namespace test {

/// A net in one layer, with gradients that a test can compute for itself.
///
/// Its parameters have the shapes of dummy_data_param. Step s (the s-th Forward since
/// the start, from 0) has loss `shift + s`, NaN at step `power`, and in backward adds
/// ScriptedGradient(shift, s, p, i) * scale to element i of parameter p, where shift,
/// scale and power are those of power_param. With dropout_param a draw of the normal
/// distribution times dropout_ratio is added. The optional second top is the sum of
/// the first parameter. The step counts as data position: it is state that blobs do
/// not hold.
template <typename Dtype>
class ScriptedLossLayer : public Layer<Dtype>, public Resumable {
 public:
  explicit ScriptedLossLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  const char* type() const override { return "ScriptedLoss"; }
  int ExactNumBottomBlobs() const override { return 0; }
  int MinTopBlobs() const override { return 1; }
  int MaxTopBlobs() const override { return 2; }

  void LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) override;
  void Reshape(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>& top) override {
    for (Blob<Dtype>* blob : top) blob->Reshape(vector<int>());
  }
  bool SaveState(LayerState* state) const override {
    state->set_position(step_);
    return true;
  }
  void RestoreState(const LayerState& state) override { step_ = state.position(); }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>&, const vector<bool>&,
                    const vector<Blob<Dtype>*>&) override;

 private:
  std::uint64_t step_ = 0;
};

inline double ScriptedWeight(int script, int param, int i) {
  return Uniform(1000 * script + param, i);
}

inline double ScriptedGradient(int script, int step, int param, int i) {
  return Uniform(1000000 + 1000 * script + 10 * step + param, i);
}

/// A solver from the text of its prototxt, where later values replace earlier ones.
inline SolverParameter SolverFromText(const std::string& text) {
  SolverParameter param;
  if (!google::protobuf::TextFormat::MergeFromString(text, &param)) {
    throw ValueError("a test has a wrong solver text: " + text);
  }
  return param;
}

template <typename Dtype>
std::unique_ptr<Solver<Dtype>> NewSolver(const SolverParameter& param) {
  return std::unique_ptr<Solver<Dtype>>(SolverRegistry<Dtype>::CreateSolver(param));
}

template <typename Dtype>
std::unique_ptr<Solver<Dtype>> NewSolver(const std::string& text) {
  return NewSolver<Dtype>(SolverFromText(text));
}

/// All parameters of the train net, one after the other.
template <typename Dtype>
std::vector<Dtype> Weights(Solver<Dtype>* solver) {
  std::vector<Dtype> values;
  for (const Blob<Dtype>* blob : solver->net()->learnable_params()) {
    values.insert(values.end(), blob->cpu_data(), blob->cpu_data() + blob->count());
  }
  return values;
}

template <typename Dtype>
std::vector<Dtype> History(Solver<Dtype>* solver) {
  std::vector<Dtype> values;
  for (const auto& blob : dynamic_cast<SGDSolver<Dtype>*>(solver)->history()) {
    values.insert(values.end(), blob->cpu_data(), blob->cpu_data() + blob->count());
  }
  return values;
}

/// Collects the log lines, without glog's prefix, while it lives.
class LogCapture {
 public:
  LogCapture() { logging::SetSink(&LogCapture::Take, this); }
  ~LogCapture() { logging::SetSink(nullptr, nullptr); }
  LogCapture(const LogCapture&) = delete;

  const std::vector<std::string>& lines() const { return lines_; }
  /// Lines with their prefix: "I1122 10:11:12.345678 4242 solver.cpp:218] ...".
  const std::vector<std::string>& raw() const { return raw_; }
  bool Has(const std::string& line) const { return Count(line) > 0; }
  int Count(const std::string& line) const {
    int count = 0;
    for (const std::string& other : lines_) count += other == line;
    return count;
  }
  /// The first line that contains `part`, else "".
  std::string Find(const std::string& part) const {
    for (const std::string& line : lines_) {
      if (line.find(part) != std::string::npos) return line;
    }
    return "";
  }

 private:
  static void Take(google::LogSeverity, const char* line, void* context) {
    auto* self = static_cast<LogCapture*>(context);
    self->raw_.push_back(line);
    const std::string text(line);
    const std::size_t end = text.find("] ");
    self->lines_.push_back(end == std::string::npos ? text : text.substr(end + 2));
  }
  std::vector<std::string> lines_, raw_;
};

/// Makes every file of this process end at `bytes`, as a full disk would.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit = {bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;

 private:
  rlimit old_{};
  void (*handler_)(int);
};

template <typename Dtype>
void ScriptedLossLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&,
                                          const vector<Blob<Dtype>*>&) {
  const auto& param = this->layer_param_;
  for (int p = 0; p < param.dummy_data_param().shape_size(); ++p) {
    auto blob = std::make_shared<Blob<Dtype>>();
    blob->Reshape(param.dummy_data_param().shape(p));
    Dtype* data = blob->mutable_cpu_data();
    for (int i = 0; i < blob->count(); ++i) {
      data[i] = ScriptedWeight(param.power_param().shift(), p, i);
    }
    this->blobs_.push_back(blob);
  }
  this->param_propagate_down_.assign(this->blobs_.size(), true);
  this->set_loss(0, 1);
}

template <typename Dtype>
void ScriptedLossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>&,
                                           const vector<Blob<Dtype>*>& top) {
  const PowerParameter& script = this->layer_param_.power_param();
  const bool bad = script.has_power() && static_cast<int>(step_) == script.power();
  top[0]->mutable_cpu_data()[0] =
      bad ? std::numeric_limits<Dtype>::quiet_NaN() : Dtype(script.shift() + step_);
  top[0]->mutable_cpu_diff()[0] = 1;
  if (top.size() > 1) {
    Dtype sum = 0;
    for (int i = 0; i < this->blobs_[0]->count(); ++i)
      sum += this->blobs_[0]->cpu_data()[i];
    top[1]->mutable_cpu_data()[0] = sum;
  }
  ++step_;
}

template <typename Dtype>
void ScriptedLossLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>&,
                                            const vector<bool>&,
                                            const vector<Blob<Dtype>*>&) {
  const auto& param = this->layer_param_;
  for (int p = 0; p < static_cast<int>(this->blobs_.size()); ++p) {
    if (!this->param_propagate_down(p)) continue;
    const int count = this->blobs_[p]->count();
    std::vector<Dtype> noise(count);
    if (param.has_dropout_param()) {
      caffe_rng_gaussian<Dtype>(count, 0, param.dropout_param().dropout_ratio(),
                                noise.data());
    }
    Dtype* diff = this->blobs_[p]->mutable_cpu_diff();
    for (int i = 0; i < count; ++i) {
      const double g = ScriptedGradient(param.power_param().shift(), step_ - 1, p, i);
      diff[i] += static_cast<Dtype>(g * param.power_param().scale()) + noise[i];
    }
  }
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_SOLVERS_SOLVER_FIXTURE_HPP_
