#include "caffe/error.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <stdexcept>
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

TEST(ErrorTest, SaysWhereWhoAndWhat) {
  ValueError error("pad is -1, expected 0 or more");
  EXPECT_EQ(error.who(), "");
  error.SetWho("layer 'conv' (Convolution)");
  error.Prefix("net.prototxt");
  error.Prefix("solver.prototxt");
  EXPECT_EQ(error.who(), "layer 'conv' (Convolution)");
  EXPECT_EQ(error.message(), "pad is -1, expected 0 or more");
  EXPECT_STREQ(error.what(),
               "solver.prototxt: net.prototxt: layer 'conv' (Convolution): pad is -1, "
               "expected 0 or more");
  error.SetMessage("kernel_size is 0");
  EXPECT_STREQ(
      error.what(),
      "solver.prototxt: net.prototxt: layer 'conv' (Convolution): kernel_size is "
      "0");
}

TEST(ErrorTest, WhoIsSaidOnce) {
  FileError error("layer 'a' (Data)", "its source is missing");
  error.SetWho("layer 'b' (Data)");
  EXPECT_EQ(error.who(), "layer 'a' (Data)");
  EXPECT_STREQ(error.what(), "layer 'a' (Data): its source is missing");
}

// A record's name is part of what a data layer says; a net's file is not.
TEST(ErrorTest, APrefixStandsBeforeWhatIsKnown) {
  FileError error("not an image");
  error.Prefix("image 'a.png'");
  error.SetWho("layer 'data' (ImageData)");
  error.Prefix("net.prototxt");
  EXPECT_EQ(error.message(), "image 'a.png': not an image");
  EXPECT_STREQ(error.what(),
               "net.prototxt: layer 'data' (ImageData): image 'a.png': not an image");
}

class TooDeep : public NotImplementedFailure {
 public:
  using NotImplementedFailure::NotImplementedFailure;
};

// Who catches a class of their own must still get it after a layer has added its name.
TEST(ErrorTest, KeepsItsClassWhenItGoesOn) {
  const auto named = [] {
    try {
      throw TooDeep("9 levels");
    } catch (Error& error) {
      error.SetWho("layer 'x' (Deep)");
      throw;
    }
  };
  try {
    named();
    FAIL() << "returned";
  } catch (const TooDeep& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotImplemented);
    EXPECT_STREQ(error.what(), "layer 'x' (Deep): 9 levels");
  }
}

void NobodyCatches(void (*act)()) noexcept { act(); }

// What a program that catches nothing does: no core dump, and the sentence is the last
// thing that is printed.
TEST(ErrorDeathTest, OneThatNobodyCatchesIsPrintedAndExitsWithOne) {
  EXPECT_EXIT(NobodyCatches([] { throw ValueError("layer 'x' (Deep)", "9 levels"); }),
              testing::ExitedWithCode(1),
              "[^\n]+: error: layer 'x' \\(Deep\\): 9 levels\n$");
  EXPECT_EXIT(NobodyCatches([] { throw std::logic_error("of another library"); }),
              testing::KilledBySignal(SIGABRT), "of another library");
}

}  // namespace
}  // namespace caffe
