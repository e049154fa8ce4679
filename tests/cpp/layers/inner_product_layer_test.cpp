#include "caffe/layers/inner_product_layer.hpp"

#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string InnerProduct(const std::string& param) {
  return "name: 'ip' type: 'InnerProduct' inner_product_param { "
         "weight_filler { type: 'gaussian' std: 0.5 } bias_filler { type: 'gaussian' } " +
         param + " }";
}

struct LayerCase {
  std::string param;
  std::vector<int> shape;
  int axis, outputs;
  bool transpose, bias;
};

const LayerCase kCases[] = {
    {"num_output: 4", {3, 5}, 1, 4, false, true},
    {"num_output: 10", {2, 3, 4, 5}, 1, 10, false, true},
    {"num_output: 7 bias_term: false", {2, 3, 4}, 1, 7, false, false},
    {"num_output: 6 transpose: true", {3, 2, 4}, 1, 6, true, true},
    {"num_output: 6 transpose: true bias_term: false", {1, 9}, 1, 6, true, false},
    {"num_output: 3 axis: 2", {2, 3, 4, 2}, 2, 3, false, true},
    {"num_output: 3 axis: -1 transpose: true", {2, 3, 4}, 2, 3, true, true},
    {"num_output: 5 axis: 0", {2, 3}, 0, 5, false, true},
    {"num_output: 1", {4, 1}, 1, 1, false, true},
};

template <typename T>
class InnerProductLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(InnerProductLayerTest, Types);

TYPED_TEST(InnerProductLayerTest, ForwardAndBackward) {
  using T = TypeParam;
  for (const LayerCase& c : kCases) {
    SCOPED_TRACE(Str(c.param, " on ", ShapeText(c.shape)));
    LayerRun<T> run(InnerProduct(c.param), {c.shape});
    run.Forward();
    int rows = 1, inputs = 1;
    std::vector<int> top_shape;
    for (int i = 0; i < static_cast<int>(c.shape.size()); ++i) {
      (i < c.axis ? rows : inputs) *= c.shape[i];
      if (i < c.axis) top_shape.push_back(c.shape[i]);
    }
    top_shape.push_back(c.outputs);
    ASSERT_EQ(run.top[0]->shape(), top_shape);
    ASSERT_EQ(run.layer->blobs().size(), c.bias ? 2u : 1u);
    ASSERT_EQ(run.layer->blobs()[0]->shape(),
              c.transpose ? std::vector<int>({inputs, c.outputs})
                          : std::vector<int>({c.outputs, inputs}));
    run.Backward();
    const Doubles x = run.Bottom(0), w = Values(*run.layer->blobs()[0]),
                  dy = run.TopDiff();
    Doubles y(rows * c.outputs), dx(x.size()), dw(w.size()), db(c.outputs);
    for (int m = 0; m < rows; ++m) {
      for (int n = 0; n < c.outputs; ++n) {
        if (c.bias) y[m * c.outputs + n] = Values(*run.layer->blobs()[1])[n];
        db[n] += dy[m * c.outputs + n];
        for (int k = 0; k < inputs; ++k) {
          const int at = c.transpose ? k * c.outputs + n : n * inputs + k;
          y[m * c.outputs + n] += x[m * inputs + k] * w[at];
          dx[m * inputs + k] += dy[m * c.outputs + n] * w[at];
          dw[at] += dy[m * c.outputs + n] * x[m * inputs + k];
        }
      }
    }
    const Tolerance tolerance =
        ToleranceOf<T>(OpKind::kReduction, inputs + c.outputs + rows);
    ExpectClose(run.Top(), y, tolerance, "top");
    ExpectClose(run.BottomDiff(0), dx, tolerance, "dx");
    ExpectClose(Values(*run.layer->blobs()[0], Half::kDiff), dw, tolerance, "dw");
    if (c.bias)
      ExpectClose(Values(*run.layer->blobs()[1], Half::kDiff), db, tolerance, "db");
  }
}

TEST(InnerProductGradientTest, EveryCase) {
  for (const LayerCase& c : kCases) {
    SCOPED_TRACE(Str(c.param, " on ", ShapeText(c.shape)));
    LayerRun<double> run(InnerProduct(c.param), {c.shape});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
}

// Weights stored with `transpose` are the same weights the other way round.
TEST(InnerProductTest, TransposeIsOnlyHowWeightsAreStored) {
  LayerRun<double> plain(InnerProduct("num_output: 4"), {{3, 5}});
  LayerRun<double> transposed(InnerProduct("num_output: 4 transpose: true"), {{3, 5}});
  plain.SetUp();
  transposed.SetUp();
  const Doubles w = Values(*plain.layer->blobs()[0]),
                b = Values(*plain.layer->blobs()[1]);
  FillWith(transposed.layer->blobs()[0].get(), Half::kData,
           [&](int i) { return w[i % 4 * 5 + i / 4]; });
  FillWith(transposed.layer->blobs()[1].get(), Half::kData, [&](int i) { return b[i]; });
  plain.Forward();
  transposed.Forward();
  ExpectClose(transposed.Top(), plain.Top(), ToleranceOf<double>(OpKind::kReduction, 5),
              "top");
}

TEST(InnerProductTest, PackedInputAndAnotherBatch) {
  PackedCase options;
  options.kind = OpKind::kReduction;
  options.terms = 16 * 12;
  options.stays_packed = false;
  ExpectPackedMatchesPlain(InnerProduct("num_output: 5"), {{3, 16, 4, 3}}, options);
  LayerRun<float> run(InnerProduct("num_output: 5"), {{3, 6}});
  run.Forward();
  const Doubles first = run.Top();
  run.bottom[0]->Reshape(std::vector<int>{1, 6});
  run.Forward();
  ASSERT_EQ(run.top[0]->shape(), std::vector<int>({1, 5}));
  ExpectClose(run.Top(), Doubles(first.begin(), first.begin() + 5),
              ToleranceOf<float>(OpKind::kReduction, 6), "the first row alone");
  run.bottom[0]->Reshape(std::vector<int>{0, 6});
  run.Forward();
  run.Backward();
  EXPECT_EQ(run.layer->blobs()[0]->asum_diff(), 0);
}

TEST(InnerProductErrorTest, BadInput) {
  ExpectLayerError(InnerProduct(""), {{3, 5}}, 1, {"num_output"});
  ExpectLayerError(InnerProduct("num_output: 4294967295"), {{3, 5}}, 1, {"num_output"});
  ExpectLayerError(InnerProduct("num_output: 2 axis: 3"), {{3, 5}}, 1, {"axis 3"});
}

// An image of another size, as a classifier sees it: say what helps.
TEST(InnerProductErrorTest, AnotherInputSizeNamesGlobalPooling) {
  LayerRun<float> run(InnerProduct("num_output: 2"), {{1, 8, 1, 1}});
  run.Forward();
  run.bottom[0]->Reshape({1, 8, 4, 4});
  const std::string message = ErrorOfAction([&] { run.Forward(); });
  for (const char* part :
       {"(1, 8, 4, 4)", "128 inputs", "expected 8", "global_pooling: true"}) {
    EXPECT_NE(message.find(part), std::string::npos) << part << " in: " << message;
  }
}

TEST(InnerProductErrorTest, StoredWeightsMustFit) {
  LayerRun<float> donor(InnerProduct("num_output: 2"), {{1, 8}});
  donor.SetUp();
  LayerParameter param;
  donor.layer->ToProto(&param);
  Blob<float> bottom(std::vector<int>{1, 9}), top;
  EXPECT_NE(ErrorOfAction([&] {
              LayerRegistry<float>::CreateLayer(param)->SetUp({&bottom}, {&top});
            }).find("expected (2, 9)"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
