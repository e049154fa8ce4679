#include "caffe/util/utf8.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include <google/protobuf/descriptor.h>

#include "caffe/error.hpp"

namespace caffe {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr const char* kNames[] = {"name", "type", "bottom", "top", "input", "stage"};

// Length of the character at the start of `text`, 0 if there is none. Table 3-7 of the
// Unicode standard: no overlong forms, no surrogates, nothing above U+10FFFF.
std::size_t CharacterLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first < 0xc2   ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool wrong =
      (first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) ||
      (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f);
  return wrong ? 0 : length;
}

bool IsName(const FieldDescriptor& field) {
  return field.type() == FieldDescriptor::TYPE_STRING &&
         std::find(std::begin(kNames), std::end(kNames), field.name()) !=
             std::end(kNames);
}

std::string Escaped(const std::string& text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte >= 32 && byte < 127) {
      escaped += c;
    } else {
      escaped += {'\\', 'x', kDigits[byte / 16], kDigits[byte % 16]};
    }
  }
  return escaped;
}

// "layer[3].name 'caf\xe9'", or empty.
std::string FirstWrongName(const Message& message) {
  const Reflection* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool nested = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!nested && !IsName(*field)) continue;
    const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const std::string at = field->is_repeated()
                                 ? Str(field->name(), "[", i, "]")
                                 : static_cast<std::string>(field->name());
      if (nested) {
        const Message& part = field->is_repeated()
                                  ? reflection->GetRepeatedMessage(message, field, i)
                                  : reflection->GetMessage(message, field);
        const std::string wrong = FirstWrongName(part);
        if (!wrong.empty()) return Str(at, ".", wrong);
        continue;
      }
      const std::string value = field->is_repeated()
                                    ? reflection->GetRepeatedString(message, field, i)
                                    : reflection->GetString(message, field);
      if (!IsUtf8(value)) {
        return Str(at, " '", Escaped(value), "'");
      }
    }
  }
  return "";
}

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = CharacterLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string Utf8Problem(const Message& message, const std::string& source) {
  const std::string wrong = FirstWrongName(message);
  if (wrong.empty()) return "";
  return Str("'", source, "': ", wrong,
             " is not UTF-8, as which names are read; rename it, or save the text as "
             "UTF-8, such as with `iconv -f GBK -t UTF-8`");
}

}  // namespace caffe
