// cuDNN's batch normalisation as its reference describes it, in double arithmetic.

#include <cudnn.h>

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "cudnn_context.h"

namespace cuda_emulation {
namespace {

using Values = std::vector<double>;

/// Scale, bias and statistics have one number a channel, in float if the data has 16
/// bits.
NumberFormat ParameterFormat(const TensorView& x) {
  return x.format == NumberFormat::kDouble ? NumberFormat::kDouble : NumberFormat::kFloat;
}

/// The arguments' tensors: `x` and `other` of the same sizes.
struct Tensors {
  TensorView x, other;
  NumberFormat parameters;
  std::ptrdiff_t channels;
  std::size_t parameter_bytes;
};

/// BAD_PARAM or NOT_SUPPORTED for arguments that this emulation, or cuDNN, does not take.
cudnnStatus_t Describe(cudnnBatchNormMode_t mode, const cudnnTensorStruct* x,
                       const cudnnTensorStruct* other,
                       const cudnnTensorStruct* parameters, double epsilon,
                       Tensors* tensors) {
  if (!x || !other || !parameters || epsilon < CUDNN_BN_MIN_EPSILON) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  TensorView parameter_view;
  if (mode == CUDNN_BATCHNORM_PER_ACTIVATION || !ViewOf(*x, &tensors->x) ||
      !ViewOf(*other, &tensors->other) || !ViewOf(*parameters, &parameter_view)) {
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
  tensors->parameters = ParameterFormat(tensors->x);
  tensors->channels = tensors->x.sizes[1];
  tensors->parameter_bytes =
      static_cast<std::size_t>(tensors->channels) * SizeOf(tensors->parameters);
  const bool is_one_a_channel =
      parameter_view.sizes ==
          decltype(parameter_view.sizes){1, tensors->channels, 1, 1, 1} &&
      (tensors->channels == 1 || parameter_view.steps[1] == 1);
  if (x->type != other->type || tensors->x.sizes != tensors->other.sizes ||
      parameter_view.format != tensors->parameters || !is_one_a_channel) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  return CUDNN_STATUS_SUCCESS;
}

/// Elements of a tensor in the order of its axes, by channel.
class Channels {
 public:
  explicit Channels(const TensorView& view)
      : batch_(view.sizes[0]),
        channels_(view.sizes[1]),
        spatial_(view.sizes[2] * view.sizes[3] * view.sizes[4]) {}
  /// Calls function(index) for every element of channel c.
  template <typename Function>
  void ForElements(std::ptrdiff_t c, Function function) const {
    for (std::ptrdiff_t n = 0; n < batch_; ++n) {
      for (std::ptrdiff_t s = 0; s < spatial_; ++s) {
        function(static_cast<std::size_t>((n * channels_ + c) * spatial_ + s));
      }
    }
  }
  /// Elements of one channel.
  double size() const { return static_cast<double>(batch_ * spatial_); }

 private:
  std::ptrdiff_t batch_, channels_, spatial_;
};

/// An array of one number a channel.
class Parameters {
 public:
  explicit Parameters(const Tensors& tensors)
      : format_(tensors.parameters), count_(tensors.channels) {}
  Values Read(const void* data) const {
    Values values(static_cast<std::size_t>(count_));
    Load(format_, data, 1, count_, values.data());
    return values;
  }
  void Write(const Values& values, void* data) const {
    if (data) Store(format_, values.data(), count_, data, 1);
  }
  void Blend(double alpha, const Values& values, double beta, void* data) const {
    const TensorView view = {format_, {1, count_, 1, 1, 1}, {0, 1, 0, 0, 0}};
    BlendInto(view, data, alpha, values, beta);
  }

 private:
  NumberFormat format_;
  std::ptrdiff_t count_;
};

/// alpha and beta.
struct Scales {
  double alpha, beta;
  Scales(const TensorView& view, const void* alpha, const void* beta)
      : alpha(ScaleOf(view.format, alpha)), beta(ScaleOf(view.format, beta)) {}
};

}  // namespace
}  // namespace cuda_emulation

using namespace cuda_emulation;  // NOLINT(build/namespaces)

cudnnStatus_t cudnnDeriveBNTensorDescriptor(cudnnTensorDescriptor_t derived,
                                            const cudnnTensorDescriptor_t x,
                                            cudnnBatchNormMode_t mode) {
  if (!derived || !x) return CUDNN_STATUS_BAD_PARAM;
  TensorView view;
  if (mode == CUDNN_BATCHNORM_PER_ACTIVATION || !ViewOf(*x, &view)) {
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
  const cudnnDataType_t type =
      x->type == CUDNN_DATA_DOUBLE ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT;
  int sizes[CUDNN_DIM_MAX];
  for (int axis = 0; axis < x->axes; ++axis) sizes[axis] = axis == 1 ? x->sizes[1] : 1;
  return cudnnSetTensorNdDescriptorEx(derived, CUDNN_TENSOR_NCHW, type, x->axes, sizes);
}

cudnnStatus_t cudnnBatchNormalizationForwardTraining(
    cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void* alpha, const void* beta,
    const cudnnTensorDescriptor_t x_desc, const void* x,
    const cudnnTensorDescriptor_t y_desc, void* y,
    const cudnnTensorDescriptor_t parameter_desc, const void* scale, const void* bias,
    double exponential_average_factor, void* running_mean, void* running_variance,
    double epsilon, void* save_mean, void* save_inv_variance) {
  if (!alpha || !beta || !running_mean != !running_variance ||
      !save_mean != !save_inv_variance) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  Tensors tensors;
  const cudnnStatus_t described =
      Describe(mode, x_desc, y_desc, parameter_desc, epsilon, &tensors);
  if (described != CUDNN_STATUS_SUCCESS) return described;
  const std::size_t bytes = tensors.parameter_bytes;
  const Scales scales(tensors.other, alpha, beta);
  return Run(
      "cudnnBatchNormalizationForwardTraining", handle,
      {{"x", x, tensors.x.bytes()},
       {"y", y, tensors.other.bytes()},
       {"bnScale", scale, bytes},
       {"bnBias", bias, bytes},
       {"resultRunningMean", running_mean, running_mean ? bytes : 0},
       {"resultRunningVariance", running_variance, running_variance ? bytes : 0},
       {"resultSaveMean", save_mean, save_mean ? bytes : 0},
       {"resultSaveInvVariance", save_inv_variance, save_inv_variance ? bytes : 0}},
      [=] {
        const Parameters parameters(tensors);
        const Channels channels(tensors.x);
        const Values scale_of = parameters.Read(scale);
        const Values bias_of = parameters.Read(bias);
        Values values = Load(tensors.x, x);
        Values means(scale_of.size()), inverses(scale_of.size()),
            variances(scale_of.size());
        for (std::size_t c = 0; c < scale_of.size(); ++c) {
          double sum = 0;
          channels.ForElements(c, [&](std::size_t i) { sum += values[i]; });
          const double mean = sum / channels.size();
          double squares = 0;
          channels.ForElements(c, [&](std::size_t i) {
            squares += (values[i] - mean) * (values[i] - mean);
          });
          const double inverse = 1 / std::sqrt(squares / channels.size() + epsilon);
          channels.ForElements(c, [&](std::size_t i) {
            values[i] = scale_of[c] * (values[i] - mean) * inverse + bias_of[c];
          });
          means[c] = mean;
          inverses[c] = inverse;
          variances[c] = channels.size() > 1 ? squares / (channels.size() - 1) : squares;
        }
        BlendInto(tensors.other, y, scales.alpha, std::move(values), scales.beta);
        if (running_mean) {
          const double factor = exponential_average_factor;
          parameters.Blend(factor, means, 1 - factor, running_mean);
          parameters.Blend(factor, variances, 1 - factor, running_variance);
        }
        parameters.Write(means, save_mean);
        parameters.Write(inverses, save_inv_variance);
      });
}

cudnnStatus_t cudnnBatchNormalizationForwardInference(
    cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void* alpha, const void* beta,
    const cudnnTensorDescriptor_t x_desc, const void* x,
    const cudnnTensorDescriptor_t y_desc, void* y,
    const cudnnTensorDescriptor_t parameter_desc, const void* scale, const void* bias,
    const void* mean, const void* variance, double epsilon) {
  if (!alpha || !beta) return CUDNN_STATUS_BAD_PARAM;
  Tensors tensors;
  const cudnnStatus_t described =
      Describe(mode, x_desc, y_desc, parameter_desc, epsilon, &tensors);
  if (described != CUDNN_STATUS_SUCCESS) return described;
  const std::size_t bytes = tensors.parameter_bytes;
  const Scales scales(tensors.other, alpha, beta);
  return Run("cudnnBatchNormalizationForwardInference", handle,
             {{"x", x, tensors.x.bytes()},
              {"y", y, tensors.other.bytes()},
              {"bnScale", scale, bytes},
              {"bnBias", bias, bytes},
              {"estimatedMean", mean, bytes},
              {"estimatedVariance", variance, bytes}},
             [=] {
               const Parameters parameters(tensors);
               const Channels channels(tensors.x);
               const Values scale_of = parameters.Read(scale);
               const Values bias_of = parameters.Read(bias);
               const Values means = parameters.Read(mean);
               const Values variances = parameters.Read(variance);
               Values values = Load(tensors.x, x);
               for (std::size_t c = 0; c < scale_of.size(); ++c) {
                 const double inverse = 1 / std::sqrt(variances[c] + epsilon);
                 channels.ForElements(c, [&](std::size_t i) {
                   values[i] =
                       scale_of[c] * (values[i] - means[c]) * inverse + bias_of[c];
                 });
               }
               BlendInto(tensors.other, y, scales.alpha, std::move(values), scales.beta);
             });
}

cudnnStatus_t cudnnBatchNormalizationBackward(
    cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void* alpha_data,
    const void* beta_data, const void* alpha_parameters, const void* beta_parameters,
    const cudnnTensorDescriptor_t x_desc, const void* x,
    const cudnnTensorDescriptor_t dy_desc, const void* dy,
    const cudnnTensorDescriptor_t dx_desc, void* dx,
    const cudnnTensorDescriptor_t parameter_desc, const void* scale, void* scale_diff,
    void* bias_diff, double epsilon, const void* saved_mean,
    const void* saved_inv_variance) {
  // cuDNN computes the statistics again when they were not saved; here they must be.
  if (!alpha_data || !beta_data || !alpha_parameters || !beta_parameters || !saved_mean ||
      !saved_inv_variance) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  Tensors tensors, of_diff;
  const cudnnStatus_t described =
      Describe(mode, x_desc, dy_desc, parameter_desc, epsilon, &tensors);
  if (described != CUDNN_STATUS_SUCCESS) return described;
  const cudnnStatus_t diff_described =
      Describe(mode, x_desc, dx_desc, parameter_desc, epsilon, &of_diff);
  if (diff_described != CUDNN_STATUS_SUCCESS) return diff_described;
  const std::size_t bytes = tensors.parameter_bytes;
  const TensorView diff_view = of_diff.other;
  const Scales scales(diff_view, alpha_data, beta_data);
  const Scales parameter_scales(diff_view, alpha_parameters, beta_parameters);
  return Run(
      "cudnnBatchNormalizationBackward", handle,
      {{"x", x, tensors.x.bytes()},
       {"dy", dy, tensors.other.bytes()},
       {"dx", dx, of_diff.other.bytes()},
       {"bnScale", scale, bytes},
       {"resultBnScaleDiff", scale_diff, bytes},
       {"resultBnBiasDiff", bias_diff, bytes},
       {"savedMean", saved_mean, bytes},
       {"savedInvVariance", saved_inv_variance, bytes}},
      [=] {
        const Parameters parameters(tensors);
        const Channels channels(tensors.x);
        const Values scale_of = parameters.Read(scale);
        const Values means = parameters.Read(saved_mean);
        const Values inverses = parameters.Read(saved_inv_variance);
        const Values values = Load(tensors.x, x);
        Values diff = Load(tensors.other, dy);
        Values sums(scale_of.size(), 0.0), dots(scale_of.size(), 0.0);
        for (std::size_t c = 0; c < scale_of.size(); ++c) {
          const auto unit = [&](std::size_t i) {
            return (values[i] - means[c]) * inverses[c];
          };
          channels.ForElements(c, [&](std::size_t i) {
            sums[c] += diff[i];
            dots[c] += diff[i] * unit(i);
          });
          channels.ForElements(c, [&](std::size_t i) {
            diff[i] = scale_of[c] * inverses[c] *
                      (diff[i] - sums[c] / channels.size() -
                       unit(i) * dots[c] / channels.size());
          });
        }
        BlendInto(diff_view, dx, scales.alpha, std::move(diff), scales.beta);
        parameters.Blend(parameter_scales.alpha, dots, parameter_scales.beta, scale_diff);
        parameters.Blend(parameter_scales.alpha, sums, parameter_scales.beta, bias_diff);
      });
}
