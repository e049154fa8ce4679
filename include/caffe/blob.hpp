#ifndef CAFFE_BLOB_HPP_
#define CAFFE_BLOB_HPP_

#include <algorithm>
#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/syncedmem.hpp"

/// Most axes a Blob may have.
const int kMaxBlobAxes = 32;

namespace caffe {

/// "(2, 3, 4, 5)", the form shapes take in messages.
string ShapeText(const vector<int>& shape);

/// Throws ValueError for an axis that is none of the shape's.
[[noreturn]] void RefuseAxis(int axis, const vector<int>& shape);

/// An N-dimensional array of values (`data`) and of their gradients (`diff`),
/// row-major, with memory allocated when first used.
///
/// Both halves can live on the host, on the device or in an engine's packed
/// layout; see SyncedMemory. Shapes of images are (N, C, H, W).
template <typename Dtype>
class Blob {
 public:
  Blob() : data_(), diff_(), count_(0), capacity_(0) {}
  /// Deprecated; use the vector form.
  explicit Blob(const int num, const int channels, const int height, const int width);
  explicit Blob(const vector<int>& shape);

  /// Deprecated; use the vector form.
  void Reshape(const int num, const int channels, const int height, const int width);
  /// Changes the shape; memory grows when needed and never shrinks. Throws
  /// ValueError on a negative dimension or more than INT_MAX elements.
  void Reshape(const vector<int>& shape);
  void Reshape(const BlobShape& shape);
  void ReshapeLike(const Blob& other);

  /// "2 3 4 5 (120)": the dimensions and their product.
  inline string shape_string() const {
    ostringstream stream;
    for (int dim : shape_) stream << dim << " ";
    stream << "(" << count_ << ")";
    return stream.str();
  }
  inline const vector<int>& shape() const { return shape_; }
  /// Length of an axis; negative indices count from the last.
  inline int shape(int index) const { return shape_[CanonicalAxisIndex(index)]; }
  inline int num_axes() const { return static_cast<int>(shape_.size()); }
  inline int count() const { return count_; }
  /// Product of the axes [start_axis, end_axis).
  inline int count(int start_axis, int end_axis) const {
    CHECK_LE(start_axis, end_axis);
    CHECK_GE(start_axis, 0);
    CHECK_LE(end_axis, num_axes());
    int count = 1;
    for (int i = start_axis; i < end_axis; ++i) count *= shape_[i];
    return count;
  }
  inline int count(int start_axis) const { return count(start_axis, num_axes()); }

  /// Maps -num_axes..num_axes-1 to 0..num_axes-1; throws outside.
  inline int CanonicalAxisIndex(int axis_index) const {
    if (axis_index < -num_axes() || axis_index >= num_axes()) {
      RefuseAxis(axis_index, shape_);
    }
    return axis_index < 0 ? axis_index + num_axes() : axis_index;
  }

  /// Deprecated four-axis accessors; missing axes have length 1.
  inline int num() const { return LegacyShape(0); }
  inline int channels() const { return LegacyShape(1); }
  inline int height() const { return LegacyShape(2); }
  inline int width() const { return LegacyShape(3); }
  inline int LegacyShape(int index) const {
    CHECK_LE(num_axes(), 4) << "legacy accessors need at most 4 axes";
    CHECK_LT(index, 4);
    CHECK_GE(index, -4);
    if (index >= num_axes() || index < -num_axes()) return 1;
    return shape(index);
  }

  inline int offset(const int n, const int c = 0, const int h = 0,
                    const int w = 0) const {
    CHECK_GE(n, 0);
    CHECK_LE(n, num());
    CHECK_GE(channels(), 0);
    CHECK_LE(c, channels());
    CHECK_GE(height(), 0);
    CHECK_LE(h, height());
    CHECK_GE(width(), 0);
    CHECK_LE(w, width());
    return ((n * channels() + c) * height() + h) * width() + w;
  }
  inline int offset(const vector<int>& indices) const {
    CHECK_LE(static_cast<int>(indices.size()), num_axes());
    int offset = 0;
    for (int i = 0; i < num_axes(); ++i) {
      offset *= shape(i);
      if (static_cast<int>(indices.size()) > i) {
        CHECK_GE(indices[i], 0);
        CHECK_LT(indices[i], shape(i));
        offset += indices[i];
      }
    }
    return offset;
  }

  /// Copies data (or diff) of `source`; reshapes only if `reshape`.
  void CopyFrom(const Blob<Dtype>& source, bool copy_diff = false, bool reshape = false);

  inline Dtype data_at(const int n, const int c, const int h, const int w) const {
    return cpu_data()[offset(n, c, h, w)];
  }
  inline Dtype diff_at(const int n, const int c, const int h, const int w) const {
    return cpu_diff()[offset(n, c, h, w)];
  }
  inline Dtype data_at(const vector<int>& index) const {
    return cpu_data()[offset(index)];
  }
  inline Dtype diff_at(const vector<int>& index) const {
    return cpu_diff()[offset(index)];
  }

  inline const shared_ptr<SyncedMemory>& data() const {
    CHECK(data_) << "blob has no shape yet";
    return data_;
  }
  inline const shared_ptr<SyncedMemory>& diff() const {
    CHECK(diff_) << "blob has no shape yet";
    return diff_;
  }

  /// Makes arrays that somebody holds outside (NumPy's, set_cpu_data()) show the newest
  /// values, and lets what was written through them be seen.
  void Settle() const {
    if (count_ == 0) return;
    data()->Settle();
    diff()->Settle();
  }

  const Dtype* cpu_data() const;
  void set_cpu_data(Dtype* data);
  const int* gpu_shape() const;
  const Dtype* gpu_data() const;
  void set_gpu_data(Dtype* data);
  const Dtype* cpu_diff() const;
  const Dtype* gpu_diff() const;
  Dtype* mutable_cpu_data();
  Dtype* mutable_gpu_data();
  Dtype* mutable_cpu_diff();
  Dtype* mutable_gpu_diff();

  /// data -= diff.
  void Update();
  /// Reads a stored blob of any generation (legacy num/channels/height/width,
  /// shape; float or double; packed or raw). Throws ValueError on a mismatch.
  void FromProto(const BlobProto& proto, bool reshape = true);
  void ToProto(BlobProto* proto, bool write_diff = false) const;

  /// Sum of absolute values, of squares; and multiplication in place.
  Dtype asum_data() const;
  Dtype asum_diff() const;
  Dtype sumsq_data() const;
  Dtype sumsq_diff() const;
  void scale_data(Dtype scale_factor);
  void scale_diff(Dtype scale_factor);

  /// Makes this blob's half the same memory as `other`'s (equal counts).
  void ShareData(const Blob& other);
  void ShareDiff(const Blob& other);

  /// True when a stored blob has this shape, by Caffe's legacy rules too.
  bool ShapeEquals(const BlobProto& other) const;

 protected:
  shared_ptr<SyncedMemory> data_;
  shared_ptr<SyncedMemory> diff_;
  shared_ptr<SyncedMemory> shape_data_;
  vector<int> shape_;
  int count_;
  int capacity_;

  DISABLE_COPY_AND_ASSIGN(Blob);
};

}  // namespace caffe

#endif  // CAFFE_BLOB_HPP_
