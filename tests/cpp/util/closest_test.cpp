#include "caffe/util/closest.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace caffe {
namespace {

// Decisions made by hand, which hold for the commands, too: see the Python test.
TEST(ClosestNameTest, DecidesAsTheTableDoes) {
  std::ifstream in(CAFFE_TEST_DATA "/names/closest.csv");
  std::string line;
  std::getline(in, line);
  ASSERT_EQ(line, "name,candidates,closest");
  int rows = 0;
  for (; std::getline(in, line); ++rows) {
    SCOPED_TRACE(line);
    std::istringstream cells(line);
    std::string name, listed, want, candidate;
    std::getline(cells, name, ',');
    std::getline(cells, listed, ',');
    std::getline(cells, want);
    std::vector<std::string> candidates;
    std::istringstream words(listed);
    while (words >> candidate) candidates.push_back(candidate);
    EXPECT_EQ(ClosestName(name, candidates), want);
  }
  EXPECT_GT(rows, 20);
}

TEST(ClosestNameTest, NothingToChooseFrom) { EXPECT_EQ(ClosestName("x", {}), ""); }

TEST(ClosestNameTest, TakesHugeNames) {
  EXPECT_EQ(ClosestName(std::string(1 << 24, 'x'), {"yyy", std::string(200, 'x')}),
            std::string(200, 'x'));
}

TEST(SuggestionTest, NamesTheClosestOrTheFewOrNothing) {
  EXPECT_EQ(Suggestion("Relu", {"ELU", "ReLU"}), "; the closest is 'ReLU'");
  EXPECT_EQ(Suggestion("data", {"label", "fc"}), "; there are 'label', 'fc'");
  EXPECT_EQ(Suggestion("data", {"label"}), "; there is only 'label'");
  EXPECT_EQ(Suggestion("data", {}), "");
  EXPECT_EQ(Suggestion("data", std::vector<std::string>(13, "label")), "");
}

}  // namespace
}  // namespace caffe
