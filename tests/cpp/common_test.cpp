#include "caffe/common.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "caffe/device.hpp"
#include "caffe/util/math_functions.hpp"
#include "util/temporary_folder.hpp"

namespace caffe {
namespace {

using test::MessageOf;
using testing::HasSubstr;

std::vector<unsigned int> Draws(int n) {
  std::vector<unsigned int> draws;
  for (int i = 0; i < n; ++i) draws.push_back(caffe_rng_rand());
  return draws;
}

TEST(CommonTest, EqualSeedsGiveEqualDraws) {
  Caffe::set_random_seed(1701);
  EXPECT_EQ(Caffe::random_seed(), 1701u);
  const auto first = Draws(10);
  const auto next = Draws(10);
  EXPECT_NE(first, next);
  Caffe::set_random_seed(1701);
  EXPECT_EQ(Draws(10), first);
  Caffe::set_random_seed(1702);
  EXPECT_NE(Draws(10), first);
}

// A stream may be copied, as Caffe's programs do, and then runs by itself.
TEST(CommonTest, StreamsOfEqualSeedAgree) {
  Caffe::RNG one(5), other(5);
  rng_t* a = static_cast<rng_t*>(one.generator());
  rng_t* b = static_cast<rng_t*>(other.generator());
  for (int i = 0; i < 9; ++i) EXPECT_EQ((*a)(), (*b)());
}

// Mode, seed and solver role belong to the thread.
TEST(CommonTest, ThreadsHaveTheirOwnState) {
  Caffe::set_random_seed(3);
  Caffe::set_solver_rank(2);
  Caffe::set_solver_count(4);
  EXPECT_FALSE(Caffe::root_solver());
  std::vector<unsigned int> theirs;
  std::thread([&] {
    EXPECT_TRUE(Caffe::root_solver());
    EXPECT_EQ(Caffe::solver_count(), 1);
    EXPECT_EQ(Caffe::mode(), Caffe::CPU);
    Caffe::set_random_seed(3);
    theirs = Draws(5);
  }).join();
  EXPECT_EQ(Draws(5), theirs);
  Caffe::set_solver_rank(0);
  Caffe::set_solver_count(1);
  EXPECT_TRUE(Caffe::root_solver());
}

TEST(CommonTest, NotImplementedNamesThePlace) {
  EXPECT_THAT(MessageOf<NotImplementedFailure>([] { NOT_IMPLEMENTED; }),
              HasSubstr("common_test.cpp"));
}

TEST(CommonTest, ABuildWithoutGpuSaysSo) {
  if (device::Supported()) GTEST_SKIP() << "built with one";
  EXPECT_NE(MessageOf<Error>([] { Caffe::set_mode(Caffe::GPU); }), "");
  EXPECT_EQ(Caffe::mode(), Caffe::CPU);
  EXPECT_NE(MessageOf<Error>([] { Caffe::SetDevice(0); }), "");
  EXPECT_FALSE(Caffe::CheckDevice(0));
  EXPECT_EQ(Caffe::FindDevice(), -1);
}

}  // namespace
}  // namespace caffe
