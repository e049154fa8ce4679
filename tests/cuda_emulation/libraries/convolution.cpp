#include "convolution.h"

#include "matrix.h"

namespace cuda_emulation {
namespace {

/// The sizes of one group of one image as a product of matrices: the filter is
/// outputs x taps, what its taps see is taps x places, the result outputs x places.
class Group {
 public:
  explicit Group(const Convolution& convolution)
      : c_(convolution),
        taps_(c_.inputs * Convolution::Volume(c_.window)),
        places_(Convolution::Volume(c_.target)) {}

  std::ptrdiff_t taps() const { return taps_; }
  std::ptrdiff_t places() const { return places_; }
  std::size_t source_begin(std::ptrdiff_t image, std::ptrdiff_t group) const {
    return (image * c_.groups + group) * c_.inputs * Convolution::Volume(c_.source);
  }
  std::size_t target_begin(std::ptrdiff_t image, std::ptrdiff_t group) const {
    return (image * c_.groups + group) * c_.outputs * places_;
  }
  std::size_t filter_begin(std::ptrdiff_t group) const {
    return group * c_.outputs * taps_;
  }

  /// Calls function(tap, place, element of x) for all pairs whose element is not padding.
  template <typename Function>
  void ForPairs(Function function) const {
    std::ptrdiff_t tap = 0;
    for (std::ptrdiff_t input = 0; input < c_.inputs; ++input) {
      for (std::ptrdiff_t kd = 0; kd < c_.window[0]; ++kd) {
        for (std::ptrdiff_t kh = 0; kh < c_.window[1]; ++kh) {
          for (std::ptrdiff_t kw = 0; kw < c_.window[2]; ++kw) {
            ForPlaces(input, {kd, kh, kw},
                      [&](std::ptrdiff_t place, std::ptrdiff_t element) {
                        function(tap, place, element);
                      });
            ++tap;
          }
        }
      }
    }
  }

 private:
  template <typename Function>
  void ForPlaces(std::ptrdiff_t input, const Convolution::Extent& tap,
                 Function function) const {
    const auto at = [&](int axis, std::ptrdiff_t place) {
      return place * c_.stride[axis] - c_.pad[axis] + tap[axis] * c_.dilation[axis];
    };
    const auto inside = [&](int axis, std::ptrdiff_t index) {
      return index >= 0 && index < c_.source[axis];
    };
    for (std::ptrdiff_t d = 0; d < c_.target[0]; ++d) {
      if (!inside(0, at(0, d))) continue;
      for (std::ptrdiff_t h = 0; h < c_.target[1]; ++h) {
        if (!inside(1, at(1, h))) continue;
        const std::ptrdiff_t row =
            ((input * c_.source[0] + at(0, d)) * c_.source[1] + at(1, h)) * c_.source[2];
        for (std::ptrdiff_t w = 0; w < c_.target[2]; ++w) {
          if (!inside(2, at(2, w))) continue;
          function((d * c_.target[1] + h) * c_.target[2] + w, row + at(2, w));
        }
      }
    }
  }

  const Convolution& c_;
  std::ptrdiff_t taps_, places_;
};

/// The rows x columns matrix turned over.
std::vector<double> Transposed(const double* from, std::ptrdiff_t rows,
                               std::ptrdiff_t columns) {
  std::vector<double> to(static_cast<std::size_t>(rows * columns));
  for (std::ptrdiff_t i = 0; i < rows; ++i) {
    for (std::ptrdiff_t j = 0; j < columns; ++j) to[j * rows + i] = from[i * columns + j];
  }
  return to;
}

}  // namespace

std::vector<double> Forward(const Convolution& convolution, const std::vector<double>& x,
                            const std::vector<double>& w) {
  const Group group(convolution);
  std::vector<double> y(convolution.target_count(), 0.0);
  std::vector<double> seen(group.taps() * group.places());
  for (std::ptrdiff_t n = 0; n < convolution.batch; ++n) {
    for (std::ptrdiff_t g = 0; g < convolution.groups; ++g) {
      seen.assign(seen.size(), 0.0);
      const double* const source = &x[group.source_begin(n, g)];
      group.ForPairs(
          [&](std::ptrdiff_t tap, std::ptrdiff_t place, std::ptrdiff_t element) {
            seen[tap * group.places() + place] = source[element];
          });
      AddProduct(convolution.outputs, group.places(), group.taps(),
                 &w[group.filter_begin(g)], seen.data(), &y[group.target_begin(n, g)]);
    }
  }
  return y;
}

std::vector<double> BackwardData(const Convolution& convolution,
                                 const std::vector<double>& w,
                                 const std::vector<double>& dy) {
  const Group group(convolution);
  std::vector<double> dx(convolution.source_count(), 0.0);
  for (std::ptrdiff_t g = 0; g < convolution.groups; ++g) {
    const std::vector<double> filter =
        Transposed(&w[group.filter_begin(g)], convolution.outputs, group.taps());
    for (std::ptrdiff_t n = 0; n < convolution.batch; ++n) {
      std::vector<double> seen(group.taps() * group.places(), 0.0);
      AddProduct(group.taps(), group.places(), convolution.outputs, filter.data(),
                 &dy[group.target_begin(n, g)], seen.data());
      double* const source = &dx[group.source_begin(n, g)];
      group.ForPairs(
          [&](std::ptrdiff_t tap, std::ptrdiff_t place, std::ptrdiff_t element) {
            source[element] += seen[tap * group.places() + place];
          });
    }
  }
  return dx;
}

std::vector<double> BackwardFilter(const Convolution& convolution,
                                   const std::vector<double>& x,
                                   const std::vector<double>& dy) {
  const Group group(convolution);
  std::vector<double> dw(convolution.filter_count(), 0.0);
  std::vector<double> seen(group.places() * group.taps());
  for (std::ptrdiff_t n = 0; n < convolution.batch; ++n) {
    for (std::ptrdiff_t g = 0; g < convolution.groups; ++g) {
      // Turned over: places x taps.
      seen.assign(seen.size(), 0.0);
      const double* const source = &x[group.source_begin(n, g)];
      group.ForPairs(
          [&](std::ptrdiff_t tap, std::ptrdiff_t place, std::ptrdiff_t element) {
            seen[place * group.taps() + tap] = source[element];
          });
      AddProduct(convolution.outputs, group.taps(), group.places(),
                 &dy[group.target_begin(n, g)], seen.data(), &dw[group.filter_begin(g)]);
    }
  }
  return dw;
}

}  // namespace cuda_emulation
