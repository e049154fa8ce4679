#ifndef CAFFE_TESTS_FUZZ_FUZZ_HPP_
#define CAFFE_TESTS_FUZZ_FUZZ_HPP_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <google/protobuf/message.h>

#include "caffe/error.hpp"

namespace caffe {
namespace fuzz {

/// Does what may fail for the one reason that is right with damaged input, an Error,
/// whose sentence must say something. Any other exception ends the program, and so is
/// found.
void MayRefuse(const std::function<void()>& work);

/// A file that holds the input, and is gone with the object.
class InputFile {
 public:
  InputFile(const std::uint8_t* data, std::size_t size, const std::string& ending);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Reads a message from text; false, and not a word, if it is none.
bool FromText(const std::string& text, google::protobuf::Message* message);

/// Changes one thing in a message, somewhere in it: sets, clears, repeats or removes a
/// field. Numbers are small ones and those at the ends of their ranges.
void Mutate(google::protobuf::Message* message, unsigned seed);

/// Whether no number in it, and no more than so many of its parts, are large: what such a
/// message asks for takes little memory and time.
bool IsSmall(const google::protobuf::Message& message, double largest);

/// Changes one thing in a message that is given by its bytes, or is text, in the place of
/// those; 0 if they are no message, or the result is longer than that.
std::size_t MutateBytes(google::protobuf::Message* message, std::uint8_t* data,
                        std::size_t size, std::size_t max_size, unsigned seed);
std::size_t MutateText(google::protobuf::Message* message, std::uint8_t* data,
                       std::size_t size, std::size_t max_size, unsigned seed);

}  // namespace fuzz
}  // namespace caffe

#endif  // CAFFE_TESTS_FUZZ_FUZZ_HPP_
