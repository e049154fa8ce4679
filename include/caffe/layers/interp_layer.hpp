#ifndef CAFFE_INTERP_LAYER_HPP_
#define CAFFE_INTERP_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// The two neighbours of one output row or column in the input, and their weights.
template <typename Dtype>
struct InterpTap {
  int first, second;
  Dtype first_weight, second_weight;
};

/// The output rows or columns, from `begin` to before `end`, that have one of the input
/// as a neighbour.
struct InterpUses {
  int begin, end;
};

/// Resizes images bilinearly, corner pixels upon corner pixels.
///
/// Bottom (N, C, H, W), top (N, C, H', W'). Of the bottom -pad_beg rows and columns are
/// cut off at the top and left, and -pad_end at the bottom and right, which leaves h x w.
/// Output row i lies at r = i (h - 1) / (H' - 1) of them, or 0 where H' is 1, and with
/// l = r - floor(r) it is (1 - l) row(floor(r)) + l row(floor(r) + 1); columns likewise.
/// dbottom(y, x) = the sum over outputs of their weight of (y, x) times dtop; 0 where
/// cut off.
/// H' x W' is given by interp_param in one of these ways:
///   height and width;
///   shrink_factor s and zoom_factor z, or one of them: n = floor((h - 1) / s) + 1,
///   H' = (n - 1) z + 1;
///   a second bottom (any number of images and channels, H', W'), which receives no
///   gradient.
/// Source: the layer of the DeepLab and PSPNet releases. Differs from them: the second
/// bottom works with batches, and two ways at once are an error in every combination.
template <typename Dtype>
class InterpLayer : public Layer<Dtype> {
 public:
  explicit InterpLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;

  inline const char* type() const override { return "Interp"; }
  inline int MinBottomBlobs() const override { return 1; }
  inline int MaxBottomBlobs() const override { return 2; }
  inline int ExactNumTopBlobs() const override { return 1; }
  vector<string> BottomNames() const override {
    return {"the images", "the blob whose height and width to take (optional)"};
  }
  LayerTraits Traits() const override;
  inline bool AllowForceBackward(const int bottom_index) const override {
    return bottom_index == 0;
  }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  /// How rows or columns are resized.
  struct Axis {
    int input = 0, output = 0;         ///< extents; of the input, what is left of it
    shared_ptr<SyncedMemory> taps;     ///< an InterpTap<Dtype> for every output
    shared_ptr<SyncedMemory> used_by;  ///< InterpUses for every input, also what is cut
  };

  int OutputExtent(int extent, int given, const char* what) const;
  void Resize(int input, int output, Axis* axis) const;

  int cut_begin_ = 0;
  int cut_end_ = 0;
  int planes_ = 0;
  Axis rows_, columns_;
};

}  // namespace caffe

#endif  // CAFFE_INTERP_LAYER_HPP_
