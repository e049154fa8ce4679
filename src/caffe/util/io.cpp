#include "caffe/util/io.hpp"

#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <set>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/wire_format_lite.h>

#include "caffe/util/atomic_file.hpp"
#include "caffe/util/forks.hpp"
#include "caffe/util/input_file.hpp"
#include "caffe/util/proto_file.hpp"
#include "caffe/util/text_context.hpp"
#include "caffe/util/utf8.hpp"

namespace caffe {

using google::protobuf::TextFormat;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::FileInputStream;
using google::protobuf::io::FileOutputStream;

void MakeTempDir(string* temp_dirname) {
  string name = (std::filesystem::temp_directory_path() / "caffe_test.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw FileError(Str("cannot create a folder '", name, "': ", std::strerror(errno),
                        "; set TMPDIR to a writable folder"));
  }
  *temp_dirname = name;
}

void MakeTempFilename(string* temp_filename) {
  static std::once_flag once;
  static string folder;
  static std::atomic<int> next{0};
  std::call_once(once, [] { MakeTempDir(&folder); });
  *temp_filename = Str(folder, "/", next++);
}

namespace {

// No prototxt comes near this; it bounds what a wrong path can make us read.
constexpr std::int64_t kMaxTextBytes = 1 << 30;

// Deeper than any message of Caffe, far above the stack's limits.
constexpr int kMaxDepth = 100;

// Keeps the first error. The parser skips fields that the schema lacks with a warning:
// one is an error here, unless a known fork has it and its value changes no result.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  explicit FirstError(const string& text) : text_(text) {}
  void AddError(int line, int column, const string& message) override {
    if (!message_.empty()) return;
    line_ = line;
    column_ = column;
    message_ = message;
  }
  void AddWarning(int line, int column, const string& message) override {
    string in, field;
    if (!IsUnknownField(message, &in, &field)) return AddError(line, column, message);
    const ForkField* known = FindForkField(in, field);
    if (known != nullptr && IsNeutral(*known, ValueBehind(text_, line, column))) {
      ignored_.insert(field);
    } else {
      AddError(line, column, message);
    }
  }
  int line() const { return line_; }
  int column() const { return column_; }
  const string& message() const { return message_; }
  /// Names of the fields that were skipped.
  const std::set<string>& ignored() const { return ignored_; }

 private:
  const string& text_;
  int line_ = 0;
  int column_ = 0;
  string message_;
  std::set<string> ignored_;
};

// What a text is that has bytes 0, which no prototxt has.
string ZeroByteProblem(const string& text, const string& source) {
  const string who = Str("'", source, "'");
  if (!LooksLikeText(text)) {
    const string what = DescribeContents(GuessContents(text.substr(0, kHeadBytes)));
    return Str(who, " is ", what.empty() ? "a binary file" : what,
               ", expected text such as a prototxt");
  }
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    return Str(who, " is text in UTF-16, expected UTF-8; save it as UTF-8, such as with ",
               "`iconv -f UTF-16 -t UTF-8`");
  }
  const std::size_t at = text.find('\0');
  const std::size_t start = text.rfind('\n', at) + 1;  // 0 where there is no line before
  const auto line = std::count(text.begin(), text.begin() + static_cast<int>(at), '\n');
  return Str(source, ":", line + 1, ":", at - start + 1,
             ": a byte 0 (NUL), which text does not have; delete it, such as with ",
             "`tr -d '\\000'`, or copy the file again if it is damaged");
}

// Empty, or what is wrong with the text.
string TextProblem(const string& all, const string& source, Message* proto) {
  const bool marked = all.starts_with("\xef\xbb\xbf");  // byte-order mark
  const string unmarked = marked ? all.substr(3) : string();
  const string& text = marked ? unmarked : all;
  if (text.find('\0') != string::npos) return ZeroByteProblem(text, source);
  FirstError error(text);
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(kMaxDepth);
  parser.AllowUnknownField(true);
  if (parser.ParseFromString(text, proto) && error.message().empty()) {
    string ignored;
    for (const string& field : error.ignored()) ignored += " " + field;
    LOG_IF(INFO, !ignored.empty())
        << "'" << source << "' has settings of other Caffes that change no result and "
        << "are ignored:" << ignored;
    return Utf8Problem(*proto, source);
  }
  if (error.line() < 0 || error.message().empty()) {  // concerns no place in the text
    return Str(source, ": ", error.message());
  }
  return Str(source, ":",
             ExplainTextError(text, proto->GetDescriptor(), error.line(), error.column(),
                              error.message()));
}

string TextFileProblem(const string& path, Message* proto) {
  InputFile file(path);
  return TextProblem(file.ReadAll(kMaxTextBytes), path, proto);
}

Contents ExpectedContents(const Message& proto) {
  const string& name = proto.GetDescriptor()->full_name();
  if (name == "caffe.NetParameter") return Contents::kWeights;
  if (name == "caffe.SolverState") return Contents::kSolverState;
  if (name == "caffe.BlobProto") return Contents::kArray;
  return Contents::kUnknown;
}

// A file of these kinds is no message, or a message of another kind that might even
// parse, into nonsense.
bool IsOtherKind(Contents found, Contents expected) {
  if (found == Contents::kHdf5 || found == Contents::kImage) return true;
  if (expected == Contents::kUnknown) return false;
  return found == Contents::kEmpty ||
         (found != expected &&
          (found == Contents::kWeights || found == Contents::kSolverState ||
           found == Contents::kArray));
}

string OtherKindProblem(const string& path, Contents found, Contents expected,
                        const Message& proto) {
  const string wanted = expected == Contents::kUnknown
                            ? Str("a binary ", proto.GetDescriptor()->name())
                            : DescribeContents(expected);
  return Str(
      "'", path, "' is ", DescribeContents(found), ", expected ", wanted,
      found == Contents::kHdf5 ? "; HDF5 files are recognised by the ending .h5" : "");
}

// Says how the bytes of a message that did not parse are wrong: the top-level fields
// are walked over, and the first that needs more bytes than there are is named.
string DamageProblem(InputFile* file) {
  using google::protobuf::internal::WireFormatLite;
  const string who = Str("'", file->path(), "' (", file->size(), " bytes) is ");
  if (file->size() < 0 || !file->Rewind()) {
    return Str("'", file->path(), "' is damaged or truncated");
  }
  FileInputStream raw(file->fd());
  CodedInputStream in(&raw);
  const string cure = "; copy or download it again";
  for (;;) {
    const int start = in.CurrentPosition();
    const std::uint32_t tag = in.ReadTag();
    // A number whose last byte has its top bit set goes on behind the end.
    if (tag == 0 && start < file->size()) {
      return Str(who, file->LastByte() >= 0x80 ? "truncated" : "damaged", " at byte ",
                 start, cure);
    }
    if (tag == 0) return Str(who, "damaged, or of another format", cure);
    if (WireFormatLite::GetTagWireType(tag) !=
        WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      if (WireFormatLite::SkipField(&in, tag)) continue;
      return Str(who, in.CurrentPosition() >= file->size() ? "truncated" : "damaged",
                 " at byte ", start, cure);
    }
    std::uint32_t length;
    if (!in.ReadVarint32(&length)) return Str(who, "truncated at byte ", start, cure);
    const std::int64_t left = file->size() - in.CurrentPosition();
    if (length > left) {
      return Str(who, "truncated: the record at byte ", start, " needs ", length,
                 " bytes, the file has ", left, " more", cure);
    }
    if (!in.Skip(static_cast<int>(length))) {
      return Str(who, "damaged at byte ", start, cure);
    }
  }
}

}  // namespace

string BinaryFileProblem(const string& path, Message* proto) {
  InputFile file(path);
  const string head = file.Head();
  const Contents found = file.size() < 0 ? Contents::kUnknown : GuessContents(head);
  const Contents expected = ExpectedContents(*proto);
  if (IsOtherKind(found, expected))
    return OtherKindProblem(path, found, expected, *proto);
  if (file.size() > INT_MAX) {
    return Str("'", path, "' has ", file.size(), " bytes, more than the ", INT_MAX,
               " of protobuf; keep such weights in HDF5 (snapshot_format: HDF5)");
  }
  FileInputStream raw(file.fd(), 1 << 20);
  CodedInputStream in(&raw);
  in.SetRecursionLimit(kMaxDepth);
  proto->Clear();
  if (!proto->MergePartialFromCodedStream(&in) || !in.ConsumedEntireMessage()) {
    if (raw.GetErrno() != 0) {
      throw FileError(Str("cannot read '", path, "': ", std::strerror(raw.GetErrno())));
    }
    if (found == Contents::kText) return OtherKindProblem(path, found, expected, *proto);
    return DamageProblem(&file);
  }
  if (raw.GetErrno() != 0) {
    throw FileError(Str("cannot read '", path, "': ", std::strerror(raw.GetErrno())));
  }
  if (!proto->IsInitialized()) {
    return Str("'", path,
               "' lacks required fields: ", proto->InitializationErrorString());
  }
  return "";
}

bool ReadProtoFromTextFile(const char* filename, Message* proto) {
  const string problem = TextFileProblem(filename, proto);
  LOG_IF(ERROR, !problem.empty()) << problem;
  return problem.empty();
}

void ReadProtoFromTextFileOrDie(const char* filename, Message* proto) {
  const string problem = TextFileProblem(filename, proto);
  if (!problem.empty()) throw ValueError(problem);
}

void ParseProtoTextOrDie(const string& text, const string& source, Message* proto) {
  const string problem = TextProblem(text, source, proto);
  if (!problem.empty()) throw ValueError(problem);
}

void WriteProtoToTextFile(const Message& proto, const char* filename) {
  string text;
  if (!TextFormat::PrintToString(proto, &text)) {
    throw RuntimeFailure(
        Str("cannot print ", proto.GetDescriptor()->name(), " for '", filename, "'"));
  }
  WriteFileAtomically(filename, text);
}

bool ReadProtoFromBinaryFile(const char* filename, Message* proto) {
  const string problem = BinaryFileProblem(filename, proto);
  LOG_IF(ERROR, !problem.empty()) << problem;
  return problem.empty();
}

void ReadProtoFromBinaryFileOrDie(const char* filename, Message* proto) {
  const string problem = BinaryFileProblem(filename, proto);
  if (!problem.empty()) throw FileError(problem);
}

void WriteProtoToBinaryFile(const Message& proto, const char* filename) {
  if (!proto.IsInitialized()) {
    throw ValueError(Str("cannot write '", filename, "': ", proto.GetDescriptor()->name(),
                         " lacks required fields: ", proto.InitializationErrorString()));
  }
  const std::size_t size = proto.ByteSizeLong();
  if (size > INT_MAX) {
    throw ValueError(Str("cannot write '", filename, "': ", size,
                         " bytes, more than the ", INT_MAX,
                         " of protobuf; write HDF5 instead (snapshot_format: HDF5)"));
  }
  AtomicFile file(filename);
  FileOutputStream raw(file.fd(), 1 << 20);
  if (!proto.SerializeToZeroCopyStream(&raw) || !raw.Flush()) file.Fail(raw.GetErrno());
  file.Commit();
}

}  // namespace caffe
