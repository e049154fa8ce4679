// Inference as CUDA graphs: the same bits in fewer calls, and none of it where something
// has changed. What a net without graphs gives is the reference; that one is compared
// with the processor elsewhere.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <typeinfo>
#include <vector>

#include "caffe/device.hpp"
#include "caffe/net.hpp"
#include "data/data_test.hpp"
#include "emulation_control.hpp"
#include "gpu_mode.hpp"
#include "layer_test.hpp"
#include "net/sk_blocks.hpp"

namespace caffe {
namespace test {
namespace {

using ::testing::HasSubstr;

class GraphsWanted {
 public:
  explicit GraphsWanted(const char* value) {
    setenv("CAFFE_CUDA_GRAPHS", value, /*overwrite=*/1);
  }
  ~GraphsWanted() { unsetenv("CAFFE_CUDA_GRAPHS"); }
};

// The layers of one net, optimised, with graphs and without.
template <typename T>
class Pair {
 public:
  explicit Pair(const std::string& text,
                NetParameter::Precision precision = NetParameter::FLOAT32) {
    for (auto* net : {&recorded, &plain}) {
      *net = MakeNet<T>(text, TEST);
      (*net)->set_precision(precision);
      FillStatistics(net->get());
      (*net)->Optimize();
    }
  }

  /// Both with new inputs.
  void Forward() {
    ++seed_;
    for (Net<T>* net : {recorded.get(), plain.get()}) {
      for (Blob<T>* input : net->input_blobs()) Fill(input, seed_);
    }
    recorded->Forward();
    const GraphsWanted none("0");
    plain->Forward();
  }
  void ExpectEqual(const std::string& what) {
    SCOPED_TRACE(what);
    Forward();
    ASSERT_EQ(recorded->output_blobs().size(), plain->output_blobs().size());
    for (std::size_t i = 0; i < plain->output_blobs().size(); ++i) {
      EXPECT_EQ(recorded->output_blobs()[i]->shape(), plain->output_blobs()[i]->shape());
      EXPECT_EQ(Values(*recorded->output_blobs()[i]), Values(*plain->output_blobs()[i]));
    }
  }
  void ExpectEqual(const std::string& what, int runs) {
    for (int run = 1; run <= runs; ++run) ExpectEqual(Str(what, ", run ", run));
  }

  std::unique_ptr<Net<T>> recorded, plain;

 private:
  // As of a net that was trained: those of a new one are 0.
  static void FillStatistics(Net<T>* net) {
    for (const auto& layer : net->layers()) {
      if (std::string(layer->type()) == "BatchNorm") {
        for (const auto& blob : layer->blobs()) Fill(blob.get(), 22, 0.5, 2);
      }
      if (std::string(layer->type()) != "CuDNNBatchNorm") continue;
      Fill(layer->blobs()[2].get(), 20, -0.5, 0.5);
      Fill(layer->blobs()[3].get(), 21, 0.5, 2);
    }
  }

  std::uint64_t seed_ = 100;
};

// Calls that a run of the net takes.
template <typename T>
std::size_t CallsOf(Net<T>* net) {
  for (Blob<T>* input : net->input_blobs()) input->gpu_data();
  const GivenSince given;
  net->Forward();
  return given.calls();
}

template <typename T>
class RecordedStepsTest : public GpuModeTest<T> {};
TYPED_TEST_SUITE(RecordedStepsTest, FloatAndDouble);
using RecordedFloatTest = GpuModeTest<float>;

TYPED_TEST(RecordedStepsTest, GiveTheBitsOfSingleSteps) {
  for (const int stride : {1, 2}) {
    Pair<TypeParam> nets(Blocks(stride));
    nets.ExpectEqual(Str("stride ", stride), 6);
  }
}

TEST_F(RecordedFloatTest, TakeSixteenBitsToo) {
  for (const auto precision : {NetParameter::BF16, NetParameter::FP16}) {
    Pair<float> nets(Blocks(1), precision);
    nets.ExpectEqual(NetParameter::Precision_Name(precision), 6);
  }
}

TYPED_TEST(RecordedStepsTest, AreOneCallFromTheFourthRunOn) {
  NEEDS_EMULATION;
  Pair<TypeParam> nets(Blocks(1));
  nets.Forward();
  const std::size_t singly = CallsOf(nets.recorded.get());
  EXPECT_GT(singly, 15u);
  EXPECT_EQ(CallsOf(nets.recorded.get()), 1u) << "the run that is recorded";
  EXPECT_EQ(CallsOf(nets.recorded.get()), 1u);
  const GraphsWanted none("0");
  EXPECT_EQ(CallsOf(nets.plain.get()), singly);
  EXPECT_EQ(CallsOf(nets.plain.get()), singly);
  EXPECT_EQ(CallsOf(nets.plain.get()), singly);
}

TYPED_TEST(RecordedStepsTest, SeeChangedParameters) {
  Pair<TypeParam> nets(Blocks(1));
  nets.ExpectEqual("at first", 4);
  for (const char* name : {"a", "b/bn", "fc1", "c/scale", "c/bn", "head"}) {
    for (auto* net : {nets.recorded.get(), nets.plain.get()}) {
      Fill(net->layer_by_name(name)->blobs().back().get(), 77, 0.5, 2);
    }
    nets.ExpectEqual(name, 4);
  }
}

TYPED_TEST(RecordedStepsTest, FollowTheInputsShape) {
  Pair<TypeParam> nets(Blocks(2));
  for (const int size : {9, 14, 9, 5}) {
    for (auto* net : {nets.recorded.get(), nets.plain.get()}) {
      net->input_blobs()[0]->Reshape({3, 16, size, size});
      net->Reshape();
    }
    nets.ExpectEqual(Str("size ", size), 5);
  }
}

TEST_F(RecordedFloatTest, FollowThePrecision) {
  Pair<float> nets(Blocks(1));
  for (const auto precision :
       {NetParameter::FLOAT32, NetParameter::BF16, NetParameter::FLOAT32}) {
    for (auto* net : {nets.recorded.get(), nets.plain.get()}) {
      net->set_precision(precision);
    }
    nets.ExpectEqual(NetParameter::Precision_Name(precision), 5);
  }
}

TYPED_TEST(RecordedStepsTest, GoOnAfterRunsOnTheProcessor) {
  Pair<TypeParam> nets(Blocks(1));
  nets.ExpectEqual("before", 4);
  Caffe::set_mode(Caffe::CPU);
  nets.Forward();
  Caffe::set_mode(Caffe::GPU);
  nets.ExpectEqual("after", 4);
}

TYPED_TEST(RecordedStepsTest, RunOnAnyThread) {
  Pair<TypeParam> nets(Blocks(1));
  nets.ExpectEqual("here", 4);
  std::thread([&] {
    Caffe::set_mode(Caffe::GPU);
    nets.ExpectEqual("there", 4);
  }).join();
  nets.ExpectEqual("here again", 4);
}

class Counting : public Net<float>::Callback {
 public:
  int count = 0;
  bool reads_blobs() const override { return false; }

 protected:
  void run(int) override { ++count; }
};

TEST_F(RecordedFloatTest, AreNotUsedWhereSomebodyListens) {
  Pair<float> nets(Blocks(1));
  nets.ExpectEqual("before", 4);
  Counting counting;
  nets.recorded->add_after_forward(&counting);
  nets.ExpectEqual("with a callback", 2);
  EXPECT_EQ(counting.count, 2 * static_cast<int>(nets.recorded->layers().size()));
}

TYPED_TEST(RecordedStepsTest, LeaveViewsOfTheHostUpToDate) {
  Pair<TypeParam> nets(Blocks(1));
  for (auto* net : {nets.recorded.get(), nets.plain.get()}) {
    for (Blob<TypeParam>* blob : {net->input_blobs()[0], net->output_blobs()[0]}) {
      blob->data()->Pin();
      blob->cpu_data();
    }
  }
  const TypeParam* view = nets.recorded->output_blobs()[0]->cpu_data();
  const TypeParam* want = nets.plain->output_blobs()[0]->cpu_data();
  for (int run = 0; run < 6; ++run) {
    nets.Forward();
    for (int i = 0; i < nets.plain->output_blobs()[0]->count(); ++i) {
      ASSERT_EQ(view[i], want[i]) << "run " << run;
    }
  }
  for (auto* net : {nets.recorded.get(), nets.plain.get()}) {
    for (Blob<TypeParam>* blob : {net->input_blobs()[0], net->output_blobs()[0]}) {
      blob->data()->Unpin();
    }
  }
}

// What was freed while the steps were recorded is theirs: others neither lose values to
// them nor spoil theirs.
TYPED_TEST(RecordedStepsTest, KeepTheirMemoryToThemselves) {
  Pair<TypeParam> nets(Blocks(1));
  nets.ExpectEqual("recording", 3);
  std::vector<std::unique_ptr<Blob<TypeParam>>> others;
  for (int count = 16; count < 20000; count = count * 3 / 2) {
    for (int i = 0; i < 4; ++i) {
      others.push_back(std::make_unique<Blob<TypeParam>>(std::vector<int>{count}));
      Fill(others.back().get(), count + i);
      others.back()->mutable_gpu_data();
    }
  }
  nets.ExpectEqual("among others", 3);
  std::size_t which = 0;
  for (int count = 16; count < 20000; count = count * 3 / 2) {
    for (int i = 0; i < 4; ++i) {
      Blob<TypeParam> want(std::vector<int>{count});
      Fill(&want, count + i);
      ASSERT_EQ(Values(*others[which++]), Values(want));
    }
  }
}

TEST_F(RecordedFloatTest, AreGivenUpWhereTheDeviceIsFull) {
  NEEDS_EMULATION;
  Pair<float> nets(Blocks(1));
  nets.ExpectEqual("recording", 4);
  device::TrimCache();
  // What they keep, and nobody uses.
  const device::MemoryCounts counts = device::CountMemory();
  ASSERT_GT(counts.cached, 0u);
  cuda_emulation::SetDeviceMemory(counts.used + counts.cached);
  void* memory = device::Allocate(counts.cached / 2);
  device::Free(memory);
  nets.ExpectEqual("afterwards", 5);
  cuda_emulation::SetDeviceMemory(std::size_t{8} << 30);
}

TEST_F(RecordedFloatTest, EndWithTheirNet) {
  const auto held = [] {
    device::TrimCache();
    const device::MemoryCounts counts = device::CountMemory();
    return counts.used + counts.cached;
  };
  {
    Pair<float>(Blocks(1)).ExpectEqual("first", 1);
  }  // libraries and workspaces
  const std::size_t before = held();
  {
    Pair<float>(Blocks(1)).ExpectEqual("second", 5);
  }
  EXPECT_EQ(held(), before);
}

/// y = 2 x, on the host; derived classes say otherwise.
template <typename T>
class DoublingLayer : public Layer<T> {
 public:
  using Layer<T>::Layer;
  void Reshape(const vector<Blob<T>*>& bottom, const vector<Blob<T>*>& top) override {
    top[0]->ReshapeLike(*bottom[0]);
  }
  const char* type() const override { return "Doubling"; }

 protected:
  void Forward_cpu(const vector<Blob<T>*>& bottom, const vector<Blob<T>*>& top) override {
    const T* x = bottom[0]->cpu_data();
    T* y = top[0]->mutable_cpu_data();
    for (int i = 0; i < top[0]->count(); ++i) y[i] = 2 * x[i];
  }
  void Backward_cpu(const vector<Blob<T>*>&, const vector<bool>&,
                    const vector<Blob<T>*>&) override {}
};

template <typename T>
class WrongDoublingLayer : public DoublingLayer<T> {
 public:
  using DoublingLayer<T>::DoublingLayer;
  const char* type() const override { return "WrongDoubling"; }
  LayerTraits Traits() const override {
    return {.of = &typeid(WrongDoublingLayer), .device_only = true};
  }
};

REGISTER_LAYER_CLASS(Doubling);
REGISTER_LAYER_CLASS(WrongDoubling);

// Two chains of layers with `type` in between, and an output of either.
std::string WithLayer(const std::string& type) {
  return InputLayer("data", {2, 16, 9, 9}) + Conv("a", "data", 32, "kernel_size: 3") +
         NormRelu("a") + Conv("side", "a/bn", 4, "kernel_size: 1") +
         Conv("b", "a/bn", 32, "kernel_size: 3") + NormRelu("b") +
         LayerText("between", type, {"b/bn"}, "between") +
         Conv("c", "between", 32, "kernel_size: 3") + NormRelu("c") +
         LayerText("sum", "Eltwise", {"c/bn", "c/bn"}, "sum") +
         LayerText("gap", "Pooling", {"sum"}, "gap",
                   "pooling_param { pool: AVE global_pooling: true }");
}

TYPED_TEST(RecordedStepsTest, SurroundLayersOfTheHost) {
  Pair<TypeParam> nets(WithLayer("Doubling"));
  nets.ExpectEqual("both sides", 7);
  // A graph, a copy to the host, one from it, a graph.
  const std::size_t calls = CallsOf(nets.recorded.get());
  if (calls > 0) {
    EXPECT_EQ(calls, 4u);  // none is counted on a GPU
  }
}

TYPED_TEST(RecordedStepsTest, FallBackToSingleStepsWhereALayerCannotBeRecorded) {
  Pair<TypeParam> nets(WithLayer("WrongDoubling"));
  nets.ExpectEqual("before", 2);
  ::testing::internal::CaptureStderr();
  nets.ExpectEqual("then", 4);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("layers 'a' to 'gap' cannot be recorded as a CUDA graph"));
  EXPECT_THAT(log, HasSubstr("layer 'between'"));
  EXPECT_EQ(log.find("cannot be recorded as"), log.rfind("cannot be recorded as"));
}

// Batches that come on a stream of their own, and a layer of the host that reads the
// result and the labels.
TYPED_TEST(RecordedStepsTest, ReadWhatDataLayersBring) {
  const TemporaryFolder folder;
  std::vector<Datum> datums;
  for (int i = 0; i < 7; ++i) datums.push_back(RawDatum(i, 16, 9, 9, i % 5));
  WriteDatums(folder / "db", datums);
  const std::string net =
      Str("layer { name: 'data' type: 'Data' top: 'data' top: 'label' data_param { "
          "source: '",
          folder / "db", "' backend: LMDB batch_size: 2 } transform_param { ",
          "mean_value: 120 scale: 0.02 } }\n") +
      SkUnit("data", 32, 8, 1) + IpLayer("score", "axpy", 5) +
      LayerText("accuracy", "Accuracy", {"score", "label"}, "accuracy");
  Pair<TypeParam> nets(net);
  nets.ExpectEqual("batch", 9);
  for (auto* each : {nets.recorded.get(), nets.plain.get()}) each->Forward();
  EXPECT_EQ(Values(*nets.recorded->blob_by_name("accuracy")),
            Values(*nets.plain->blob_by_name("accuracy")));
}

TEST_F(RecordedFloatTest, TheSwitchIsZeroOrOne) {
  const auto net = MakeNet<float>(Blocks(1), TEST);
  net->Optimize();
  const GraphsWanted wrong("maybe");
  EXPECT_THAT(ErrorOfAction([&] { net->Forward(); }),
              HasSubstr("CAFFE_CUDA_GRAPHS is 'maybe', expected 0 or 1"));
}

}  // namespace
}  // namespace test
}  // namespace caffe
