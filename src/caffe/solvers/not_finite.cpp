#include "caffe/solvers/not_finite.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "caffe/util/layer_name.hpp"

namespace caffe {
namespace {

constexpr char kCure[] =
    " with a smaller base_lr, or with clip_gradients (caffe train -on_nan continue, or "
    "on_nan: CONTINUE in the solver, ";

/// "3 of 64 values", or nothing if all are finite.
template <typename Dtype>
std::string Bad(const Blob<Dtype>& blob) {
  if (blob.count() == 0) return "";
  const Dtype* values = blob.cpu_data();
  const auto bad = std::count_if(values, values + blob.count(),
                                 [](Dtype value) { return !std::isfinite(value); });
  if (bad == 0) return "";
  return Str(bad, " of ", blob.count(), blob.count() == 1 ? " value" : " values");
}

/// "parameter 0: 3 of 9408 values" of the first that is not finite.
template <typename Dtype>
std::string BadParameter(Layer<Dtype>* layer) {
  for (size_t i = 0; i < layer->blobs().size(); ++i) {
    const std::string bad = Bad(*layer->blobs()[i]);
    if (!bad.empty()) return Str("parameter ", i, ": ", bad);
  }
  return "";
}

template <typename Dtype>
class OutputProbe final : public Net<Dtype>::Callback {
 public:
  explicit OutputProbe(const Net<Dtype>& net) : net_(net) {}
  // Reads tops as soon as they are written, before a net without its blobs frees them.
  bool reads_blobs() const override { return false; }
  void run(int layer) override {
    if (!found_.empty()) return;
    for (size_t top = 0; top < net_.top_vecs()[layer].size(); ++top) {
      const std::string bad = Bad(*net_.top_vecs()[layer][top]);
      if (bad.empty()) continue;
      found_ = Str(NameOf(net_.layers()[layer]->layer_param()),
                   " is the first whose output is not finite: ", bad, " of '",
                   net_.blob_names()[net_.top_ids(layer)[top]], "'");
      const std::string parameter = BadParameter(net_.layers()[layer].get());
      if (!parameter.empty()) found_ += Str("; so is its ", parameter);
      return;
    }
  }
  const std::string& found() const { return found_; }

 private:
  const Net<Dtype>& net_;
  std::string found_;
};

/// The first layer that can run again. Those before it made the batch: they have no
/// bottoms, or work in place on such tops, and would change them once more.
template <typename Dtype>
int FirstToRun(const Net<Dtype>& net) {
  std::set<int> batch;
  const int layers = static_cast<int>(net.layers().size());
  for (int layer = 0; layer < layers; ++layer) {
    const auto& bottoms = net.bottom_ids(layer);
    const auto& tops = net.top_ids(layer);
    const auto in_place = [&](int top) {
      return std::count(bottoms.begin(), bottoms.end(), top) > 0 && batch.count(top);
    };
    if (!bottoms.empty() && !std::all_of(tops.begin(), tops.end(), in_place)) {
      return layer;
    }
    batch.insert(tops.begin(), tops.end());
  }
  return layers;
}

}  // namespace

template <typename Dtype>
std::string FirstNotFinite(Net<Dtype>* net, const rng_t& stream) {
  OutputProbe<Dtype> probe(*net);
  const int first = FirstToRun(*net);
  for (int layer = 0; layer < first; ++layer) probe.run(layer);
  if (first == static_cast<int>(net->layers().size()) || !probe.found().empty()) {
    return probe.found();
  }
  const rng_t now = *caffe_rng();
  *caffe_rng() = stream;
  net->add_after_forward(&probe);
  try {
    net->ForwardFrom(first);
  } catch (const Error&) {
    // It has run before; what was found until here counts.
  }
  net->remove_after_forward(&probe);
  *caffe_rng() = now;
  return probe.found();
}

template <typename Dtype>
std::string FirstParameterNotFinite(const Net<Dtype>& net) {
  for (const auto& layer : net.layers()) {
    const std::string bad = BadParameter(layer.get());
    if (!bad.empty()) return Str(NameOf(layer->layer_param()), ", ", bad);
  }
  return "";
}

void StopAtLoss(const SolverParameter& param, int iter, double loss, std::string cause,
                const std::string& last_good) {
  if (cause.empty()) {
    cause =
        "all outputs of that batch are finite when computed again: their sum with the "
        "loss weights is not, or a layer does not compute the same twice";
  }
  const std::string message = Str("iteration ", iter, ": the loss is ", loss,
                                  ", expected a finite number; ", cause);
  if (param.on_nan() == SolverParameter::STOP) {
    throw RuntimeFailure(
        Str("solver: ", message, "; ", last_good, kCure, "trains on regardless)"));
  }
  LOG_IF(WARNING, Caffe::root_solver())
      << message << "; training goes on, a smaller base_lr or clip_gradients may help";
}

template <typename Dtype>
void StopAtWeights(const SolverParameter& param, int iter, const Net<Dtype>& net,
                   const std::string& last_good) {
  if (param.on_nan() != SolverParameter::STOP) return;
  const std::string bad = FirstParameterNotFinite(net);
  if (bad.empty()) return;
  throw RuntimeFailure(Str("solver: the weights after iteration ", iter,
                           " are not saved: ", bad, " are not finite; ", last_good, kCure,
                           "saves them)"));
}

#define INSTANTIATE_NOT_FINITE(Dtype)                                                \
  template std::string FirstNotFinite<Dtype>(Net<Dtype>*, const rng_t&);             \
  template std::string FirstParameterNotFinite<Dtype>(const Net<Dtype>&);            \
  template void StopAtWeights<Dtype>(const SolverParameter&, int, const Net<Dtype>&, \
                                     const std::string&)
INSTANTIATE_NOT_FINITE(float);
INSTANTIATE_NOT_FINITE(double);

}  // namespace caffe
