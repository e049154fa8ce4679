#include "caffe/util/text_context.hpp"

#include <regex>
#include <vector>

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "caffe/error.hpp"
#include "caffe/util/closest.hpp"
#include "caffe/util/forks.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::io::Tokenizer;

class NoErrors : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string&) override {}
};

// One open block `field { … }`.
struct Block {
  const Descriptor* message;
  std::string field;  // the field being given in this block
  std::string opened_by;
  int line;
  std::string name;  // value of its `name`
};

bool IsLayer(const Block& block) {
  return block.message != nullptr && (block.message->name() == "LayerParameter" ||
                                      block.message->name() == "V1LayerParameter");
}

// Walks over the tokens, keeping the stack of open blocks.
class Walker {
 public:
  explicit Walker(const Descriptor* root) { blocks_.push_back({root, "", "", 0, ""}); }

  const std::vector<Block>& blocks() const { return blocks_; }

  void Take(const Tokenizer::Token& token) {
    Block& top = blocks_.back();
    if (token.type == Tokenizer::TYPE_IDENTIFIER) {
      if (!in_value_) top.field = token.text;
      if (list_depth_ == 0) in_value_ = false;
    } else if (token.type == Tokenizer::TYPE_SYMBOL) {
      TakeSymbol(token);
    } else {
      if (token.type == Tokenizer::TYPE_STRING && top.field == "name") {
        Tokenizer::ParseString(token.text, &top.name);
      }
      if (list_depth_ == 0) in_value_ = false;
    }
  }

 private:
  void TakeSymbol(const Tokenizer::Token& token) {
    const char symbol = token.text[0];
    if (symbol == ':') {
      in_value_ = true;
    } else if (symbol == '[') {
      ++list_depth_;
    } else if (symbol == ']') {
      if (list_depth_ > 0) --list_depth_;
      in_value_ = list_depth_ > 0;
    } else if (symbol == '{' || symbol == '<') {
      const Block& top = blocks_.back();
      const FieldDescriptor* field =
          top.message == nullptr ? nullptr : top.message->FindFieldByName(top.field);
      blocks_.push_back({field == nullptr ? nullptr : field->message_type(), "",
                         top.field, token.line + 1, ""});
      in_value_ = false;
    } else if (symbol == '}' || symbol == '>') {
      if (blocks_.size() > 1) blocks_.pop_back();
      in_value_ = list_depth_ > 0;
    }
  }

  std::vector<Block> blocks_;
  bool in_value_ = false;  // behind ':'; identifiers are enum values then
  int list_depth_ = 0;
};

}  // namespace

TextContext FindTextContext(const std::string& text, const Descriptor* root, int line,
                            int column) {
  google::protobuf::io::ArrayInputStream stream(text.data(),
                                                static_cast<int>(text.size()));
  NoErrors errors;
  Tokenizer tokens(&stream, &errors);
  tokens.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
  Walker walker(root);
  TextContext context;
  bool more = tokens.Next();
  for (; more; more = tokens.Next()) {
    const Tokenizer::Token& token = tokens.current();
    if (token.line > line || (token.line == line && token.column >= column)) break;
    walker.Take(token);
    context.last_line = token.line;
    context.last_column = token.column;
  }
  context.at_end = !more;
  const std::vector<Block>& blocks = walker.blocks();
  context.message = blocks.back().message;
  context.open_field = blocks.back().opened_by;
  context.open_line = blocks.back().line;
  // The layer's name may stand behind the error, anywhere in the layer's block.
  std::size_t depth = 0;
  for (std::size_t i = 1; i < blocks.size() && depth == 0; ++i) {
    if (IsLayer(blocks[i])) depth = i;
  }
  if (depth == 0) return context;
  context.layer = blocks[depth].name;
  for (; more && context.layer.empty() && blocks.size() > depth; more = tokens.Next()) {
    walker.Take(tokens.current());
    if (blocks.size() > depth) context.layer = blocks[depth].name;
  }
  return context;
}

std::string ValueBehind(std::string_view text, int line, int column) {
  // No token spans lines, so reading can begin with this one.
  std::size_t start = 0;
  for (; line > 0 && start < text.size(); --line) start = text.find('\n', start) + 1;
  google::protobuf::io::ArrayInputStream stream(text.data() + start,
                                                static_cast<int>(text.size() - start));
  NoErrors errors;
  Tokenizer tokens(&stream, &errors);
  tokens.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
  std::string value;
  while (tokens.Next()) {
    const Tokenizer::Token& token = tokens.current();
    if (token.line == 0 && token.column < column) continue;
    if (token.text == ":" && value.empty()) continue;
    if (token.type == Tokenizer::TYPE_STRING) {
      Tokenizer::ParseString(token.text, &value);
      return value;
    }
    if (token.type == Tokenizer::TYPE_SYMBOL) {
      if (token.text != "-") return "";
      value = "-";
      continue;
    }
    return value + token.text;
  }
  return "";
}

bool IsUnknownField(const std::string& message, std::string* in, std::string* field) {
  static const std::regex no_field(
      R"re(Message type "(?:caffe\.)?([^"]+)" has no field named "([^"]+)".*)re");
  std::smatch match;
  if (!std::regex_match(message, match, no_field)) return false;
  *in = match[1];
  *field = match[2];
  return true;
}

namespace {

std::vector<std::string> FieldNames(const Descriptor* message) {
  std::vector<std::string> names;
  for (int i = 0; i < message->field_count(); ++i)
    names.push_back(message->field(i)->name());
  return names;
}

std::string AllValues(const EnumDescriptor* type) {
  std::string text;
  for (int i = 0; i < type->value_count(); ++i) {
    text += (i == 0 ? "" : ", ") + type->value(i)->name();
  }
  return text;
}

std::string ClosestValue(const EnumDescriptor* type, const std::string& value) {
  std::vector<std::string> names;
  for (int i = 0; i < type->value_count(); ++i) names.push_back(type->value(i)->name());
  const std::string closest = ClosestName(value, names);
  return closest.empty() ? "; it is one of "
                         : "; the closest is " + closest + ", out of ";
}

std::string ExplainForkField(const ForkField& field, const std::string& value) {
  if (*field.cure != '\0') {
    return Str("'", field.field, value.empty() ? "" : ": " + value, "' is a setting of ",
               field.home, ", which this version does not have; ", field.cure);
  }
  return Str("'", field.field, "' is of a layer of ", field.home,
             ", which this version does not have; ", kLoadAsPlugin,
             ", with its parameters in python_param.param_str or a message that fits");
}

// Protobuf reports a wrong name when it has read it, at the token behind, which may be
// lines away. `at_name` says that the message is about the token before.
std::string Explain(const TextContext& context, const std::string& message,
                    const std::string& value, bool* at_name) {
  static const std::regex no_value(
      R"re(Unknown enumeration value of "([^"]+)" for field "([^"]+)".*)re");
  static const std::regex twice(
      R"re(Non-repeated field "([^"]+)" is specified multiple times.*)re");
  static const std::regex unquoted("Expected string, got: ([A-Z0-9_]+)");
  static const std::regex quoted("Expected integer or identifier, got: \".*\"");
  const std::string within = context.message == nullptr ? "" : context.message->name();
  std::smatch match;
  *at_name = true;
  std::string in, field;
  if (!within.empty() && IsUnknownField(message, &in, &field)) {
    if (const ForkField* known = FindForkField(in, field)) {
      return ExplainForkField(*known, value);
    }
    return Str(within, " has no field '", field, "'",
               Suggestion(field, FieldNames(context.message)));
  }
  if (!within.empty() && std::regex_match(message, match, no_value)) {
    const FieldDescriptor* known = context.message->FindFieldByName(match[2]);
    if (known != nullptr && known->enum_type() != nullptr) {
      const EnumDescriptor* type = known->enum_type();
      return Str(match[2].str(), " cannot be '", match[1].str(), "'",
                 ClosestValue(type, match[1]), AllValues(type));
    }
  }
  if (std::regex_match(message, match, twice)) {
    return Str("'", match[1].str(), "' is given twice; it may stand once in ", within);
  }
  *at_name = false;
  if (context.at_end && !context.open_field.empty()) {
    return Str("the file ends inside '", context.open_field,
               "', which was opened in line ", context.open_line,
               "; a closing brace is missing");
  }
  std::string text = message;
  while (!text.empty() && (text.back() == '.' || text.back() == ' ')) text.pop_back();
  if (std::regex_match(text, unquoted) && within == "LayerParameter") {
    text +=
        "; the type of a 'layer' is a quoted string such as \"Convolution\", and "
        "capitals without quotes belong to the old 'layers'";
  } else if (std::regex_match(text, quoted) && within == "V1LayerParameter") {
    text += "; write 'layer' for 'layers' where types are quoted strings";
  }
  return text;
}

}  // namespace

std::string ExplainTextError(const std::string& text, const Descriptor* root, int line,
                             int column, const std::string& message) {
  const TextContext context = FindTextContext(text, root, line, column);
  bool at_name;
  const std::string explanation =
      Explain(context, message, ValueBehind(text, line, column), &at_name);
  if (at_name) {
    line = context.last_line;
    column = context.last_column;
  }
  const std::string layer =
      context.layer.empty() ? std::string() : NameOf(context.layer, "") + ": ";
  return Str(line + 1, ":", column + 1, ": ", layer, explanation);
}

}  // namespace caffe
