#ifndef CAFFE_UTIL_IO_H_
#define CAFFE_UTIL_IO_H_

#include <string>

#include <google/protobuf/message.h>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/format.hpp"
#include "caffe/util/image_io.hpp"  // with the rest of what Caffe declares here

namespace caffe {

using ::google::protobuf::Message;

/// Creates a fresh folder below the system's temporary one.
void MakeTempDir(string* temp_dirname);
/// A name for a new file in a temporary folder of this process.
void MakeTempFilename(string* temp_filename);

/// Reads a text-format message, such as a prototxt.
///
/// A file that cannot be read throws FileError. Malformed text is reported as
/// "file:line:column: layer 'name': what is wrong": ReadProtoFromTextFile logs that
/// and returns false, the OrDie form throws it as ValueError.
bool ReadProtoFromTextFile(const char* filename, Message* proto);
inline bool ReadProtoFromTextFile(const string& filename, Message* proto) {
  return ReadProtoFromTextFile(filename.c_str(), proto);
}
void ReadProtoFromTextFileOrDie(const char* filename, Message* proto);
inline void ReadProtoFromTextFileOrDie(const string& filename, Message* proto) {
  ReadProtoFromTextFileOrDie(filename.c_str(), proto);
}

/// The same for text in memory; `source` stands for the file in messages.
void ParseProtoTextOrDie(const string& text, const string& source, Message* proto);

/// The file appears complete or not at all, and an older one stays until then.
void WriteProtoToTextFile(const Message& proto, const char* filename);
inline void WriteProtoToTextFile(const Message& proto, const string& filename) {
  WriteProtoToTextFile(proto, filename.c_str());
}

/// Reads a binary message, such as a caffemodel.
///
/// A file that cannot be read throws FileError. Contents that are truncated, damaged
/// or of another kind are logged with false returned, or thrown as FileError by the
/// OrDie form.
bool ReadProtoFromBinaryFile(const char* filename, Message* proto);
inline bool ReadProtoFromBinaryFile(const string& filename, Message* proto) {
  return ReadProtoFromBinaryFile(filename.c_str(), proto);
}
void ReadProtoFromBinaryFileOrDie(const char* filename, Message* proto);
inline void ReadProtoFromBinaryFileOrDie(const string& filename, Message* proto) {
  ReadProtoFromBinaryFileOrDie(filename.c_str(), proto);
}

/// Writes atomically. Throws ValueError above protobuf's limit of 2 GiB.
void WriteProtoToBinaryFile(const Message& proto, const char* filename);
inline void WriteProtoToBinaryFile(const Message& proto, const string& filename) {
  WriteProtoToBinaryFile(proto, filename.c_str());
}

}  // namespace caffe

#endif  // CAFFE_UTIL_IO_H_
