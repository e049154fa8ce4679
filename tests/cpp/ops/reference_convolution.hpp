#ifndef CAFFE_TESTS_OPS_REFERENCE_CONVOLUTION_HPP_
#define CAFFE_TESTS_OPS_REFERENCE_CONVOLUTION_HPP_

#include <cstdint>
#include <vector>

#include "caffe/ops/convolution.hpp"

// Convolution by its definition, in double:
//   y[n, k, o] = b[k] + Σ_{c, t} w[k, c, t] x[n, group(k) C/G + c, o·stride - pad +
//   t·dilation].
// One enumeration of the products serves all directions.

namespace caffe {
namespace test {

/// The next index of a row-major array of `shape`; false after the last.
inline bool NextIndex(const std::vector<int>& shape, std::vector<int>* index) {
  for (int axis = static_cast<int>(shape.size()) - 1; axis >= 0; --axis) {
    if (++(*index)[axis] < shape[axis]) return true;
    (*index)[axis] = 0;
  }
  return false;
}

inline std::int64_t Product(const std::vector<int>& shape) {
  std::int64_t product = 1;
  for (int dim : shape) product *= dim;
  return product;
}

/// Calls visit(src index, weight index, dst index) for every product whose tap lies
/// inside the image.
template <typename Visit>
void ForEachProduct(const ConvolutionProblem& p, Visit visit) {
  const std::vector<int> src_space(p.src.begin() + 2, p.src.end());
  const std::vector<int> dst_space(p.dst.begin() + 2, p.dst.end());
  const std::int64_t src_size = Product(src_space), dst_size = Product(dst_space);
  const std::int64_t taps = Product(p.kernel);
  const int in_width = p.src[1] / p.group, out_width = p.dst[1] / p.group;
  std::vector<int> o(dst_space.size(), 0);
  std::int64_t out = 0;
  do {
    std::vector<int> t(p.kernel.size(), 0);
    std::int64_t tap = 0;
    do {
      std::int64_t in = 0;
      bool inside = true;
      for (std::size_t i = 0; i < t.size(); ++i) {
        const int at = o[i] * p.stride[i] - p.pad[i] + t[i] * p.dilation[i];
        inside = inside && at >= 0 && at < src_space[i];
        in = in * src_space[i] + at;
      }
      for (int n = 0; inside && n < p.src[0]; ++n) {
        for (int k = 0; k < p.dst[1]; ++k) {
          for (int c = 0; c < in_width; ++c) {
            const std::int64_t channel = k / out_width * in_width + c;
            visit((n * p.src[1] + channel) * src_size + in,
                  (std::int64_t{k} * in_width + c) * taps + tap,
                  (std::int64_t{n} * p.dst[1] + k) * dst_size + out);
          }
        }
      }
      ++tap;
    } while (NextIndex(p.kernel, &t));
    ++out;
  } while (NextIndex(dst_space, &o));
}

/// What one problem computes from values x, weights w, bias b (may be empty) and the
/// gradient dy of the output.
struct ConvolutionResults {
  std::vector<double> y, dx, dw, db;
};

inline ConvolutionResults ReferenceConvolution(const ConvolutionProblem& p,
                                               const std::vector<double>& x,
                                               const std::vector<double>& w,
                                               const std::vector<double>& b,
                                               const std::vector<double>& dy) {
  ConvolutionResults r;
  r.y.assign(Product(p.dst), 0);
  r.dx.assign(x.size(), 0);
  r.dw.assign(w.size(), 0);
  r.db.assign(p.dst[1], 0);
  const std::int64_t spatial = Product(p.dst) / (p.dst[0] * p.dst[1]);
  for (std::size_t i = 0; i < r.y.size(); ++i) {
    const std::size_t k = i / spatial % p.dst[1];
    if (!b.empty()) r.y[i] = b[k];
    r.db[k] += dy[i];
  }
  ForEachProduct(p, [&](std::int64_t in, std::int64_t weight, std::int64_t out) {
    r.y[out] += w[weight] * x[in];
    r.dx[in] += w[weight] * dy[out];
    r.dw[weight] += x[in] * dy[out];
  });
  return r;
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_OPS_REFERENCE_CONVOLUTION_HPP_
