#include "fuzz.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include "caffe/common.hpp"

namespace caffe {
namespace fuzz {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// What libFuzzer prints is to be read; the log is not.
const bool quiet = (logging::SetMinSeverity(google::FATAL), true);

using Random = std::minstd_rand;

std::int64_t Number(Random* random) {
  static const std::int64_t ends[] = {-1,
                                      0,
                                      1,
                                      std::numeric_limits<std::int32_t>::max(),
                                      std::numeric_limits<std::int32_t>::min(),
                                      1 << 16,
                                      100'000,
                                      64};
  const auto draw = (*random)() % 24;
  return draw < 8 ? ends[draw] : static_cast<std::int64_t>((*random)() % 8);
}

double Real(Random* random) {
  static const double ends[] = {0,
                                -1,
                                1e-30,
                                1e30,
                                std::numeric_limits<double>::infinity(),
                                std::numeric_limits<double>::quiet_NaN()};
  const auto draw = (*random)() % 12;
  return draw < 6 ? ends[draw] : static_cast<double>((*random)() % 1000) / 500;
}

// All strings of a message: names of one place are what another place wants.
void Strings(const Message& message, std::vector<std::string>* all) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        Strings(field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                     : reflection.GetMessage(message, field),
                all);
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
        all->push_back(field->is_repeated()
                           ? reflection.GetRepeatedString(message, field, i)
                           : reflection.GetString(message, field));
      }
    }
  }
}

class Mutation {
 public:
  Mutation(const Message& root, unsigned seed) : random_(seed + 1) {
    Strings(root, &strings_);
    strings_.push_back("x");
    strings_.push_back("");
  }

  void Apply(Message* message) {
    const Reflection& reflection = *message->GetReflection();
    std::vector<const FieldDescriptor*> present;
    reflection.ListFields(*message, &present);
    // Mostly down into what is there: a net is made of its layers.
    if (!present.empty() && random_() % 4 != 0) {
      const FieldDescriptor* field = present[random_() % present.size()];
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        if (!field->is_repeated())
          return Apply(reflection.MutableMessage(message, field));
        const int count = reflection.FieldSize(*message, field);
        const int i = static_cast<int>(random_() % count);
        switch (random_() % 8) {
          case 0:
            return reflection.RemoveLast(message, field);
          case 1:
            return reflection.SwapElements(message, field, i,
                                           static_cast<int>(random_() % count));
          case 2: {
            const std::unique_ptr<Message> copy(
                reflection.GetRepeatedMessage(*message, field, i).New());
            copy->CopyFrom(reflection.GetRepeatedMessage(*message, field, i));
            return reflection.AddMessage(message, field)->CopyFrom(*copy);
          }
          default:
            return Apply(reflection.MutableRepeatedMessage(message, field, i));
        }
      }
      if (random_() % 3 == 0) return reflection.ClearField(message, field);
      return Set(message, field);
    }
    const auto* descriptor = message->GetDescriptor();
    if (descriptor->field_count() == 0) return;
    const FieldDescriptor* field =
        descriptor->field(static_cast<int>(random_() % descriptor->field_count()));
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return Set(message, field);
    Apply(field->is_repeated() ? reflection.AddMessage(message, field)
                               : reflection.MutableMessage(message, field));
  }

 private:
  void Set(Message* message, const FieldDescriptor* field) {
    const Reflection& reflection = *message->GetReflection();
#define SET(TYPE, Name, value)                                                          \
  case FieldDescriptor::CPPTYPE_##TYPE:                                                 \
    if (!field->is_repeated()) {                                                        \
      reflection.Set##Name(message, field, value);                                      \
    } else if (reflection.FieldSize(*message, field) == 0 || random_() % 2) {           \
      reflection.Add##Name(message, field, value);                                      \
    } else {                                                                            \
      const int count = reflection.FieldSize(*message, field);                          \
      reflection.SetRepeated##Name(message, field, static_cast<int>(random_() % count), \
                                   value);                                              \
    }                                                                                   \
    break
    switch (field->cpp_type()) {
      SET(INT32, Int32, static_cast<std::int32_t>(Number(&random_)));
      SET(INT64, Int64, Number(&random_));
      SET(UINT32, UInt32, static_cast<std::uint32_t>(Number(&random_)));
      SET(UINT64, UInt64, static_cast<std::uint64_t>(Number(&random_)));
      SET(DOUBLE, Double, Real(&random_));
      SET(FLOAT, Float, static_cast<float>(Real(&random_)));
      SET(BOOL, Bool, random_() % 2 == 0);
      SET(STRING, String, strings_[random_() % strings_.size()]);
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto* type = field->enum_type();
        const auto* value =
            type->value(static_cast<int>(random_() % type->value_count()));
        if (field->is_repeated()) {
          reflection.AddEnum(message, field, value);
        } else {
          reflection.SetEnum(message, field, value);
        }
        break;
      }
      case FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
#undef SET
  }

  Random random_;
  std::vector<std::string> strings_;
};

double Magnitude(const Message& message, const FieldDescriptor* field, int i) {
  const Reflection& reflection = *message.GetReflection();
#define NUMBER(TYPE, Name)                                                     \
  case FieldDescriptor::CPPTYPE_##TYPE:                                        \
    return std::fabs(static_cast<double>(                                      \
        field->is_repeated() ? reflection.GetRepeated##Name(message, field, i) \
                             : reflection.Get##Name(message, field)))
  switch (field->cpp_type()) {
    NUMBER(INT32, Int32);
    NUMBER(INT64, Int64);
    NUMBER(UINT32, UInt32);
    NUMBER(UINT64, UInt64);
    default:
      return 0;
  }
#undef NUMBER
}

}  // namespace

void MayRefuse(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    if (std::string(error.what()).size() < 4) std::abort();
  }
}

InputFile::InputFile(const std::uint8_t* data, std::size_t size,
                     const std::string& ending)
    : path_("/dev/shm/caffe-fuzz-XXXXXX" + ending) {
  const int descriptor = ::mkstemps(path_.data(), static_cast<int>(ending.size()));
  while (size > 0) {
    const ssize_t written = ::write(descriptor, data, size);
    if (written <= 0) std::abort();
    data += written;
    size -= static_cast<std::size_t>(written);
  }
  ::close(descriptor);
}

InputFile::~InputFile() { ::unlink(path_.c_str()); }

bool FromText(const std::string& text, Message* message) {
  class Silence : public google::protobuf::io::ErrorCollector {
    void AddError(int, int, const std::string&) override {}
  } silence;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&silence);
  return parser.ParseFromString(text, message);
}

namespace {

std::size_t Store(const std::string& mutated, std::uint8_t* data, std::size_t max_size) {
  if (mutated.size() > max_size) return 0;
  mutated.copy(reinterpret_cast<char*>(data), mutated.size());
  return mutated.size();
}

}  // namespace

std::size_t MutateBytes(Message* message, std::uint8_t* data, std::size_t size,
                        std::size_t max_size, unsigned seed) {
  if (!message->ParsePartialFromArray(data, static_cast<int>(size))) return 0;
  Mutate(message, seed);
  return Store(message->SerializePartialAsString(), data, max_size);
}

std::size_t MutateText(Message* message, std::uint8_t* data, std::size_t size,
                       std::size_t max_size, unsigned seed) {
  if (!FromText(std::string(reinterpret_cast<const char*>(data), size), message))
    return 0;
  Mutate(message, seed);
  std::string text;
  google::protobuf::TextFormat::PrintToString(*message, &text);
  return Store(text, data, max_size);
}

void Mutate(Message* message, unsigned seed) { Mutation(*message, seed).Apply(message); }

bool IsSmall(const Message& message, double largest) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        if (!IsSmall(field->is_repeated()
                         ? reflection.GetRepeatedMessage(message, field, i)
                         : reflection.GetMessage(message, field),
                     largest)) {
          return false;
        }
      } else if (Magnitude(message, field, i) > largest) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace fuzz
}  // namespace caffe
