// Images of a list into a database.

#include <algorithm>
#include <fstream>  // NOLINT(readability/streams)
#include <string>
#include <utility>
#include <vector>

#include "boost/scoped_ptr.hpp"
#include "boost/variant.hpp"
#include "gflags/gflags.h"
#include "glog/logging.h"

#include "caffe/proto/caffe.pb.h"
#include "caffe/util/db.hpp"
#include "caffe/util/format.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/rng.hpp"

using namespace caffe;  // NOLINT(build/namespaces)
using boost::scoped_ptr;
using std::pair;

DEFINE_bool(gray, false, "Treat images as grayscale ones");
DEFINE_bool(shuffle, false, "Randomly shuffle the order of images and their labels");
DEFINE_string(backend, "lmdb", "The backend {lmdb, leveldb} for storing the result");
DEFINE_int32(resize_width, 0, "Width images are resized to");
DEFINE_int32(resize_height, 0, "Height images are resized to");
DEFINE_bool(check_size, false, "Check that all the datum have the same size");
DEFINE_bool(encoded, false, "Save the encoded image in datum");
DEFINE_string(encode_type, "", "What type to encode the image as ('png','jpg',...).");

int main(int argc, char** argv) {
  ::google::InitGoogleLogging(argv[0]);
  FLAGS_alsologtostderr = 1;
#ifndef GFLAGS_GFLAGS_H_
  namespace gflags = google;
#endif
  gflags::SetUsageMessage(
      "Convert a set of images to the leveldb/lmdb format.\n"
      "Usage:\n    convert_imageset [FLAGS] ROOTFOLDER/ LISTFILE DB_NAME\n");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  if (argc < 4) {
    gflags::ShowUsageWithFlagsRestrict(argv[0], "convert_imageset");
    return 1;
  }
  const bool is_color = !FLAGS_gray;
  std::ifstream infile(argv[2]);
  std::vector<std::pair<std::string, int>> lines;
  std::string line;
  while (std::getline(infile, line)) {
    const size_t pos = line.find_last_of(' ');
    lines.push_back(
        std::make_pair(line.substr(0, pos), atoi(line.substr(pos + 1).c_str())));
  }
  if (FLAGS_shuffle) {
    LOG(INFO) << "Shuffling data";
    shuffle(lines.begin(), lines.end());
  }
  LOG(INFO) << "A total of " << lines.size() << " images.";
  if (FLAGS_encode_type.size() && !FLAGS_encoded) {
    LOG(INFO) << "encode_type specified, assuming encoded=true.";
  }
  const int resize_height = std::max<int>(0, FLAGS_resize_height);
  const int resize_width = std::max<int>(0, FLAGS_resize_width);
  scoped_ptr<db::DB> db(db::GetDB(FLAGS_backend));
  db->Open(argv[3], db::NEW);
  scoped_ptr<db::Transaction> txn(db->NewTransaction());
  std::string root_folder(argv[1]);
  Datum datum;
  int count = 0;
  int data_size = 0;
  bool data_size_initialized = false;
  for (int line_id = 0; line_id < (int)lines.size(); ++line_id) {
    std::string enc = FLAGS_encode_type;
    if (FLAGS_encoded && !enc.size()) {
      std::string fn = lines[line_id].first;
      const size_t p = fn.rfind('.');
      if (p == fn.npos) LOG(WARNING) << "Failed to guess the encoding of '" << fn << "'";
      enc = fn.substr(p + 1);
      std::transform(enc.begin(), enc.end(), enc.begin(), ::tolower);
    }
    const bool status =
        ReadImageToDatum(root_folder + lines[line_id].first, lines[line_id].second,
                         resize_height, resize_width, is_color, enc, &datum);
    if (status == false) continue;
    if (FLAGS_check_size) {
      if (!data_size_initialized) {
        data_size = datum.channels() * datum.height() * datum.width();
        data_size_initialized = true;
      } else {
        const std::string& data = datum.data();
        CHECK_EQ(data.size(), data_size) << "Incorrect data field size " << data.size();
      }
    }
    const string key_str = caffe::format_int(line_id, 8) + "_" + lines[line_id].first;
    string out;
    CHECK(datum.SerializeToString(&out));
    txn->Put(key_str, out);
    if (++count % 1000 == 0) {
      txn->Commit();
      txn.reset(db->NewTransaction());
      LOG(INFO) << "Processed " << count << " files.";
    }
  }
  if (count % 1000 != 0) {
    txn->Commit();
    LOG(INFO) << "Processed " << count << " files.";
  }
  return 0;
}
