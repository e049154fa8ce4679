#ifndef CAFFE_TESTS_SIXTEEN_BITS_HPP_
#define CAFFE_TESTS_SIXTEEN_BITS_HPP_

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "both_layouts.hpp"
#include "caffe/gpu/tensor.hpp"
#include "layer_test.hpp"

// Activations of 16 bits on a GPU, by arithmetic on doubles.

namespace caffe {
namespace test {

struct SixteenBits {
  const char* name;
  NetParameter::Precision precision;
  DeviceType type;
  int digits;          ///< binary ones, the leading one counted
  int least_exponent;  ///< of numbers with all their digits, f 2^e with 1/2 <= f < 1

  double epsilon() const { return std::ldexp(1.0, 1 - digits); }
  DeviceFormat format() const { return {DeviceLayout::kChannelsLast, type}; }

  /// The nearest number of the type, of two equally near ones the even; for values far
  /// from its largest.
  double Rounded(double value) const {
    if (value == 0 || !std::isfinite(value)) return value;
    int exponent;
    std::frexp(value, &exponent);
    const double step = std::ldexp(1.0, std::max(exponent, least_exponent) - digits);
    return std::nearbyint(value / step) * step;
  }
  template <typename T>
  void Round(Blob<T>* blob, Half half = Half::kData) const {
    const Doubles values = Values(*blob, half);
    FillWith(blob, half, [&](int i) { return Rounded(values[i]); });
  }
};

inline constexpr SixteenBits kSixteenBits[] = {
    {"bfloat16", NetParameter::BF16, DeviceType::kBFloat16, 8, -125},
    {"float16", NetParameter::FP16, DeviceType::kFloat16, 11, -13}};

inline double Cosine(const Doubles& a, const Doubles& b) {
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return dot / std::sqrt(aa * bb);
}

/// Makes a copy in this format the only one.
inline void MoveTo(DeviceFormat format, DeviceTensor<float> tensor) {
  tensor.ModifyAs(format);
}

/// In GPU mode, on activations of 16 bits, a layer without parameters gives what it gives
/// on the host for the rounded values, and leaves its results in that format.
inline void ExpectMatchesHostIn16Bits(const std::string& text, const Shapes& shapes,
                                      OpKind kind, std::int64_t terms = 1) {
  for (const SixteenBits& bits : kSixteenBits) {
    SCOPED_TRACE(text + " in " + bits.name);
    Caffe::set_mode(Caffe::CPU);
    LayerRun<float> host(text, shapes);
    for (Blob<float>* blob : host.bottom) bits.Round(blob);
    host.Forward();
    FillDiff(host.top[0], 100);
    bits.Round(host.top[0], Half::kDiff);
    const std::vector<bool> all(shapes.size(), true);
    host.layer->Backward(host.top, all, host.bottom);

    Caffe::set_mode(Caffe::GPU);
    const Tolerance tolerance = StoredAs(bits.epsilon(), ToleranceOf<float>(kind, terms));
    LayerRun<float> run(text, shapes);
    run.SetUp();
    for (Blob<float>* blob : run.bottom) MoveTo(bits.format(), DeviceDataOf(blob));
    run.layer->Forward(run.bottom, run.top);
    EXPECT_EQ(DeviceDataOf(run.top[0]).format(), bits.format());
    ExpectClose(run.Top(), host.Top(), tolerance, "top");
    FillDiff(run.top[0], 100);
    MoveTo(bits.format(), DeviceDiffOf(run.top[0]));
    run.layer->Backward(run.top, all, run.bottom);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      EXPECT_EQ(DeviceDiffOf(run.bottom[i]).format(), bits.format()) << "bottom " << i;
      ExpectClose(run.BottomDiff(i), host.BottomDiff(i), tolerance,
                  "diff of bottom " + std::to_string(i));
    }
  }
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_SIXTEEN_BITS_HPP_
