#ifndef CAFFE_TESTS_DATA_DATA_TEST_HPP_
#define CAFFE_TESTS_DATA_DATA_TEST_HPP_

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "caffe/proto/caffe.pb.h"
#include "caffe/util/db.hpp"
#include "fill.hpp"
#include "util/temporary_folder.hpp"

// What the tests of databases, images and data layers share.

namespace caffe {
namespace test {

inline std::string ImagePath(const std::string& name) {
  return std::string(CAFFE_TEST_DATA) + "/images/" + name;
}

inline std::string ImageBytes(const std::string& name) {
  return ReadBytes(ImagePath(name));
}

/// A binary PPM or PGM file, as the image generator wrote it.
struct Pixels {
  int width = 0, height = 0, channels = 0;
  std::string bytes;  // red-green-blue or grey, row by row

  /// In Caffe's channel order: blue, green, red.
  int At(int c, int h, int w) const {
    const int channel = channels == 3 ? 2 - c : c;
    return static_cast<unsigned char>(bytes[(h * width + w) * channels + channel]);
  }
};

inline Pixels ReadPixels(const std::string& name) {
  std::istringstream in(ImageBytes(name));
  std::string magic;
  int largest;
  Pixels pixels;
  in >> magic >> pixels.width >> pixels.height >> largest;
  in.get();
  pixels.channels = magic == "P6" ? 3 : 1;
  pixels.bytes = std::string(std::istreambuf_iterator<char>(in), {});
  EXPECT_EQ(pixels.bytes.size(),
            static_cast<size_t>(pixels.width * pixels.height * pixels.channels));
  return pixels;
}

/// A raw datum whose byte i is Bits(case_id, i).
inline Datum RawDatum(int case_id, int channels, int height, int width, int label) {
  Datum datum;
  datum.set_channels(channels);
  datum.set_height(height);
  datum.set_width(width);
  datum.set_label(label);
  std::string* data = datum.mutable_data();
  for (int i = 0; i < channels * height * width; ++i) {
    data->push_back(static_cast<char>(Bits(case_id, i)));
  }
  return datum;
}

inline Datum EncodedDatum(const std::string& bytes, int label) {
  Datum datum;
  datum.set_data(bytes);
  datum.set_label(label);
  datum.set_encoded(true);
  return datum;
}

using Entries = std::vector<std::pair<std::string, std::string>>;

inline void WriteDatabase(const std::string& path, const Entries& entries,
                          const std::string& backend = "lmdb") {
  const std::unique_ptr<db::DB> database(db::GetDB(backend));
  database->Open(path, db::NEW);
  const std::unique_ptr<db::Transaction> transaction(database->NewTransaction());
  for (const auto& [key, value] : entries) transaction->Put(key, value);
  transaction->Commit();
}

inline Entries ReadDatabase(const std::string& path,
                            const std::string& backend = "lmdb") {
  const std::unique_ptr<db::DB> database(db::GetDB(backend));
  database->Open(path, db::READ);
  const std::unique_ptr<db::Cursor> cursor(database->NewCursor());
  Entries entries;
  for (cursor->SeekToFirst(); cursor->valid(); cursor->Next()) {
    entries.emplace_back(cursor->key(), cursor->value());
  }
  return entries;
}

inline std::string Key(int i) {
  char key[16];
  std::snprintf(key, sizeof(key), "%08d", i);
  return key;
}

inline void WriteDatums(const std::string& path, const std::vector<Datum>& datums,
                        const std::string& backend = "lmdb") {
  Entries entries;
  for (size_t i = 0; i < datums.size(); ++i) {
    entries.emplace_back(Key(static_cast<int>(i)), datums[i].SerializeAsString());
  }
  WriteDatabase(path, entries, backend);
}

/// `action` throws a caffe::Error of this kind whose message has all these parts.
template <typename Action>
void ExpectError(ErrorKind kind, const std::vector<std::string>& parts, Action action) {
  try {
    action();
    ADD_FAILURE() << "no error was thrown";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(kind)) << message;
    for (const std::string& part : parts) {
      EXPECT_NE(message.find(part), std::string::npos)
          << "'" << part << "' is missing in: " << message;
    }
  }
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_DATA_DATA_TEST_HPP_
