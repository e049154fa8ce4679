#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "caffe/layers/lstm_layer.hpp"
#include "caffe/layers/rnn_layer.hpp"
#include "caffe/net.hpp"
#include "caffe/resumable.hpp"
#include "gradient_checker.hpp"
#include "layer_test.hpp"

// RNN and LSTM, and with them what RecurrentLayer does.

namespace caffe {
namespace test {
namespace {

constexpr int kSteps = 4, kStreams = 3, kInputs = 5, kOutputs = 2, kStatic = 7;

std::string Recurrent(const std::string& type, const std::string& more = "") {
  return "name: 'r' type: '" + type +
         "' recurrent_param { num_output: " + std::to_string(kOutputs) +
         " weight_filler { type: 'uniform' min: -0.7 max: 0.7 } "
         "bias_filler { type: 'uniform' min: -0.5 max: 0.5 } " +
         more + " }";
}

struct RecurrentCase {
  std::string type;
  bool has_static, exposes;
  int states() const { return type == "LSTM" ? 2 : 1; }
};

void PrintTo(const RecurrentCase& c, std::ostream* out) {
  *out << c.type << (c.has_static ? " static" : "") << (c.exposes ? " exposed" : "");
}

template <typename T>
LayerRun<T> MakeRun(const RecurrentCase& c, int steps = kSteps) {
  Shapes shapes = {{steps, kStreams, kInputs}, {steps, kStreams}};
  if (c.has_static) shapes.push_back({kStreams, kStatic});
  for (int i = 0; c.exposes && i < c.states(); ++i) {
    shapes.push_back({1, kStreams, kOutputs});
  }
  LayerRun<T> run(Recurrent(c.type, c.exposes ? "expose_hidden: true" : ""), shapes,
                  c.exposes ? 1 + c.states() : 1);
  // Streams begin at the first step but where their state is given, and one of them in
  // between.
  FillWith(run.bottom[1], Half::kData,
           [&](int i) { return (i >= kStreams || c.exposes) && i != 2 * kStreams + 1; });
  run.SetUp();
  return run;
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// W x, added to `sums`, for a matrix with sums.size() rows.
void AddProduct(const Doubles& w, const double* x, Doubles* sums) {
  const size_t columns = w.size() / sums->size();
  for (size_t r = 0; r < sums->size(); ++r) {
    for (size_t k = 0; k < columns; ++k) (*sums)[r] += w[r * columns + k] * x[k];
  }
}

struct Outcome {
  Doubles tops;
  std::vector<Doubles> states;  // by stream: h, then c
};

// The formulas in the headers, stream by stream.
template <typename T>
Outcome Reference(const RecurrentCase& c, const LayerRun<T>& run,
                  std::vector<Doubles> states) {
  const bool lstm = c.type == "LSTM";
  std::vector<Doubles> w;
  for (const auto& blob : run.layer->blobs()) w.push_back(Values(*blob));
  const Doubles x = run.Bottom(0), cont = run.Bottom(1);
  const Doubles& of_state = w[2 + c.has_static];
  const int steps = run.bottom[0]->shape(0), H = kOutputs;
  Outcome outcome;
  outcome.tops.resize(static_cast<size_t>(steps) * kStreams * H);
  for (int n = 0; n < kStreams; ++n) {
    Doubles h(states[n].begin(), states[n].begin() + H), cell(H, 0);
    if (lstm) cell.assign(states[n].begin() + H, states[n].end());
    for (int t = 0; t < steps; ++t) {
      const double going_on = cont[t * kStreams + n];
      for (double& value : h) value *= going_on;
      Doubles sums = w[1];
      AddProduct(w[0], &x[(t * kStreams + n) * kInputs], &sums);
      if (c.has_static) AddProduct(w[2], &run.Bottom(2)[n * kStatic], &sums);
      AddProduct(of_state, h.data(), &sums);
      double* top = &outcome.tops[(t * kStreams + n) * H];
      if (lstm) {
        for (int d = 0; d < H; ++d) {
          cell[d] = going_on * Sigmoid(sums[H + d]) * cell[d] +
                    Sigmoid(sums[d]) * std::tanh(sums[3 * H + d]);
          h[d] = Sigmoid(sums[2 * H + d]) * std::tanh(cell[d]);
          top[d] = h[d];
        }
      } else {
        for (int d = 0; d < H; ++d) h[d] = std::tanh(sums[d]);
        Doubles o = w[4 + c.has_static];
        AddProduct(w[3 + c.has_static], h.data(), &o);
        for (int d = 0; d < H; ++d) top[d] = std::tanh(o[d]);
      }
    }
    outcome.states.push_back(h);
    if (lstm) {
      outcome.states.back().insert(outcome.states.back().end(), cell.begin(), cell.end());
    }
  }
  return outcome;
}

std::vector<Doubles> NoStates(const RecurrentCase& c) {
  return std::vector<Doubles>(kStreams, Doubles(c.states() * kOutputs, 0));
}

class RecurrentLayerTest : public ::testing::TestWithParam<RecurrentCase> {
 protected:
  template <typename T>
  void CheckForward() {
    const RecurrentCase& c = GetParam();
    auto run = MakeRun<T>(c);
    std::vector<Doubles> states = NoStates(c);
    for (int i = 0; c.exposes && i < c.states(); ++i) {
      const Doubles given = run.Bottom(2 + c.has_static + i);
      for (int n = 0; n < kStreams; ++n) {
        for (int d = 0; d < kOutputs; ++d) {
          states[n][i * kOutputs + d] = given[n * kOutputs + d];
        }
      }
    }
    run.Forward();
    const Outcome want = Reference(c, run, states);
    // An error grows from step to step.
    const auto tolerance = ToleranceOf<T>(OpKind::kNormalization, 4 * kSteps * kInputs);
    ExpectClose(run.Top(), want.tops, tolerance, "top");
    for (int i = 0; c.exposes && i < c.states(); ++i) {
      for (int n = 0; n < kStreams; ++n) {
        for (int d = 0; d < kOutputs; ++d) {
          ExpectClose({run.Top(1 + i)[n * kOutputs + d]},
                      {want.states[n][i * kOutputs + d]}, tolerance, "state");
        }
      }
    }
  }
};

TEST_P(RecurrentLayerTest, ForwardFloat) { CheckForward<float>(); }
TEST_P(RecurrentLayerTest, ForwardDouble) { CheckForward<double>(); }

TEST_P(RecurrentLayerTest, Gradient) {
  const RecurrentCase& c = GetParam();
  const int bottoms = 2 + c.has_static + (c.exposes ? c.states() : 0);
  for (int bottom = 0; bottom < bottoms; ++bottom) {
    if (bottom == 1) continue;
    SCOPED_TRACE(bottom);
    auto run = MakeRun<double>(c, 3);
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top,
                                              bottom);
  }
}

TEST_P(RecurrentLayerTest, FloatMatchesDouble) {
  const RecurrentCase& c = GetParam();
  auto single = MakeRun<float>(c);
  auto exact = MakeRun<double>(c);
  const auto as_exact = [](Blob<float>* to, const Blob<double>& from) {
    const Doubles values = Values(from);
    FillWith(to, Half::kData, [&](int i) { return values[i]; });
  };
  for (size_t i = 0; i < exact.layer->blobs().size(); ++i) {
    as_exact(single.layer->blobs()[i].get(), *exact.layer->blobs()[i]);
  }
  std::vector<bool> propagate(exact.bottom.size(), true);
  propagate[1] = false;
  single.Forward();
  exact.Forward();
  single.Backward(propagate);
  exact.Backward(propagate);
  const auto tolerance = ToleranceOf<float>(OpKind::kNormalization, 4 * kSteps * kInputs);
  for (size_t i = 0; i < exact.bottom.size(); ++i) {
    if (i != 1) ExpectClose(single.BottomDiff(i), exact.BottomDiff(i), tolerance, "dx");
  }
  for (size_t i = 0; i < exact.layer->blobs().size(); ++i) {
    ExpectClose(Values(*single.layer->blobs()[i], Half::kDiff),
                Values(*exact.layer->blobs()[i], Half::kDiff), tolerance, "dw");
  }
}

INSTANTIATE_TEST_SUITE_P(All, RecurrentLayerTest,
                         ::testing::Values(RecurrentCase{"RNN", false, false},
                                           RecurrentCase{"RNN", true, false},
                                           RecurrentCase{"RNN", false, true},
                                           RecurrentCase{"RNN", true, true},
                                           RecurrentCase{"LSTM", false, false},
                                           RecurrentCase{"LSTM", true, false},
                                           RecurrentCase{"LSTM", false, true},
                                           RecurrentCase{"LSTM", true, true}),
                         [](const auto& info) {
                           return info.param.type +
                                  (info.param.has_static ? "Static" : "") +
                                  (info.param.exposes ? "Exposed" : "");
                         });

TEST(RecurrentStateTest, GoesOnInTheNextForward) {
  for (const char* type : {"RNN", "LSTM"}) {
    const RecurrentCase c{type, false, false};
    auto run = MakeRun<double>(c);
    run.Forward();
    Outcome piece = Reference(c, run, NoStates(c));
    FillWith(run.bottom[1], Half::kData, [](int) { return 1; });
    run.Forward();
    piece = Reference(c, run, piece.states);
    const auto tolerance =
        ToleranceOf<double>(OpKind::kNormalization, 8 * kSteps * kInputs);
    ExpectClose(run.Top(), piece.tops, tolerance, "second piece");

    // What a resumed run needs.
    LayerState state;
    auto* resumable = dynamic_cast<Resumable*>(run.layer.get());
    ASSERT_TRUE(resumable && resumable->SaveState(&state));
    run.Forward();
    const Doubles third = run.Top();
    run.Forward();
    resumable->RestoreState(state);
    run.Forward();
    EXPECT_EQ(run.Top(), third);

    dynamic_cast<RecurrentLayer<double>*>(run.layer.get())->Reset();
    run.Forward();
    ExpectClose(run.Top(), Reference(c, run, NoStates(c)).tops, tolerance, "reset");

    state.set_extra("nonsense");
    EXPECT_NE(ErrorOfAction([&] {
                resumable->RestoreState(state);
              }).find("its saved state is not one of a recurrent layer"),
              std::string::npos);
    // Of other streams: these begin anew.
    auto wider = MakeRun<double>(c);
    wider.bottom[0]->Reshape({kSteps, 5, kInputs});
    wider.bottom[1]->Reshape({kSteps, 5});
    wider.Forward();
    ASSERT_TRUE(dynamic_cast<Resumable*>(wider.layer.get())->SaveState(&state));
    resumable->RestoreState(state);
    run.Forward();
    ExpectClose(run.Top(), Reference(c, run, NoStates(c)).tops, tolerance, "anew");
  }
}

TEST(RecurrentStateTest, IsTheNetsIfItIsExposed) {
  auto run = MakeRun<float>({"LSTM", false, true});
  LayerState state;
  EXPECT_FALSE(dynamic_cast<Resumable*>(run.layer.get())->SaveState(&state));
  run.Forward();
  const Doubles first = run.Top();
  run.Forward();
  EXPECT_EQ(run.Top(), first);
}

TEST(RecurrentStateTest, OtherStreamsBeginAnew) {
  auto run = MakeRun<double>({"LSTM", false, false});
  run.Forward();
  run.bottom[0]->Reshape({kSteps, 5, kInputs});
  run.bottom[1]->Reshape({kSteps, 5});
  Fill(run.bottom[0], 9);
  FillWith(run.bottom[1], Half::kData, [](int) { return 1; });
  run.Forward();
  ASSERT_EQ(run.top[0]->shape(), (std::vector<int>{kSteps, 5, kOutputs}));
  const Doubles after = run.Top();
  FillWith(run.bottom[1], Half::kData, [](int i) { return i >= 5; });
  run.Forward();
  EXPECT_EQ(run.Top(), after);
}

// Tests and tools of other people look at the blobs and layers by these names.
class Steps : public LSTMLayer<float> {
 public:
  using LSTMLayer<float>::LSTMLayer;
  NetParameter Unrolled() const {
    NetParameter net;
    this->FillUnrolledNet(&net);
    return net;
  }
  Net<float>* net() { return this->unrolled_net_.get(); }
};

TEST(LSTMLayerTest, WritesDownItsSteps) {
  Steps layer(LayerFromText(Recurrent("LSTM")));
  Blob<float> x({2, 1, 3}), cont({2, 1}), top;
  layer.SetUp({&x, &cont}, {&top});
  int products = 0, units = 0;
  const NetParameter unrolled = layer.Unrolled();
  for (const LayerParameter& step : unrolled.layer()) {
    products += step.type() == "InnerProduct";
    units += step.type() == "LSTMUnit";
  }
  // The inputs of all steps in one product, the state in one for each.
  EXPECT_EQ(products, 3);
  EXPECT_EQ(units, 2);
  for (const char* blob : {"x", "cont", "c_0", "h_0", "W_xc_x", "h_conted_1", "W_hc_h_1",
                           "gate_input_2", "c_2", "h_2", "c_T", "h"}) {
    EXPECT_TRUE(layer.net()->has_blob(blob)) << blob;
  }
  ASSERT_EQ(layer.blobs().size(), 3u);
  EXPECT_EQ(layer.blobs()[0]->shape(), (std::vector<int>{4 * kOutputs, 3}));
  EXPECT_EQ(layer.blobs()[1]->shape(), (std::vector<int>{4 * kOutputs}));
  EXPECT_EQ(layer.blobs()[2]->shape(), (std::vector<int>{4 * kOutputs, kOutputs}));
}

std::string NetText(const std::string& more) {
  return "layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 3 dim: 2 "
         "dim: 4 } } } layer { name: 'cont' type: 'Input' top: 'cont' input_param { "
         "shape "
         "{ dim: 3 dim: 2 } } } layer { bottom: 'x' bottom: 'cont' top: 'h' " +
         Recurrent("LSTM", more) +
         " } layer { name: 'loss' type: 'Reduction' bottom: 'h' top: 'loss' loss_weight: "
         "1 "
         "reduction_param { operation: SUMSQ } }";
}

NetParameter NetOf(const std::string& more = "", Phase phase = TRAIN) {
  NetParameter param;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(NetText(more), &param));
  param.mutable_state()->set_phase(phase);
  return param;
}

TEST(RecurrentNetTest, LearnsWhereverItsBlobsAre) {
  Net<float> net(NetOf());
  ASSERT_EQ(net.learnable_params().size(), 3u);
  Fill(net.blob_by_name("x").get(), 1);
  FillWith(net.blob_by_name("cont").get(), Half::kData, [](int i) { return i > 1; });
  float first = 0, last = 0;
  for (int i = 0; i < 40; ++i) {
    net.ClearParamDiffs();
    (i == 0 ? first : last) = net.ForwardBackward();
    for (Blob<float>* blob : net.learnable_params()) blob->scale_diff(0.1f);
    net.Update();
  }
  EXPECT_LT(last, 0.2 * first);

  // A net that shares the weights, as a solver's test net does.
  Net<float> other(NetOf("", TEST));
  other.ShareTrainedLayersWith(&net);
  other.blob_by_name("x")->CopyFrom(*net.blob_by_name("x"));
  other.blob_by_name("cont")->CopyFrom(*net.blob_by_name("cont"));
  net.Forward();
  other.Forward();
  EXPECT_EQ(Values(*other.blob_by_name("h")), Values(*net.blob_by_name("h")));

  // A file of weights, and weights in the definition.
  NetParameter stored;
  net.ToProto(&stored);
  Net<float> loaded(NetOf());
  loaded.CopyTrainedLayersFrom(stored);
  loaded.blob_by_name("x")->CopyFrom(*net.blob_by_name("x"));
  loaded.blob_by_name("cont")->CopyFrom(*net.blob_by_name("cont"));
  loaded.Forward();
  EXPECT_EQ(Values(*loaded.blob_by_name("h")), Values(*net.blob_by_name("h")));
  Net<float> defined(stored);
  defined.blob_by_name("x")->CopyFrom(*net.blob_by_name("x"));
  defined.blob_by_name("cont")->CopyFrom(*net.blob_by_name("cont"));
  defined.Forward();
  EXPECT_EQ(Values(*defined.blob_by_name("h")), Values(*net.blob_by_name("h")));
}

TEST(RecurrentNetTest, TrainsTheSameWithoutKeepingBlobs) {
  Doubles gradients[2];
  for (const bool keeps : {true, false}) {
    Caffe::set_random_seed(3);
    Net<float> net(NetOf());
    net.set_keep_blobs(keeps);
    Fill(net.blob_by_name("x").get(), 1);
    FillWith(net.blob_by_name("cont").get(), Half::kData, [](int i) { return i > 1; });
    for (int i = 0; i < 2; ++i) {
      net.ClearParamDiffs();
      net.ForwardBackward();
    }
    gradients[keeps] = Values(*net.learnable_params()[0], Half::kDiff);
  }
  EXPECT_EQ(gradients[0], gradients[1]);
}

TEST(RecurrentLayerTestErrors, SaysWhatIsWrong) {
  const std::string lstm = Recurrent("LSTM");
  ExpectLayerError(
      lstm, {{4}, {4, 1}}, 1,
      {"layer 'r' (LSTM): bottom[0]: shape (4,), expected (steps, streams,"});
  ExpectLayerError(lstm, {{4, 3, 5}, {4, 2}}, 1,
                   {"bottom[1]: shape (4, 2), expected (4, 3), steps by streams"});
  ExpectLayerError(lstm, {{4, 3, 5}, {4, 3}, {2, 7}}, 1,
                   {"bottom[2]: shape (2, 7), expected 3 streams on axis 0"});
  ExpectLayerError("type: 'RNN'", {{4, 3, 5}, {4, 3}}, 1,
                   {"recurrent_param.num_output must be positive"});
  ExpectLayerError(Recurrent("LSTM", "expose_hidden: true"), {{4, 3, 5}, {4, 3}}, 3,
                   {"got 2 bottom blob(s), expected at least 4"});
  ExpectLayerError(Recurrent("RNN", "expose_hidden: true"),
                   {{4, 3, 5}, {4, 3}, {1, 3, 9}}, 2,
                   {"bottom[2]: shape (1, 3, 9), expected (1, 3, 2), a hidden state"});
  ExpectLayerError(lstm + " blobs { shape { dim: 2 } data: 1 data: 2 }",
                   {{4, 3, 5}, {4, 3}}, 1,
                   {"expected blobs of shapes (8, 5), (8,), (8, 2)"});
  auto run = MakeRun<float>({"LSTM", false, false});
  run.Forward();
  EXPECT_NE(ErrorOfAction([&] { run.Backward(); }).find("marks have no gradient"),
            std::string::npos);
  run.bottom[0]->Reshape({kSteps + 1, kStreams, kInputs});
  run.bottom[1]->Reshape({kSteps + 1, kStreams});
  EXPECT_NE(ErrorOfAction([&] { run.Forward(); }).find("expected 4 steps on axis 0"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
