// Convolution by cuDNN: one call for all images and groups.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "caffe/device.hpp"
#include "caffe/gpu/channels.hpp"
#include "caffe/gpu/convolution/engines.hpp"
#include "caffe/gpu/cudnn_descriptors.hpp"
#include "caffe/gpu/workspace.hpp"

namespace caffe {
namespace {

using cudnn::dataType;

std::atomic<std::int64_t> search_count{0};

// What the environment says about the choice of algorithms.
struct Switches {
  std::size_t workspace_bytes;
  bool deterministic;

  static Switches Read() {
    Switches switches = {std::size_t{1024} << 20, false};
    if (const char* text = std::getenv("CAFFE_CUDNN_WORKSPACE_MB"); text && *text) {
      char* end = nullptr;
      const double megabytes = std::strtod(text, &end);
      if (*end || !(megabytes >= 0) || !std::isfinite(megabytes)) {
        throw ValueError(Str("CAFFE_CUDNN_WORKSPACE_MB is '", text,
                             "', expected megabytes, at least 0"));
      }
      switches.workspace_bytes = static_cast<std::size_t>(megabytes * (1 << 20));
    }
    if (const char* text = std::getenv("CAFFE_DETERMINISTIC"); text && *text) {
      const std::string value = text;
      if (value != "0" && value != "1") {
        throw ValueError(Str("CAFFE_DETERMINISTIC is '", text, "', expected 0 or 1"));
      }
      switches.deterministic = value == "1";
    }
    return switches;
  }
};

// Means that cuDNN has no such kernel, and has not started anything; another algorithm
// may do. All else is a fault.
bool Declines(cudnnStatus_t status) {
  const int category = static_cast<int>(status) / 1000 * 1000;
  constexpr int kInternalError = 4000;  // a kernel could not be made at run time
  return category == CUDNN_STATUS_NOT_SUPPORTED || category == CUDNN_STATUS_BAD_PARAM ||
         category == kInternalError;
}

// The problem as cuDNN is told of it, in one format.
struct Descriptors {
  Descriptors(const ConvolutionProblem& p, cudnnDataType_t type,
              cudnnDataType_t compute_type, DeviceLayout layout)
      : src(cudnn::MakeTensor(type, layout, Padded(p.src, 2, 1))),
        dst(cudnn::MakeTensor(type, layout, Padded(p.dst, 2, 1))),
        bias(cudnn::MakeTensor(type, layout, Padded({1, p.dst_channels()}, 2, 1))),
        weights(cudnn::MakeFilter(type, layout, Padded(p.WeightsShape(), 2, 1))),
        window(
            cudnn::Make<cudnn::ConvolutionDescriptor>(cudnnCreateConvolutionDescriptor)),
        identity(
            cudnn::Make<cudnn::ActivationDescriptor>(cudnnCreateActivationDescriptor)) {
    const std::vector<int> pad = Padded(p.pad, 0, 0), stride = Padded(p.stride, 0, 1);
    const std::vector<int> dilation = Padded(p.dilation, 0, 1);
    CUDNN_CHECK(cudnnSetConvolutionNdDescriptor(
        window.get(), static_cast<int>(pad.size()), pad.data(), stride.data(),
        dilation.data(), CUDNN_CROSS_CORRELATION, compute_type));
    CUDNN_CHECK(cudnnSetConvolutionGroupCount(window.get(), p.group));
    CUDNN_CHECK(cudnnSetConvolutionMathType(window.get(), MathOf(type, p.precision)));
    CUDNN_CHECK(cudnnSetActivationDescriptor(identity.get(), CUDNN_ACTIVATION_IDENTITY,
                                             CUDNN_NOT_PROPAGATE_NAN, 0));
  }

  // By default products may be of float32 rounded to TF32.
  static cudnnMathType_t MathOf(cudnnDataType_t type, NetParameter::Precision precision) {
    if (type == CUDNN_DATA_FLOAT && precision != NetParameter::TF32) {
      return CUDNN_FMA_MATH;
    }
    const bool own = type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_DOUBLE;
    return own ? CUDNN_DEFAULT_MATH : CUDNN_TENSOR_OP_MATH;
  }

  // cuDNN knows two spatial axes and more: those that are missing have length 1 and come
  // first.
  static std::vector<int> Padded(std::vector<int> values, std::size_t first, int value) {
    if (values.size() < first + 2) {
      values.insert(values.begin() + first, first + 2 - values.size(), value);
    }
    return values;
  }

  cudnn::TensorDescriptor src, dst, bias;
  cudnn::FilterDescriptor weights;
  cudnn::ConvolutionDescriptor window;
  cudnn::ActivationDescriptor identity;
};

// The three passes: what cuDNN calls their algorithms, and asks about them.

enum PassIndex { kForward, kBackwardData, kBackwardWeights, kPasses };
constexpr const char* kPassNames[] = {"forward", "backward data", "backward weights"};

struct ForwardPass {
  static constexpr PassIndex kIndex = kForward;
  static constexpr int kMostAlgorithms = 2 * CUDNN_CONVOLUTION_FWD_ALGO_COUNT;
  using Algorithm = cudnnConvolutionFwdAlgo_t;
  using Performance = cudnnConvolutionFwdAlgoPerf_t;
  static cudnnStatus_t List(const Descriptors& d, int* count, Performance* list) {
    return cudnnGetConvolutionForwardAlgorithm_v7(
        Caffe::cudnn_handle(), d.src.get(), d.weights.get(), d.window.get(), d.dst.get(),
        kMostAlgorithms, count, list);
  }
  static cudnnStatus_t WorkspaceSize(const Descriptors& d, Algorithm algorithm,
                                     std::size_t* bytes) {
    return cudnnGetConvolutionForwardWorkspaceSize(Caffe::cudnn_handle(), d.src.get(),
                                                   d.weights.get(), d.window.get(),
                                                   d.dst.get(), algorithm, bytes);
  }
};

struct BackwardDataPass {
  static constexpr PassIndex kIndex = kBackwardData;
  static constexpr int kMostAlgorithms = 2 * CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT;
  using Algorithm = cudnnConvolutionBwdDataAlgo_t;
  using Performance = cudnnConvolutionBwdDataAlgoPerf_t;
  static cudnnStatus_t List(const Descriptors& d, int* count, Performance* list) {
    return cudnnGetConvolutionBackwardDataAlgorithm_v7(
        Caffe::cudnn_handle(), d.weights.get(), d.dst.get(), d.window.get(), d.src.get(),
        kMostAlgorithms, count, list);
  }
  static cudnnStatus_t WorkspaceSize(const Descriptors& d, Algorithm algorithm,
                                     std::size_t* bytes) {
    return cudnnGetConvolutionBackwardDataWorkspaceSize(
        Caffe::cudnn_handle(), d.weights.get(), d.dst.get(), d.window.get(), d.src.get(),
        algorithm, bytes);
  }
};

struct BackwardWeightsPass {
  static constexpr PassIndex kIndex = kBackwardWeights;
  static constexpr int kMostAlgorithms = 2 * CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT;
  using Algorithm = cudnnConvolutionBwdFilterAlgo_t;
  using Performance = cudnnConvolutionBwdFilterAlgoPerf_t;
  static cudnnStatus_t List(const Descriptors& d, int* count, Performance* list) {
    return cudnnGetConvolutionBackwardFilterAlgorithm_v7(
        Caffe::cudnn_handle(), d.src.get(), d.dst.get(), d.window.get(), d.weights.get(),
        kMostAlgorithms, count, list);
  }
  static cudnnStatus_t WorkspaceSize(const Descriptors& d, Algorithm algorithm,
                                     std::size_t* bytes) {
    return cudnnGetConvolutionBackwardFilterWorkspaceSize(
        Caffe::cudnn_handle(), d.src.get(), d.dst.get(), d.window.get(), d.weights.get(),
        algorithm, bytes);
  }
};

// Which algorithm a pass takes; without one, no algorithm of cuDNN does it.
struct Verdict {
  std::optional<int> algorithm;
  std::size_t workspace_bytes = 0;
};

// The verdicts of this process by what they depend on: layers of equal shapes, in all
// nets and threads, share one search.
class Verdicts {
 public:
  std::optional<Verdict> Find(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto found = verdicts_.find(key);
    if (found == verdicts_.end()) return std::nullopt;
    return found->second;
  }
  void Set(const std::string& key, const Verdict& verdict) {
    const std::lock_guard lock(mutex_);
    verdicts_[key] = verdict;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Verdict> verdicts_;
};

Verdicts& AllVerdicts() {
  static Verdicts verdicts;
  return verdicts;
}

template <typename T>
class CudnnConvolution : public DeviceConvolution<T> {
 public:
  explicit CudnnConvolution(const ConvolutionProblem& problem)
      : problem_(problem), switches_(Switches::Read()) {}

  using DeviceConvolution<T>::Forward;
  void Forward(DeviceTensor<T> src, DeviceTensor<T> weights, const T* bias,
               DeviceTensor<T> dst, const Blob<T>* addend) override {
    const auto run = [&](DeviceFormat format, const Descriptors& d) {
      const void* x = src.ReadAs(format);
      const void* w = weights.ReadAs(format);
      const void* z = problem_.addend ? DeviceDataOf(addend).ReadAs(format) : nullptr;
      void* y = dst.WriteAs(format);
      return [=, this, &d](cudnnConvolutionFwdAlgo_t algorithm, void* workspace,
                           std::size_t bytes) {
        // cuDNN would have the bias rounded as well.
        if (format.type == DeviceType::kOwn &&
            RunFused(d, algorithm, workspace, bytes, x, w, bias, z, y)) {
          return CUDNN_STATUS_SUCCESS;
        }
        const cudnnStatus_t status =
            cudnnConvolutionForward(Caffe::cudnn_handle(), dataType<T>::one, d.src.get(),
                                    x, d.weights.get(), w, d.window.get(), algorithm,
                                    workspace, bytes, dataType<T>::zero, d.dst.get(), y);
        if (status == CUDNN_STATUS_SUCCESS) {
          FinishChannels<T>(format, DstShape(), bias, z, problem_.relu, y);
        }
        return status;
      };
    };
    if (Run<ForwardPass>(src.layout(), run)) return;
    Reference().Forward(src, weights, bias, dst, addend);
  }

  void BackwardData(DeviceTensor<T> diff_dst, DeviceTensor<T> weights,
                    DeviceTensor<T> diff_src) override {
    const auto run = [&](DeviceFormat format, const Descriptors& d) {
      const void* dy = diff_dst.ReadAs(format);
      const void* w = weights.ReadAs(format);
      void* dx = diff_src.WriteAs(format);
      return [=, &d](cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace,
                     std::size_t bytes) {
        return cudnnConvolutionBackwardData(Caffe::cudnn_handle(), dataType<T>::one,
                                            d.weights.get(), w, d.dst.get(), dy,
                                            d.window.get(), algorithm, workspace, bytes,
                                            dataType<T>::zero, d.src.get(), dx);
      };
    };
    if (Run<BackwardDataPass>(diff_dst.layout(), run)) return;
    Reference().BackwardData(diff_dst, weights, diff_src);
  }

  void BackwardWeights(DeviceTensor<T> src, DeviceTensor<T> diff_dst,
                       T* diff_weights) override {
    const auto run = [&](DeviceFormat format, const Descriptors& d) {
      const void* x = src.ReadAs(format);
      const void* dy = diff_dst.ReadAs(format);
      return [=, this, &d](cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace,
                           std::size_t bytes) {
        const auto call = [&](const void* beta, void* dw, void* scratch) {
          return cudnnConvolutionBackwardFilter(
              Caffe::cudnn_handle(), dataType<T>::one, d.src.get(), x, d.dst.get(), dy,
              d.window.get(), algorithm, scratch, bytes, beta, d.weights.get(), dw);
        };
        if (WeightsArePlain(format)) {
          return call(dataType<T>::one, diff_weights, workspace);
        }
        const cudnnStatus_t status =
            call(dataType<T>::zero, workspace,
                 static_cast<char*>(workspace) + WeightsBytes(format));
        if (status == CUDNN_STATUS_SUCCESS) {
          AddToPlain(WeightsShape(), format.type, workspace, diff_weights);
        }
        return status;
      };
    };
    const DeviceLayout layout = CommonLayout<T>({src, diff_dst});
    if (Run<BackwardWeightsPass>(layout, run)) return;
    Reference().BackwardWeights(src, diff_dst, diff_weights);
  }

  std::string name() const override {
    std::string text = "cudnn";
    for (int format = 0; format < kFormats; ++format) {
      for (int pass = 0; pass < kPasses; ++pass) {
        const std::optional<State>& state = states_[pass][format];
        if (!state) continue;
        const std::optional<int>& algorithm = state->verdict.algorithm;
        text += Str(", ", kPassNames[pass], kFormatNames[format],
                    algorithm ? Str(*algorithm) : std::string("none"));
      }
    }
    return text;
  }

 private:
  // The formats that cuDNN is asked for, by Index().
  static constexpr int kFormats = 3;
  static constexpr const char* kFormatNames[] = {" ", " channels last ", " 16 bits "};
  static int Index(DeviceFormat format) {
    if (format.layout == DeviceLayout::kPlain) return 0;
    return format.type == DeviceType::kOwn ? 1 : 2;
  }
  static cudnnDataType_t TypeOf(DeviceFormat format) {
    if (format.type == DeviceType::kBFloat16) return CUDNN_DATA_BFLOAT16;
    if (format.type == DeviceType::kFloat16) return CUDNN_DATA_HALF;
    return dataType<T>::type;
  }

  struct State {
    int device;
    Verdict verdict;
  };

  // Runs a pass in the precision that is asked for, else in the layout that is wanted,
  // else in the plain one; false if cuDNN has no algorithm for any. prepare(format,
  // descriptors) gives what runs one, which returns cuDNN's status.
  template <typename Pass, typename Prepare>
  bool Run(DeviceLayout wanted, const Prepare& prepare) {
    const DeviceFormat plain;
    if (!problem_.batch_is_axis0) return RunIn<Pass>(plain, prepare);
    const DeviceType type = ActivationType<T>(problem_.precision);
    return (type != DeviceType::kOwn &&
            RunIn<Pass>({DeviceLayout::kChannelsLast, type}, prepare)) ||
           (wanted != DeviceLayout::kPlain && RunIn<Pass>({wanted}, prepare)) ||
           RunIn<Pass>(plain, prepare);
  }

  template <typename Pass, typename Prepare>
  bool RunIn(DeviceFormat format, const Prepare& prepare) {
    std::optional<State>& state = states_[Pass::kIndex][Index(format)];
    if (!state || state->device != device::Selected()) {
      const auto shared = AllVerdicts().Find(Key(Pass::kIndex, format));
      if (!shared) return Search<Pass>(format, prepare);
      state = State{device::Selected(), *shared};
    }
    const Verdict& verdict = state->verdict;
    if (!verdict.algorithm) return false;
    const cudnnStatus_t status = Call<Pass>(format, prepare(format, In(format)),
                                            *verdict.algorithm, verdict.workspace_bytes);
    // Another layer's arrays may be aligned otherwise, and memory have become scarce.
    if (Declines(status)) return Search<Pass>(format, prepare);
    CUDNN_CHECK(status);
    return true;
  }

  // Runs the pass by the first algorithm that cuDNN recommends, the switches allow, and
  // that in fact runs.
  template <typename Pass, typename Prepare>
  bool Search(DeviceFormat format, const Prepare& prepare) {
    ++search_count;
    const Descriptors& descriptors = In(format);
    typename Pass::Performance list[Pass::kMostAlgorithms];
    int count = 0;
    const cudnnStatus_t listed = Pass::List(descriptors, &count, list);
    if (!Declines(listed)) CUDNN_CHECK(listed);
    const auto run = prepare(format, descriptors);
    for (int i = 0; i < count; ++i) {
      const auto algorithm = list[i].algo;
      // One algorithm may be listed again, with another kind of product.
      const bool again = std::any_of(
          list, list + i, [=](const auto& other) { return other.algo == algorithm; });
      if (list[i].status != CUDNN_STATUS_SUCCESS || again) continue;
      if (switches_.deterministic && list[i].determinism != CUDNN_DETERMINISTIC) continue;
      std::size_t bytes = 0;
      if (Pass::WorkspaceSize(descriptors, algorithm, &bytes) != CUDNN_STATUS_SUCCESS ||
          bytes > switches_.workspace_bytes) {
        continue;
      }
      const cudnnStatus_t status = Call<Pass>(format, run, algorithm, bytes);
      if (Declines(status)) continue;
      CUDNN_CHECK(status);
      Settle(Pass::kIndex, format, {static_cast<int>(algorithm), bytes});
      return true;
    }
    VLOG(1) << "cuDNN has no algorithm for " << kPassNames[Pass::kIndex] << " of "
            << problem_.Text();
    Settle(Pass::kIndex, format, {});
    return false;
  }

  template <typename Pass, typename Attempt>
  cudnnStatus_t Call(DeviceFormat format, const Attempt& run, int algorithm,
                     std::size_t bytes) {
    const bool own_weights =
        std::is_same_v<Pass, BackwardWeightsPass> && !WeightsArePlain(format);
    void* workspace = nullptr;
    try {
      workspace = Workspace(bytes + (own_weights ? WeightsBytes(format) : 0));
    } catch (const Error& error) {
      VLOG(1) << error.what();
      return CUDNN_STATUS_NOT_SUPPORTED;  // others need less
    }
    return run(static_cast<typename Pass::Algorithm>(algorithm), workspace, bytes);
  }

  void Settle(PassIndex pass, DeviceFormat format, const Verdict& verdict) {
    states_[pass][Index(format)] = State{device::Selected(), verdict};
    AllVerdicts().Set(Key(pass, format), verdict);
  }

  std::string Key(PassIndex pass, DeviceFormat format) const {
    ConvolutionProblem products = problem_;
    products.addend = products.relu = false;
    return Str(products.Text(), " ", kPassNames[pass], " format ", Index(format),
               " type ", static_cast<int>(dataType<T>::type), " device ",
               device::Selected(), " workspace ", switches_.workspace_bytes,
               " deterministic ", switches_.deterministic);
  }

  // The convolution with bias and addend in one call, which one algorithm of cuDNN does;
  // false, with nothing started, if this is not it. The ReLU is not cuDNN's, which makes
  // 0 of NaN and of -inf, where the layer makes NaN.
  bool RunFused(const Descriptors& d, cudnnConvolutionFwdAlgo_t algorithm,
                void* workspace, std::size_t bytes, const void* x, const void* w,
                const T* bias, const void* addend, void* y) {
    if (!bias || problem_.relu || !fuses_ ||
        algorithm != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM) {
      return false;
    }
    // Without an addend y stands in for it, times 0.
    const cudnnStatus_t status = cudnnConvolutionBiasActivationForward(
        Caffe::cudnn_handle(), dataType<T>::one, d.src.get(), x, d.weights.get(), w,
        d.window.get(), algorithm, workspace, bytes,
        addend ? dataType<T>::one : dataType<T>::zero, d.dst.get(), addend ? addend : y,
        d.bias.get(), bias, d.identity.get(), d.dst.get(), y);
    fuses_ = !Declines(status);
    if (fuses_) CUDNN_CHECK(status);
    return fuses_;
  }

  const Descriptors& In(DeviceFormat format) {
    std::optional<Descriptors>& made = made_[Index(format)];
    if (!made) {
      made.emplace(problem_, TypeOf(format), dataType<T>::type, format.layout);
    }
    return *made;
  }

  DeviceConvolution<T>& Reference() {
    if (!reference_) reference_ = MakeUnfoldedDeviceConvolution<T>(problem_, nullptr);
    return *reference_;
  }

  ChannelShape DstShape() const { return ShapeOf(problem_.dst); }
  ChannelShape WeightsShape() const { return ShapeOf(problem_.WeightsShape()); }
  static ChannelShape ShapeOf(const std::vector<int>& shape) {
    ChannelShape result = {shape[0], shape[1], 1};
    for (std::size_t axis = 2; axis < shape.size(); ++axis) result.spatial *= shape[axis];
    return result;
  }
  // Whether the weights are the same bytes in this format as in the plain one.
  bool WeightsArePlain(DeviceFormat format) const {
    if (format.type != DeviceType::kOwn) return false;
    const ChannelShape shape = WeightsShape();
    return format.layout == DeviceLayout::kPlain || shape.channels == 1 ||
           shape.spatial == 1;
  }
  std::size_t WeightsBytes(DeviceFormat format) const {
    constexpr std::size_t kAlignment = 256;
    const ChannelShape shape = WeightsShape();
    const std::size_t element = format.type == DeviceType::kOwn ? sizeof(T) : 2;
    const std::size_t bytes = element * shape.num * shape.channels * shape.spatial;
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  const ConvolutionProblem problem_;
  const Switches switches_;
  std::optional<Descriptors> made_[kFormats];
  std::optional<State> states_[kPasses][kFormats];
  bool fuses_ = true;
  std::unique_ptr<DeviceConvolution<T>> reference_;
};

}  // namespace

std::int64_t ConvolutionSearchCount() { return search_count; }

template <typename T>
std::unique_ptr<DeviceConvolution<T>> MakeCudnnConvolution(const ConvolutionProblem& p,
                                                           std::string* why) {
  constexpr int kMostAxes = 3;
  if (p.spatial_axes() > kMostAxes) {
    *why = Str(p.spatial_axes(), " spatial axes, cuDNN has at most ", kMostAxes);
    return nullptr;
  }
  for (const std::vector<int>* shape : {&p.src, &p.dst}) {
    if (std::find(shape->begin(), shape->end(), 0) != shape->end()) {
      *why = "an array without elements";
      return nullptr;
    }
  }
  return std::make_unique<CudnnConvolution<T>>(p);
}

template std::unique_ptr<DeviceConvolution<float>> MakeCudnnConvolution(
    const ConvolutionProblem&, std::string*);
template std::unique_ptr<DeviceConvolution<double>> MakeCudnnConvolution(
    const ConvolutionProblem&, std::string*);

}  // namespace caffe
