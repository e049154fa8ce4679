#include "caffe/data/database_builder.hpp"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "caffe/data/ordered_results.hpp"
#include "caffe/util/fnv1a.hpp"

namespace caffe {
namespace {

// A transaction keeps its entries in memory until it is committed.
constexpr std::uint64_t kCommitBytes = std::uint64_t{64} << 20;

// The names and labels in whatever order, the settings, and only then the order: another
// seed is to be told as such.
BuildSettings AllSettings(const vector<ListedImage>& images,
                          const BuildSettings& settings) {
  std::uint64_t sum = 0;
  Fnv1a order;
  for (const ListedImage& image : images) {
    Fnv1a one;
    one.Add(Str(image.label, ' ', image.path));
    sum += one.value();
    order.Add(Str(one.value(), '\n'));
  }
  BuildSettings all = {{"other images or labels", Str(sum)}};
  all.insert(all.end(), settings.begin(), settings.end());
  all.emplace_back("another order of the images", Str(order.value()));
  return all;
}

}  // namespace

string DatabaseKey(std::size_t number, const string& name) {
  char digits[24];
  std::snprintf(digits, sizeof(digits), "%08zu_", number);
  return digits + name;
}

DatabaseBuilder::DatabaseBuilder(const string& database, const string& backend)
    : db_(db::GetDB(backend)), folder_(database) {
  const std::optional<BuildState> state = ReadBuildState(folder());
  if (state && state->after.images > 0) {
    state_ = *state;
    stored_ = state->after;  // at most: Resume counts
  } else {
    RemoveAllButState();  // such as a database that was not yet created in full
  }
}

DatabaseBuilder::~DatabaseBuilder() {
  transaction_.reset();
  db_.reset();
  if (published_ || stored_.images > 0) return;
  RemoveAllButState();
  ::unlink(Str(folder(), "/", kBuildStateFile).c_str());
  ::rmdir(folder().c_str());
}

void DatabaseBuilder::RemoveAllButState() {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder(), error), end;
       !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (entry->path().filename() != kBuildStateFile) {
      std::filesystem::remove_all(entry->path(), ignored);
    }
  }
}

std::optional<string> DatabaseBuilder::BegunWith(const string& setting) const {
  for (const auto& [name, value] : state_.settings) {
    if (name == setting) return value;
  }
  return std::nullopt;
}

BuildResult DatabaseBuilder::Build(const vector<ListedImage>& images,
                                   const std::function<ImageRecord(std::size_t)>& make,
                                   const BuildOptions& options,
                                   const DataProgress& progress) {
  BuildResult result;
  result.listed = images.size();
  Begin(images, options.settings);
  if (stored_.images > 0) Resume(images, &result);
  transaction_.reset(db_->NewTransaction());
  OrderedResults<ImageRecord> records(options.threads);
  for (std::size_t submitted = next_; next_ < images.size(); ++next_) {
    for (; submitted < images.size() && !records.full(); ++submitted) {
      records.Submit([&make, submitted] { return make(submitted); });
    }
    ImageRecord record = records.Next();
    const ListedImage& image = images[next_];
    const string key = DatabaseKey(next_, image.path);
    if (record.reason.empty() && options.check_size) {
      record.reason = SizeProblem(image.path, record);
    }
    if (record.reason.empty()) {
      try {
        transaction_->Put(key, record.value);
      } catch (const ValueError& error) {
        record.reason = error.what();  // a path too long for a key
      }
    }
    if (record.reason.empty()) {
      ++result.class_counts[image.label];
      pending_.bytes += key.size() + record.value.size();
      if (stored_.images + pending_.images++ == 0) first_ = std::move(record);
      const bool full = pending_.images >= static_cast<unsigned>(options.commit_images);
      if (full || pending_.bytes >= kCommitBytes) Commit();
    } else {
      state_.rejected[next_] = std::move(record.reason);
    }
    if (progress) progress(next_ + 1, images.size());
  }
  Commit();
  result.written = stored_.images;
  result.bytes = stored_.bytes;
  for (const auto& [number, reason] : state_.rejected) {
    result.rejected.push_back({images[number].path, images[number].line, reason});
  }
  return result;
}

void DatabaseBuilder::Begin(const vector<ListedImage>& images,
                            const BuildSettings& settings) {
  BuildSettings all = AllSettings(images, settings);
  if (state_.settings.empty()) {
    state_.settings = std::move(all);
    WriteBuildState(folder(), state_);
  } else if (const string other = DifferenceOf(state_.settings, all); !other.empty()) {
    throw ValueError(Str("'", folder(), "' was begun with ", other,
                         "; give what it was begun with, or remove it"));
  }
  db_->Open(folder(), db::WRITE);
}

void DatabaseBuilder::Resume(const vector<ListedImage>& images, BuildResult* result) {
  const auto fail = [this](const string& problem) {
    throw FileError(Str("'", folder(), "' ", problem, "; remove it"));
  };
  BuildState::Size found;
  const std::unique_ptr<db::Cursor> cursor(db_->NewCursor());
  for (cursor->SeekToFirst(); cursor->valid(); cursor->Next(), ++next_) {
    while (state_.rejected.contains(next_)) ++next_;
    if (next_ >= images.size() ||
        cursor->key() != DatabaseKey(next_, images[next_].path)) {
      fail(Str("has an entry '", cursor->key(), "', which the list has not there"));
    }
    ++result->class_counts[images[next_].label];
    if (found.images++ > 0) continue;
    Datum datum;
    if (!datum.ParseFromString(cursor->value()))
      fail("has a first entry that is no Datum");
    first_.channels = datum.channels();
    first_.height = datum.height();
    first_.width = datum.width();
  }
  if (found.images != state_.before.images && found.images != state_.after.images) {
    fail(Str("holds ", found.images, " images, expected ", state_.after.images,
             " by its ", kBuildStateFile));
  }
  const bool all = found.images == state_.after.images;
  stored_ = {found.images, all ? state_.after.bytes : state_.before.bytes};
  result->resumed = found.images;
  // Those behind the last stored image are read again.
  state_.rejected.erase(state_.rejected.lower_bound(next_), state_.rejected.end());
}

string DatabaseBuilder::SizeProblem(const string& name, const ImageRecord& record) {
  if (stored_.images + pending_.images == 0 ||
      (record.channels == first_.channels && record.height == first_.height &&
       record.width == first_.width)) {
    return "";
  }
  return Str("'", name, "' is ", record.channels, " x ", record.height, " x ",
             record.width, ", expected ", first_.channels, " x ", first_.height, " x ",
             first_.width, " (channels, height, width) like the first image");
}

// The state comes first: reasons of images behind the last stored one are dropped by
// Resume, but none may be missing.
void DatabaseBuilder::Commit() {
  state_.before = stored_;
  state_.after = {stored_.images + pending_.images, stored_.bytes + pending_.bytes};
  WriteBuildState(folder(), state_);
  if (pending_.images == 0) return;
  try {
    transaction_->Commit();
  } catch (const FileError& error) {
    throw FileError(
        Str(error.what(), " (make room, then run the same command again to go on)"));
  }
  transaction_.reset(db_->NewTransaction());
  stored_ = state_.after;
  pending_ = {};
}

void DatabaseBuilder::Publish() {
  transaction_.reset();
  db_->Close();
  // Readers need none, and who writes makes another.
  ::unlink((folder() + "/lock.mdb").c_str());
  folder_.Commit();
  published_ = true;
  // A process that is killed here leaves the file, which nobody reads.
  ::unlink(Str(folder_.target(), "/", kBuildStateFile).c_str());
}

}  // namespace caffe
