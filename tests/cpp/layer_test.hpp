#ifndef CAFFE_TESTS_LAYER_TEST_HPP_
#define CAFFE_TESTS_LAYER_TEST_HPP_

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caffe/layer.hpp"
#include "caffe/ops/tensor.hpp"
#include "fill.hpp"
#include "tolerance.hpp"

// What every layer test needs: a layer made from prototxt with its blobs, and the
// comparisons that hold for all layers (in place, packed).

namespace caffe {
namespace test {

using Shapes = std::vector<std::vector<int>>;
using Doubles = std::vector<double>;

/// The prototxt between the braces of `layer { … }`.
inline LayerParameter LayerFromText(const std::string& text, Phase phase = TRAIN) {
  LayerParameter param;
  if (!google::protobuf::TextFormat::ParseFromString(text, &param)) {
    throw ValueError("a test has a wrong layer text: " + text);
  }
  if (!param.has_name()) param.set_name("under_test");
  param.set_phase(phase);
  return param;
}

/// Writes plain values into a packed half, by the definition of the layout.
inline void FillPacked(Blob<float>* blob, const Doubles& plain, int block,
                       Half half = Half::kData) {
  float* packed = (half == Half::kData ? DataOf(blob) : DiffOf(blob)).Write(block);
  const int channels = blob->shape(1);
  const int spatial = blob->count(2);
  for (int n = 0; n < blob->shape(0); ++n) {
    for (int c = 0; c < channels; ++c) {
      for (int s = 0; s < spatial; ++s) {
        const int tile = n * (channels / block) + c / block;
        packed[(tile * spatial + s) * block + c % block] =
            static_cast<float>(plain[(n * channels + c) * spatial + s]);
      }
    }
  }
}

/// A layer and its blobs. Bottoms are filled uniformly from (-1, 1) by their index;
/// change them before Forward as the test needs.
template <typename T>
struct LayerRun {
  LayerRun(const std::string& text, const Shapes& bottom_shapes, int tops = 1,
           Phase phase = TRAIN)
      : layer(LayerRegistry<T>::CreateLayer(LayerFromText(text, phase))) {
    for (std::size_t i = 0; i < bottom_shapes.size(); ++i) {
      bottom.push_back(NewBlob());
      bottom.back()->Reshape(bottom_shapes[i]);
      Fill(bottom.back(), i);
    }
    for (int i = 0; i < tops; ++i) top.push_back(NewBlob());
  }

  /// Makes the first top the same blob as bottom `index`.
  LayerRun& InPlace(int index = 0) {
    top[0] = bottom[index];
    return *this;
  }

  LayerRun& SetUp() {
    if (!is_set_up) layer->SetUp(bottom, top);
    is_set_up = true;
    return *this;
  }

  /// SetUp if needed, then Forward into tops that start as NaN. Returns the loss.
  T Forward() {
    SetUp();
    for (Blob<T>* blob : top) {
      if (!SharesData(blob)) FillNaN(blob);
    }
    return layer->Forward(bottom, top);
  }

  /// Backward from top diffs filled by index, into bottom diffs that start as NaN.
  /// The diff of a loss holds its weight and is left alone.
  void Backward(std::vector<bool> propagate = {}) {
    if (propagate.empty()) propagate.assign(bottom.size(), true);
    for (std::size_t i = 0; i < bottom.size(); ++i) FillNaN(bottom[i], Half::kDiff);
    for (std::size_t i = 0; i < top.size(); ++i) {
      if (layer->loss(i) == T(0)) FillDiff(top[i], 100 + i);
    }
    for (auto& blob : layer->blobs())
      FillWith(blob.get(), Half::kDiff, [](int) { return 0; });
    layer->Backward(top, propagate, bottom);
  }

  Doubles Bottom(int i) const { return Values(*bottom[i]); }
  Doubles Top(int i = 0) const { return Values(*top[i]); }
  Doubles BottomDiff(int i) const { return Values(*bottom[i], Half::kDiff); }
  Doubles TopDiff(int i = 0) const { return Values(*top[i], Half::kDiff); }

  bool SharesData(const Blob<T>* blob) const {
    for (const Blob<T>* other : bottom) {
      if (other->data() == blob->data()) return true;
    }
    return false;
  }

  std::shared_ptr<Layer<T>> layer;
  std::vector<Blob<T>*> bottom;
  std::vector<Blob<T>*> top;

 private:
  Blob<T>* NewBlob() {
    owned.push_back(std::make_shared<Blob<T>>());
    return owned.back().get();
  }

  std::vector<std::shared_ptr<Blob<T>>> owned;
  bool is_set_up = false;
};

/// The message of the caffe::Error that `action` throws; "" if it throws none.
template <typename Action>
std::string ErrorOfAction(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

/// Setting up and running the layer fails, and the message holds all `parts`.
inline void ExpectLayerError(const std::string& text, const Shapes& shapes, int tops,
                             const std::vector<std::string>& parts) {
  SCOPED_TRACE(text);
  const std::string message = ErrorOfAction([&] {
    LayerRun<float> run(text, shapes, tops);
    run.Forward();
  });
  EXPECT_FALSE(message.empty()) << "no error was thrown";
  for (const std::string& part : parts) {
    EXPECT_NE(message.find(part), std::string::npos)
        << "'" << part << "' is missing in: " << message;
  }
}

/// What a test may change before both runs of the comparisons below.
template <typename T>
using Prepare = void (*)(LayerRun<T>*);

/// With top[0] the same blob as bottom `index`, outputs and gradients are equal to
/// those with separate blobs, bit by bit.
template <typename T>
void ExpectInPlaceMatches(const std::string& text, const Shapes& shapes, int index = 0,
                          Prepare<T> prepare = nullptr) {
  SCOPED_TRACE(text + " in place of bottom " + std::to_string(index));
  LayerRun<T> apart(text, shapes), in_place(text, shapes);
  in_place.InPlace(index);
  Doubles output[2];
  std::vector<Doubles> diffs[2];
  int which = 0;
  for (LayerRun<T>* run : {&apart, &in_place}) {
    if (prepare) prepare(run);
    Caffe::set_random_seed(7);
    run->SetUp();
    // Not LayerRun::Forward: a top that is a bottom must keep its values.
    run->layer->Forward(run->bottom, run->top);
    output[which] = run->Top();
    for (std::size_t i = 0; i < run->bottom.size(); ++i) {
      if (run->bottom[i] != run->top[0]) FillNaN(run->bottom[i], Half::kDiff);
    }
    FillDiff(run->top[0], 100);
    run->layer->Backward(run->top, std::vector<bool>(shapes.size(), true), run->bottom);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      diffs[which].push_back(run->BottomDiff(i));
    }
    ++which;
  }
  ExpectClose(output[1], output[0], ToleranceOf<T>(OpKind::kCopy), "top");
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    ExpectClose(diffs[1][i], diffs[0][i], ToleranceOf<T>(OpKind::kCopy),
                "diff of bottom " + std::to_string(i));
  }
}

/// The float layer agrees with the double one, whose values and gradients are checked
/// by reference loops and central differences: tops, bottom diffs, parameter diffs.
inline void ExpectFloatMatchesDouble(const std::string& text, const Shapes& shapes,
                                     OpKind kind, std::int64_t terms = 1, int tops = 1,
                                     std::vector<bool> propagate = {},
                                     Prepare<float> prepare = nullptr) {
  SCOPED_TRACE(text + " in float");
  LayerRun<float> single(text, shapes, tops);
  LayerRun<double> exact(text, shapes, tops);
  if (prepare) prepare(&single);
  single.SetUp();
  const auto copy = [](const Blob<float>& from, Blob<double>* to, Half half) {
    const Doubles values = Values(from, half);
    FillWith(to, half, [&](int i) { return values[i]; });
  };
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    copy(*single.bottom[i], exact.bottom[i], Half::kData);
  }
  exact.SetUp();
  for (std::size_t i = 0; i < single.layer->blobs().size(); ++i) {
    copy(*single.layer->blobs()[i], exact.layer->blobs()[i].get(), Half::kData);
  }
  Caffe::set_random_seed(7);
  single.Forward();
  Caffe::set_random_seed(7);
  exact.Forward();
  single.Backward(propagate);
  exact.Backward(propagate);
  // Once more, now that the top diffs are equal to the last bit.
  for (int i = 0; i < tops; ++i) copy(*single.top[i], exact.top[i], Half::kDiff);
  for (auto& blob : exact.layer->blobs()) {
    FillWith(blob.get(), Half::kDiff, [](int) { return 0; });
  }
  if (propagate.empty()) propagate.assign(shapes.size(), true);
  exact.layer->Backward(exact.top, propagate, exact.bottom);

  const Tolerance tolerance = ToleranceOf<float>(kind, terms);
  for (int i = 0; i < tops; ++i) {
    ExpectClose(single.Top(i), exact.Top(i), tolerance, "top " + std::to_string(i));
  }
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    if (!propagate[i]) continue;
    ExpectClose(single.BottomDiff(i), exact.BottomDiff(i), tolerance,
                "diff of bottom " + std::to_string(i));
  }
  for (std::size_t i = 0; i < single.layer->blobs().size(); ++i) {
    ExpectClose(Values(*single.layer->blobs()[i], Half::kDiff),
                Values(*exact.layer->blobs()[i], Half::kDiff), tolerance,
                "diff of parameter " + std::to_string(i));
  }
}

/// How ExpectPackedMatchesPlain feeds and judges a layer.
struct PackedCase {
  OpKind kind = OpKind::kCopy;
  std::int64_t terms = 1;
  int tops = 1;
  /// Expect the tops and bottom diffs packed, and no conversion on the way.
  bool stays_packed = true;
  bool backward = true;
  Prepare<float> prepare = nullptr;
};

/// Bottoms and top diffs that arrive packed give what plain ones give. Small blobs
/// (fewer than 3 axes, or one spatial position) and those whose channels are not a
/// multiple of `block` stay plain.
inline void ExpectPackedMatchesPlain(const std::string& text, const Shapes& shapes,
                                     const PackedCase& options = {}, int block = 16) {
  SCOPED_TRACE(text + " packed by " + std::to_string(block));
  const auto packs = [block](const Blob<float>& blob) {
    return blob.num_axes() > 2 && blob.count(2) > 1 && blob.shape(1) % block == 0;
  };
  LayerRun<float> plain(text, shapes, options.tops), packed(text, shapes, options.tops);
  if (options.prepare) options.prepare(&plain), options.prepare(&packed);
  Caffe::set_random_seed(7);
  plain.Forward();
  Caffe::set_random_seed(7);
  packed.SetUp();
  for (Blob<float>* blob : packed.bottom) {
    if (packs(*blob)) FillPacked(blob, Values(*blob), block);
  }
  std::int64_t reorders = ReorderCount();
  packed.layer->Forward(packed.bottom, packed.top);
  if (options.stays_packed) {
    EXPECT_EQ(ReorderCount(), reorders) << "Forward converts between layouts";
    for (const Blob<float>* blob : packed.top) {
      EXPECT_EQ(DataOf(blob).block(), packs(*blob) ? block : 1) << "top";
    }
  }
  // Reading the values converts, so Backward first.
  if (options.backward) {
    plain.Backward();
    for (std::size_t i = 0; i < packed.top.size(); ++i) {
      Blob<float>* blob = packed.top[i];
      if (packed.layer->loss(i) != 0) continue;
      FillDiff(blob, 100 + i);
      if (packs(*blob)) FillPacked(blob, Values(*blob, Half::kDiff), block, Half::kDiff);
    }
    for (auto& blob : packed.layer->blobs()) {
      FillWith(blob.get(), Half::kDiff, [](int) { return 0; });
    }
    reorders = ReorderCount();
    packed.layer->Backward(packed.top, std::vector<bool>(shapes.size(), true),
                           packed.bottom);
    if (options.stays_packed) {
      EXPECT_EQ(ReorderCount(), reorders) << "Backward converts between layouts";
      for (const Blob<float>* blob : packed.bottom) {
        EXPECT_EQ(DiffOf(blob).block(), packs(*blob) ? block : 1) << "bottom diff";
      }
    }
  }
  const Tolerance tolerance = ToleranceOf<float>(options.kind, options.terms);
  for (int i = 0; i < options.tops; ++i) {
    ExpectClose(packed.Top(i), plain.Top(i), tolerance, "top " + std::to_string(i));
  }
  if (!options.backward) return;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    ExpectClose(packed.BottomDiff(i), plain.BottomDiff(i), tolerance,
                "diff of bottom " + std::to_string(i));
  }
  for (std::size_t i = 0; i < packed.layer->blobs().size(); ++i) {
    ExpectClose(Values(*packed.layer->blobs()[i], Half::kDiff),
                Values(*plain.layer->blobs()[i], Half::kDiff), tolerance,
                "diff of parameter " + std::to_string(i));
  }
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_LAYER_TEST_HPP_
