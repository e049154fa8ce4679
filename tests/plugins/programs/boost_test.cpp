// What programs written for Caffe use of Boost.

#include <gtest/gtest.h>

#include <boost/algorithm/string.hpp>
#include <boost/bind.hpp>
#include <boost/filesystem.hpp>
#include <boost/function.hpp>
#include <boost/lexical_cast.hpp>
#include <boost/make_shared.hpp>
#include <boost/scoped_ptr.hpp>
#include <boost/shared_ptr.hpp>
#include <boost/unordered_map.hpp>
#include <boost/variant.hpp>
#include <map>
#include <string>
#include <vector>

#include "caffe/caffe.hpp"

using std::string;
using std::vector;

TEST(BoostTest, LexicalCast) {
  EXPECT_EQ(boost::lexical_cast<int>("42"), 42);
  EXPECT_EQ(boost::lexical_cast<int>(string("-7")), -7);
  EXPECT_EQ(boost::lexical_cast<string>(3), "3");
  EXPECT_EQ(boost::lexical_cast<string>("a b"), "a b");
  EXPECT_EQ(boost::lexical_cast<float>("0.25"), 0.25f);
  const double third = 1.0 / 3;
  EXPECT_EQ(boost::lexical_cast<double>(boost::lexical_cast<string>(third)), third);
  const char* wrong[] = {"", "x", "4x", " 4", "4 ", "1.5", "99999999999"};
  for (int i = 0; i < 7; ++i) {
    EXPECT_THROW(boost::lexical_cast<int>(wrong[i]), boost::bad_lexical_cast) << wrong[i];
  }
}

TEST(BoostTest, Strings) {
  vector<string> parts;
  boost::split(parts, "0,1,,2", boost::is_any_of(","));
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_EQ(parts[2], "");
  boost::split(parts, string("a  b\tc"), boost::is_any_of(" \t"),
               boost::token_compress_on);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(boost::algorithm::join(parts, "+"), "a+b+c");
  boost::split(parts, "", boost::is_any_of(","));
  EXPECT_EQ(parts.size(), 1u);
  string text = " \tGoogLeNet\n";
  boost::trim(text);
  EXPECT_EQ(text, "GoogLeNet");
  EXPECT_EQ(boost::to_lower_copy(text), "googlenet");
  boost::to_upper(text);
  EXPECT_EQ(text, "GOOGLENET");
  EXPECT_TRUE(boost::starts_with(text, "GOO"));
  EXPECT_TRUE(boost::ends_with(text, "NET"));
  EXPECT_FALSE(boost::ends_with("t", "net"));
  EXPECT_TRUE(boost::iequals(text, "googLENET"));
  boost::replace_all(text, "O", "00");
  EXPECT_EQ(text, "G0000GLENET");
}

TEST(BoostTest, Pointers) {
  boost::scoped_ptr<int> scoped(new int(3));
  scoped.reset(new int(4));
  EXPECT_EQ(*scoped, 4);
  boost::shared_ptr<string> shared = boost::make_shared<string>("x");
  boost::weak_ptr<string> weak = shared;
  EXPECT_EQ(shared.use_count(), 1);
  shared.reset();
  EXPECT_FALSE(weak.lock());
}

TEST(BoostTest, PointersOfCaffe) {
  caffe::NetParameter param;
  caffe::LayerParameter* layer = param.add_layer();
  layer->set_name("x");
  layer->set_type("Input");
  layer->add_top("x");
  layer->mutable_input_param()->add_shape()->add_dim(2);
  boost::shared_ptr<caffe::Net<float>> net(new caffe::Net<float>(param));
  const boost::shared_ptr<caffe::Blob<float>> blob = net->blob_by_name("x");
  boost::shared_ptr<caffe::Layer<float>> made;
  made = net->layer_by_name("x");
  EXPECT_EQ(blob.get(), net->input_blobs()[0]);
  net.reset();
  EXPECT_EQ(blob->count(), 2) << "it keeps the blob alive";
  EXPECT_STREQ(made->type(), "Input");
}

static int Add(int a, int b) { return a + b; }

TEST(BoostTest, Functions) {
  boost::function<int(int)> add_two = boost::bind(&Add, _1, 2);
  EXPECT_EQ(add_two(5), 7);
}

TEST(BoostTest, Containers) {
  boost::unordered_map<string, int> map;
  map["a"] = 1;
  EXPECT_EQ(map.count("a"), 1u);
  boost::variant<int, string> either(string("x"));
  EXPECT_EQ(boost::get<string>(either), "x");
  EXPECT_EQ(boost::filesystem::path("a/b.txt").extension(), ".txt");
}
