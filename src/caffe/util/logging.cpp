#include "caffe/logging.hpp"

#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>

namespace caffe {

void RethrowWithPrefix(const Error& error, const std::string& prefix) {
  const std::string message = prefix + error.what();
  // The subclass goes with the kind: callers may catch either.
  switch (error.kind()) {
    case ErrorKind::kValue:
      throw ValueError(message);
    case ErrorKind::kFile:
      throw FileError(message);
    case ErrorKind::kRuntime:
      throw RuntimeFailure(message);
    case ErrorKind::kNotImplemented:
      throw NotImplementedFailure(message);
  }
  throw Error(error.kind(), message);
}

namespace logging {
namespace {

int FromEnvironment(const char* name, int fallback) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : fallback;
}

struct State {
  std::mutex mutex;
  std::atomic<int> min_severity{FromEnvironment("GLOG_minloglevel", google::INFO)};
  std::atomic<int> verbose{FromEnvironment("GLOG_v", 0)};
  Sink sink = nullptr;
  void* context = nullptr;
  std::FILE* file = nullptr;
};

// Never destroyed: threads may log while the process ends.
State& GetState() {
  static State* state = new State;
  return *state;
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

}  // namespace

LogSeverity MinSeverity() {
  return static_cast<LogSeverity>(GetState().min_severity.load());
}

void SetMinSeverity(LogSeverity severity) { GetState().min_severity = severity; }

int VerboseLevel() { return GetState().verbose; }

void SetVerboseLevel(int level) { GetState().verbose = level; }

void SetSink(Sink sink, void* context) {
  State& state = GetState();
  std::lock_guard<std::mutex> lock(state.mutex);
  state.sink = sink;
  state.context = context;
}

void SetLogFile(const std::string& path) {
  State& state = GetState();
  std::lock_guard<std::mutex> lock(state.mutex);
  if (state.file) std::fclose(state.file);
  state.file = nullptr;
  if (path.empty()) return;
  state.file = std::fopen(path.c_str(), "a");
  if (!state.file) {
    throw FileError(Str("log file '", path, "': cannot be opened for appending (",
                        std::strerror(errno), ")"));
  }
}

Message::~Message() {
  State& state = GetState();
  if (severity_ < state.min_severity.load()) return;
  const std::string line = LinePrefix(file_, line_, severity_) + stream_.str();
  std::lock_guard<std::mutex> lock(state.mutex);
  if (state.sink) {
    state.sink(severity_, line.c_str(), state.context);
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  if (state.file) {
    std::fprintf(state.file, "%s\n", line.c_str());
    std::fflush(state.file);
  }
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
