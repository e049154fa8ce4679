#include "caffe/proto/check_numbers.hpp"

#include <google/protobuf/message.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "caffe/error.hpp"

namespace caffe {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

/// From `least` to `most`, which may be left out of the range.
struct Range {
  double least;
  double most = kNoLimit;
  bool below_most = false;

  bool Has(double value) const {
    return value >= least && (below_most ? value < most : value <= most);
  }
  std::string Text() const {
    if (most == kNoLimit) return Str("at least ", least);
    return Str("at least ", least, " and ", below_most ? "below " : "at most ", most);
  }
};

constexpr Range kShareBelowOne = {0, 1, true};
constexpr Range kShare = {0, 1};
constexpr Range kNotNegative = {0};
constexpr Range kPositive = {1};

/// Of the fields for which some finite values make no sense whatever the others are. What
/// depends on more than one field is checked where it is used.
const std::map<std::string_view, Range>& Ranges() {
  static const std::map<std::string_view, Range> ranges = {
      {"caffe.SolverParameter.average_loss", kPositive},
      {"caffe.SolverParameter.base_lr", kNotNegative},
      {"caffe.SolverParameter.delta", kNotNegative},
      {"caffe.SolverParameter.display", kNotNegative},
      {"caffe.SolverParameter.iter_size", kPositive},
      {"caffe.SolverParameter.max_iter", kNotNegative},
      {"caffe.SolverParameter.momentum", kShareBelowOne},
      {"caffe.SolverParameter.momentum2", kShareBelowOne},
      {"caffe.SolverParameter.rms_decay", kShareBelowOne},
      {"caffe.SolverParameter.snapshot", kNotNegative},
      {"caffe.SolverParameter.stepvalue", kNotNegative},
      {"caffe.SolverParameter.test_interval", kNotNegative},
      {"caffe.SolverParameter.test_iter", kNotNegative},
      {"caffe.SolverParameter.warmup_iter", kNotNegative},
      {"caffe.SolverParameter.warmup_start_lr", kNotNegative},
      {"caffe.SolverParameter.weight_decay", kNotNegative},

      {"caffe.BatchNormParameter.eps", kNotNegative},
      {"caffe.BatchNormParameter.momentum", kShare},
      {"caffe.BatchNormParameter.moving_average_fraction", kShare},
      {"caffe.ContrastiveLossParameter.margin", kNotNegative},
      {"caffe.CuDNNBatchNormParameter.eps", kNotNegative},
      {"caffe.CuDNNBatchNormParameter.momentum", kShare},
      {"caffe.DropoutParameter.dropout_ratio", kShareBelowOne},
      {"caffe.FillerParameter.std", kNotNegative},
      {"caffe.LRNParameter.alpha", kNotNegative},
      {"caffe.LRNParameter.k", kNotNegative},
      {"caffe.LossParameter.label_smoothing", kShareBelowOne},
      {"caffe.MVNParameter.eps", kNotNegative},
      {"caffe.ParamSpec.decay_mult", kNotNegative},
      {"caffe.WindowDataParameter.bg_threshold", kShare},
      {"caffe.WindowDataParameter.fg_fraction", kShare},
      {"caffe.WindowDataParameter.fg_threshold", kShare},
  };
  return ranges;
}

/// Whether messages of this kind are checked elsewhere or hold data.
bool IsApart(const Message& message) {
  const std::string_view name = message.GetDescriptor()->name();
  return name == "BlobProto" || name == "NetParameter" || name == "LayerParameter" ||
         name == "V1LayerParameter" || name == "NetState" || name == "NetStateRule";
}

class Checker {
 public:
  explicit Checker(const std::string& who) : who_(who) {}

  void Check(const Message& message, const std::string& path) const {
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      const int size =
          field->is_repeated() ? message.GetReflection()->FieldSize(message, field) : 1;
      for (int i = 0; i < size; ++i) CheckValue(message, *field, i, path);
    }
  }

 private:
  // `index` counts only where the field is repeated.
  void CheckValue(const Message& message, const FieldDescriptor& field, int index,
                  const std::string& path) const {
    const auto* reflection = message.GetReflection();
    const bool many = field.is_repeated();
    const std::string name =
        path + std::string(field.name()) + (many ? Str("[", index, "]") : "");
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        const Message& inner =
            many ? reflection->GetRepeatedMessage(message, &field, index)
                 : reflection->GetMessage(message, &field);
        if (!IsApart(inner)) Check(inner, name + ".");
        return;
      }
      case FieldDescriptor::CPPTYPE_FLOAT:
        return CheckNumber(field, name,
                           many ? reflection->GetRepeatedFloat(message, &field, index)
                                : reflection->GetFloat(message, &field));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return CheckNumber(field, name,
                           many ? reflection->GetRepeatedDouble(message, &field, index)
                                : reflection->GetDouble(message, &field));
      case FieldDescriptor::CPPTYPE_INT32:
        return CheckNumber(field, name,
                           many ? reflection->GetRepeatedInt32(message, &field, index)
                                : reflection->GetInt32(message, &field));
      default:
        return;
    }
  }

  template <typename Number>
  void CheckNumber(const FieldDescriptor& field, const std::string& name,
                   Number value) const {
    const auto range = Ranges().find(field.full_name());
    if (range != Ranges().end() && !range->second.Has(value)) {
      Refuse(name, value, range->second.Text());
    }
    if (!std::isfinite(static_cast<double>(value))) {
      Refuse(name, value, "a finite number");
    }
  }

  template <typename Number>
  [[noreturn]] void Refuse(const std::string& name, Number value,
                           const std::string& expected) const {
    throw ValueError(who_, Str(name, " is ", value, ", expected ", expected));
  }

  const std::string& who_;
};

}  // namespace

void CheckNumbers(const Message& message, const std::string& who) {
  Checker(who).Check(message, "");
}

}  // namespace caffe
