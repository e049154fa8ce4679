#include "caffe/solvers/snapshot_files.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "caffe/error.hpp"
#include "caffe/solvers/file_digest.hpp"
#include "caffe/util/atomic_file.hpp"

namespace caffe {
namespace {

namespace fs = std::filesystem;

bool IsFile(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

struct StateName {
  std::string start;  ///< "s_iter_" of "s_iter_4.solverstate"
  std::int64_t iter = -1;
};

/// Has iter -1 for names that no snapshot has.
StateName ParseStateName(const std::string& name) {
  const size_t end = std::min(name.rfind(".solverstate"), name.size());
  const std::string extension = name.substr(end);
  const size_t digits = name.find_last_not_of("0123456789", end - 1) + 1;
  StateName parsed;
  parsed.start = name.substr(0, digits);
  if ((extension == ".solverstate" || extension == ".solverstate.h5") &&
      parsed.start.ends_with("_iter_")) {
    std::from_chars(name.data() + digits, name.data() + end, parsed.iter);
  }
  return parsed;
}

}  // namespace

void CheckSnapshotPrefix(const SolverParameter& param, const std::string& probe) {
  if (param.snapshot() && !param.has_snapshot_prefix()) {
    throw ValueError(
        "solver: snapshot is given without snapshot_prefix, expected the path and the "
        "start of the name for the snapshots");
  }
  const std::string who = Str("solver: snapshot_prefix '", param.snapshot_prefix(), "'");
  // Differs from BVLC, which wants the folder made beforehand.
  const fs::path folder = fs::path(param.snapshot_prefix()).parent_path();
  std::error_code problem;
  if (!folder.empty()) fs::create_directories(folder, problem);
  if (problem) {
    throw FileError(who, Str("the folder '", folder.string(),
                             "' is not there and cannot be made: ", problem.message()));
  }
  try {
    const AtomicFile file(probe);
  } catch (Error& error) {
    error.SetWho(who);
    throw;
  }
}

// The name comes from a file, so it may be anything: it is only ever read, and never if
// it is a pipe or a device.
std::string FindWeights(const std::string& state_file, const SolverState& state) {
  const fs::path named(state.learned_net());
  const fs::path beside = fs::path(state_file).parent_path() / named.filename();
  std::string other;
  for (const fs::path& path : {named, beside}) {
    if (!IsFile(path)) continue;
    if (!state.has_learned_net_digest() ||
        FileDigest(path.string()) == state.learned_net_digest()) {
      return path.string();
    }
    other = path.string();
  }
  if (!other.empty()) {
    throw FileError(Str("'", other, "' is not the file that was saved with '", state_file,
                        "': another run has replaced it, or it is damaged; resume from "
                        "another snapshot, or start from these weights alone"));
  }
  throw FileError(Str("'", state_file, "' needs the weights '", named.string(),
                      "', which are neither there nor beside it as '", beside.string(),
                      "'; put the file there"));
}

std::string AdviceOnSnapshotBefore(const std::string& state_file) {
  const fs::path path(state_file);
  const StateName own = ParseStateName(path.filename().string());
  if (own.iter < 0 || !IsFile(path)) return "";
  StateName before;
  fs::path file;
  std::error_code problem;
  fs::directory_iterator entry(path.parent_path().empty() ? "." : path.parent_path(),
                               problem);
  for (; !problem && entry != fs::directory_iterator(); entry.increment(problem)) {
    const fs::path name = entry->path().filename();
    const StateName other = ParseStateName(name.string());
    if (other.start != own.start || other.iter >= own.iter || other.iter <= before.iter) {
      continue;
    }
    before = other;
    file = path.parent_path() / name;
  }
  if (file.empty()) return "";
  return Str("; the one before is '", file.string(),
             "', from which `sknet train` goes on when this one is moved away");
}

void SnapshotRecord::LossIsFinite() {
  if (newest_.empty()) return;
  good_ = std::move(newest_);
  newest_.clear();
}

std::string SnapshotRecord::LastGood() const {
  const std::string untried =
      newest_.empty() ? ""
                      : Str("the snapshot '", newest_, "' is of the same iteration, ");
  if (good_.empty()) {
    return untried + (untried.empty() ? "there is no snapshot of this run, begin again"
                                      : "and there is none from before, begin again");
  }
  return Str(untried, "the last good snapshot is '", good_, "', go on from there");
}

std::string SnapshotRecord::Last() const {
  const std::string& last = newest_.empty() ? good_ : newest_;
  return last.empty() ? "there is no snapshot of this run"
                      : Str("the last snapshot is '", last, "'");
}

}  // namespace caffe
