#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Embed(const std::string& more) {
  return "name: 'e' type: 'Embed' embed_param { num_output: 5 input_dim: 7 "
         "weight_filler { type: 'gaussian' } bias_filler { type: 'gaussian' } " +
         more + " }";
}

template <typename T>
class EmbedLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(EmbedLayerTest, Types);

TYPED_TEST(EmbedLayerTest, ForwardAndBackward) {
  for (const std::string more : {"", "bias_term: false"}) {
    // The second is for several threads; most rows occur many times.
    for (const std::vector<int>& shape : {std::vector<int>{4}, {67, 113}}) {
      LayerRun<TypeParam> run(Embed(more), {shape});
      FillIntegers(run.bottom[0], 1, 0, 6);
      run.Forward();
      run.Backward({false});
      std::vector<int> top_shape = shape;
      top_shape.push_back(5);
      ASSERT_EQ(run.top[0]->shape(), top_shape);
      const auto& blobs = run.layer->blobs();
      ASSERT_EQ(blobs.size(), more.empty() ? 2u : 1u);
      ASSERT_EQ(blobs[0]->shape(), (std::vector<int>{7, 5}));
      const Doubles w = Values(*blobs[0]), dy = run.TopDiff(), x = run.Bottom(0);
      const Doubles b = more.empty() ? Values(*blobs[1]) : Doubles(5, 0);
      Doubles want, dw(35, 0), db(5, 0);
      for (size_t m = 0; m < x.size(); ++m) {
        for (int d = 0; d < 5; ++d) {
          const int at = static_cast<int>(x[m]) * 5 + d;
          want.push_back(w[at] + b[d]);
          dw[at] += dy[m * 5 + d];
          db[d] += dy[m * 5 + d];
        }
      }
      ExpectClose(run.Top(), want, ToleranceOf<TypeParam>(OpKind::kElementwise), "top");
      const auto sums = ToleranceOf<TypeParam>(OpKind::kReduction, x.size());
      ExpectClose(Values(*blobs[0], Half::kDiff), dw, sums, "dw");
      if (more.empty()) ExpectClose(Values(*blobs[1], Half::kDiff), db, sums, "db");
    }
  }
}

TEST(EmbedLayerTestDouble, Gradient) {
  for (const std::string more : {"", "bias_term: false"}) {
    LayerRun<double> run(Embed(more), {{2, 3}});
    FillIntegers(run.bottom[0], 1, 0, 6);
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, -2);
  }
}

TEST(EmbedLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError("name: 'e' type: 'Embed' embed_param { input_dim: 7 }", {{2}}, 1,
                   {"layer 'e' (Embed)", "num_output must be positive"});
  ExpectLayerError("name: 'e' type: 'Embed' embed_param { num_output: 7 }", {{2}}, 1,
                   {"input_dim must be positive: one more than the largest index"});
  LayerRun<float> run(Embed(""), {{2, 3}});
  FillWith(run.bottom[0], Half::kData, [](int i) { return i == 4 ? 7 : i; });
  EXPECT_NE(ErrorOfAction([&] {
              run.Forward();
            }).find("bottom[0]: element 4 is 7, expected a whole number from 0 to 6"),
            std::string::npos);
  FillWith(run.bottom[0], Half::kData, [](int i) { return i; });
  run.Forward();
  EXPECT_NE(ErrorOfAction([&] { run.Backward(); }).find("indices have no gradient"),
            std::string::npos);
  ExpectLayerError(Embed("") + " blobs { shape { dim: 2 } data: 1 data: 2 }", {{2}}, 1,
                   {"the weights given with the layer do not fit, expected (7, 5)"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
