#include "caffe/util/hdf5_guard.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "caffe/error.hpp"

namespace caffe {
namespace {

// Enough for whatever is stored as it is, and for all but absurd compression.
constexpr std::uint64_t kBytes = 512 << 20;
constexpr std::uint64_t kBytesPerByte = 8;
constexpr std::uint64_t kSeconds = 10;
constexpr std::uint64_t kBytesPerSecond = 16 << 20;  // a slow disk's, for more

// Lies in this library, wherever it is loaded from.
const char kHere = 0;

// Looked up when the library is loaded: a relative path counts from that moment's folder.
const std::string kFolder = [] {
  Dl_info info;
  std::error_code ignored;
  if (dladdr(&kHere, &info) == 0) return std::string();
  return std::filesystem::absolute(info.dli_fname, ignored).parent_path().string();
}();

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }

 private:
  int fd_;
};

// The copy's descriptor in the other process, behind the standard ones.
constexpr int kCopy = 3;

// A file in memory without a name, for the other process to write into.
int MemoryFile() {
  const Descriptor any(::memfd_create("caffe-hdf5", MFD_CLOEXEC));
  // None of those that it will have, as it may be here if a standard one is closed.
  const int fd = ::fcntl(any.get(), F_DUPFD_CLOEXEC, kCopy + 1);
  if (fd < 0) throw RuntimeFailure(Str("no file in memory: ", std::strerror(errno)));
  return fd;
}

int Start(const std::string& path, const Hdf5Reader& reader, int copy, int message,
          pid_t* pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, message, 1);
  // What its C library says of a broken heap is nobody's concern.
  ::posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, copy, kCopy);
  // A group of its own: Ctrl-C at a terminal is for us, and no damage of the file.
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::array<std::string, 4> words = {reader.program, path, Str(reader.bytes),
                                      Str(reader.seconds)};
  std::array<char*, 5> argv{};
  for (std::size_t i = 0; i < words.size(); ++i) argv[i] = words[i].data();
  const int code = ::posix_spawn(pid, reader.program.c_str(), &files, &attributes,
                                 argv.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  return code;
}

std::string Text(int fd) {
  std::string text(4096, '\0');
  const ssize_t size = ::pread(fd, text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(size < 0 ? 0 : size));
  return text;
}

// What a signal says about the file.
std::string Verdict(int signal, const Hdf5Reader& reader) {
  if (signal == SIGXCPU) {
    return Str("did not get to its end in ", reader.seconds, " s");
  }
  return Str("crashed in it (", ::strsignal(signal), ")");
}

}  // namespace

Hdf5Reader DefaultHdf5Reader(std::uint64_t bytes) {
  return {kFolder + "/caffe-hdf5-reader", kBytes + kBytesPerByte * bytes,
          kSeconds + bytes / kBytesPerSecond};
}

Hdf5Copy::Hdf5Copy(const std::string& path, const Hdf5Reader& reader) {
  const Descriptor copy(MemoryFile());
  const Descriptor message(MemoryFile());
  pid_t pid = 0;
  if (const int code = Start(path, reader, copy.get(), message.get(), &pid); code != 0) {
    throw RuntimeFailure(Str("'", reader.program, "', which reads HDF5 files such as '",
                             path, "', cannot be started: ", std::strerror(code),
                             "; it belongs beside libcaffe, install that again"));
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno == EINTR) continue;
    throw RuntimeFailure(Str("'", path, "': what became of the process that read it is ",
                             "lost: ", std::strerror(errno)));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    struct stat info{};
    ::fstat(copy.get(), &info);
    size_ = static_cast<std::size_t>(info.st_size);
    data_ = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, copy.get(), 0);
    if (data_ != MAP_FAILED) return;
    throw RuntimeFailure(Str("'", path, "': its copy of ", size_,
                             " bytes cannot be mapped: ", std::strerror(errno)));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 1) {
    throw FileError(Str("'", path, "': ", Text(message.get())));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
    throw FileError(Str("cannot read '", path, "' as HDF5: ", Text(message.get())));
  }
  if (WIFSIGNALED(status) &&
      (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT ||
       WTERMSIG(status) == SIGHUP || WTERMSIG(status) == SIGKILL)) {
    throw RuntimeFailure(Str("'", path, "': the process that read it was ended: ",
                             ::strsignal(WTERMSIG(status))));
  }
  throw FileError(Str("'", path, "' is damaged: HDF5 ",
                      WIFSIGNALED(status)
                          ? Verdict(WTERMSIG(status), reader)
                          : Str("ended with status ", WEXITSTATUS(status)),
                      ", expected a file that it can read; get it again, or use another "
                      "snapshot"));
}

Hdf5Copy::~Hdf5Copy() { ::munmap(data_, size_); }

}  // namespace caffe
