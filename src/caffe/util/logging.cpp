#include "caffe/logging.hpp"

#include <strings.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <mutex>

#include "caffe/util/flags.hpp"
#include "caffe/util/log_file.hpp"

namespace {

int FromEnvironment(const char* name, int fallback) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : fallback;
}

}  // namespace

DEFINE_int32(
    minloglevel, FromEnvironment("GLOG_minloglevel", 0),
    "Log lines below this severity are not printed: 0 INFO, 1 WARNING, 2 ERROR.");
DEFINE_int32(v, FromEnvironment("GLOG_v", 0), "The highest VLOG(n) that is printed.");
DEFINE_int32(stderrthreshold, 2, "Without effect: all lines go to stderr.");
DEFINE_bool(logtostderr, true, "Without effect: all lines go to stderr.");
DEFINE_bool(alsologtostderr, true, "Without effect: all lines go to stderr.");
DEFINE_bool(colorlogtostderr, false, "Without effect: lines have no colours.");

namespace caffe {

namespace logging {
namespace {

struct State {
  std::mutex mutex;
  Sink sink = nullptr;
  void* context = nullptr;
  std::unique_ptr<LogFile> file;
};

// Never destroyed: threads may log while the process ends.
State& GetState() {
  static State* state = new State;
  return *state;
}

// Programs read and set flags as plain variables.
std::atomic_ref<std::int32_t> Shared(std::int32_t& flag) {
  return std::atomic_ref<std::int32_t>(flag);
}

const char* BaseName(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash ? slash + 1 : path;
}

std::string LinePrefix(const char* file, int line, LogSeverity severity) {
  timeval now;
  gettimeofday(&now, nullptr);
  tm local;
  localtime_r(&now.tv_sec, &local);
  char text[160];
  std::snprintf(text, sizeof(text), "%c%02d%02d %02d:%02d:%02d.%06ld %5ld %.80s:%d] ",
                "IWEF"[severity], local.tm_mon + 1, local.tm_mday, local.tm_hour,
                local.tm_min, local.tm_sec, static_cast<long>(now.tv_usec),
                static_cast<long>(syscall(SYS_gettid)), BaseName(file), line);
  return text;
}

void Print(const State& state, LogSeverity severity, const std::string& line) {
  if (state.sink) {
    state.sink(severity, line.c_str(), state.context);
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

}  // namespace

LogSeverity MinSeverity() {
  return static_cast<LogSeverity>(Shared(FLAGS_minloglevel).load());
}

void SetMinSeverity(LogSeverity severity) { Shared(FLAGS_minloglevel) = severity; }

int VerboseLevel() { return Shared(FLAGS_v).load(); }

void SetVerboseLevel(int level) { Shared(FLAGS_v) = level; }

bool EqualButForCase(const char* a, const char* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return strcasecmp(a, b) == 0;
}

void SetSink(Sink sink, void* context) {
  State& state = GetState();
  std::lock_guard<std::mutex> lock(state.mutex);
  state.sink = sink;
  state.context = context;
}

void SetLogFile(const std::string& path) {
  State& state = GetState();
  std::lock_guard<std::mutex> lock(state.mutex);
  state.file.reset();
  if (!path.empty()) state.file = std::make_unique<LogFile>(path);
}

Message::~Message() {
  State& state = GetState();
  if (severity_ < MinSeverity()) return;
  const std::string line = LinePrefix(file_, line_, severity_) + stream_.str();
  std::lock_guard<std::mutex> lock(state.mutex);
  Print(state, severity_, line);
  if (!state.file) return;
  const std::string problem = state.file->Append(line);
  if (problem.empty()) return;
  Print(state, glog::WARNING, LinePrefix(__FILE__, __LINE__, glog::WARNING) + problem);
}

FatalMessage::~FatalMessage() noexcept(false) {
  if (std::uncaught_exceptions() > exceptions_) return;
  std::string text;
  if (!condition_.empty()) text = Str("Check failed: ", condition_, " ");
  text += stream_.str();
  while (!text.empty() && text.back() == ' ') text.pop_back();
  throw ValueError(Str(text, " [", BaseName(file_), ":", line_, "]"));
}

}  // namespace logging
}  // namespace caffe
