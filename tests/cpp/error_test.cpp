#include "caffe/error.hpp"

#include <gtest/gtest.h>

#include <string>

namespace caffe {
namespace {

TEST(StrTest, ConcatenatesAsAStreamWould) {
  EXPECT_EQ(Str("conv", 2, ": ", 0.5, " of ", std::string("x"), 'y'), "conv2: 0.5 of xy");
}

TEST(ErrorTest, CarriesItsKindAndText) {
  EXPECT_EQ(ValueError("a").kind(), ErrorKind::kValue);
  EXPECT_EQ(FileError("a").kind(), ErrorKind::kFile);
  EXPECT_EQ(RuntimeFailure("a").kind(), ErrorKind::kRuntime);
  EXPECT_EQ(NotImplementedFailure("a").kind(), ErrorKind::kNotImplemented);
  EXPECT_STREQ(FileError("net.prototxt: is missing").what(), "net.prototxt: is missing");
}

template <typename E>
class RethrowTest : public testing::Test {};
using Errors =
    testing::Types<ValueError, FileError, RuntimeFailure, NotImplementedFailure>;
TYPED_TEST_SUITE(RethrowTest, Errors);

// Who catches a subclass must still get it after Net has added the layer's name.
TYPED_TEST(RethrowTest, KeepsTheClass) {
  const TypeParam original("pad is -1");
  try {
    RethrowWithPrefix(original, "layer 'conv': ");
    FAIL() << "returned";
  } catch (const TypeParam& error) {
    EXPECT_STREQ(error.what(), "layer 'conv': pad is -1");
    EXPECT_EQ(error.kind(), original.kind());
  }
}

}  // namespace
}  // namespace caffe
