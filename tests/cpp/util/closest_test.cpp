#include "caffe/util/closest.hpp"

#include <gtest/gtest.h>

namespace caffe {
namespace {

TEST(ClosestNameTest, FindsTypos) {
  const std::vector<std::string> types = {
      "Axpy",      "Convolution", "Deconvolution", "CuDNNBatchNorm",
      "BatchNorm", "ReLU",        "PReLU",         "ELU"};
  EXPECT_EQ(ClosestName("Convolutoin", types), "Convolution");
  EXPECT_EQ(ClosestName("axpy", types), "Axpy");
  EXPECT_EQ(ClosestName("CudnnBatchNorm", types), "CuDNNBatchNorm");
  EXPECT_EQ(ClosestName("Batchnorm", types), "BatchNorm");
  EXPECT_EQ(ClosestName("Relu", types), "ReLU");
  EXPECT_EQ(ClosestName("PRelu", types), "PReLU");
}

TEST(ClosestNameTest, ASwapIsOneEdit) {
  // "ab" is one swap from "ba" but two substitutions.
  EXPECT_EQ(ClosestName("ab", {"xb", "ba"}), "xb");  // equal distance: the first
  EXPECT_EQ(ClosestName("abcd", {"abxy", "abdc"}), "abdc");
}

TEST(ClosestNameTest, CaseDecidesAmongEquals) {
  EXPECT_EQ(ClosestName("exp", {"EXP", "exp"}), "exp");
  EXPECT_EQ(ClosestName("EXP", {"exp", "EXP"}), "EXP");
}

TEST(ClosestNameTest, NothingToChooseFrom) { EXPECT_EQ(ClosestName("x", {}), ""); }

TEST(ClosestNameTest, TakesHugeAndEmptyNames) {
  EXPECT_EQ(ClosestName(std::string(1 << 24, 'x'), {"yyy", std::string(200, 'x')}),
            std::string(200, 'x'));
  EXPECT_EQ(ClosestName("", {"abc", "a"}), "a");
}

}  // namespace
}  // namespace caffe
