#include "caffe/data/augmentation.hpp"

#include <algorithm>
#include <climits>
#include <cmath>

#include "caffe/common.hpp"

namespace caffe {
namespace {

int AtLeastOne(double size) { return std::max(1, static_cast<int>(std::lround(size))); }

CropBox Centred(int height, int width, int in_height, int in_width) {
  return {(in_height - height) / 2, (in_width - width) / 2, height, width};
}

// The largest crop with an allowed aspect.
CropBox Largest(const RandomResizedCrop& range, int height, int width) {
  const double aspect = static_cast<double>(width) / height;
  if (aspect < range.min_aspect()) {
    const int part = AtLeastOne(width / static_cast<double>(range.min_aspect()));
    return Centred(std::min(part, height), width, height, width);
  }
  if (aspect > range.max_aspect()) {
    const int part = AtLeastOne(height * static_cast<double>(range.max_aspect()));
    return Centred(height, std::min(part, width), height, width);
  }
  return {0, 0, height, width};
}

// The two pixels on either side of a place on an axis, and the share of the second.
struct Between {
  int low, high;
  double share;
};

inline Between PlaceOn(const Axis& axis, double u) {
  const double place =
      std::clamp(axis.start + axis.step * u, static_cast<double>(axis.first),
                 static_cast<double>(axis.last));
  const int low = static_cast<int>(place);
  return {low, std::min(low + 1, axis.last), place - low};
}

std::vector<Between> PlacesOn(const Axis& axis, int count, bool mirror) {
  std::vector<Between> places(count);
  for (int i = 0; i < count; ++i) places[i] = PlaceOn(axis, mirror ? count - 1 - i : i);
  return places;
}

// to[i] = mean of a[i · step] and b[i · step], weighted.
template <typename Pixel, typename Dtype>
void Mix(const Pixel* a, const Pixel* b, std::ptrdiff_t step, Dtype share, int count,
         Dtype* __restrict to) {
  const Dtype rest = 1 - share;
  if (step == 1) {
    for (int i = 0; i < count; ++i) {
      to[i] = rest * static_cast<Dtype>(a[i]) + share * static_cast<Dtype>(b[i]);
    }
    return;
  }
  for (int i = 0; i < count; ++i) {
    to[i] =
        rest * static_cast<Dtype>(a[i * step]) + share * static_cast<Dtype>(b[i * step]);
  }
}

// Without a rotation rows and columns are independent: whole rows of the image are mixed
// first, and pixels of the mixed row then.
template <typename Pixel, typename Dtype>
void SampleUpright(const ImageView<Pixel>& image, const Warp& warp, Dtype* out) {
  const std::vector<Between> rows = PlacesOn(warp.rows, warp.height, false);
  const std::vector<Between> columns = PlacesOn(warp.columns, warp.width, warp.mirror);
  int first = image.width, last = 0;
  for (const Between& column : columns) {
    first = std::min(first, column.low);
    last = std::max(last, column.high);
  }
  // Interleaved channels lie in one piece and are mixed together.
  const bool interleaved = image.channel_step == 1 && image.pixel_step == image.channels;
  const int together = interleaved ? image.channels : 1;
  std::vector<Dtype> shares(warp.width);
  std::vector<int> low(warp.width), high(warp.width);
  for (int x = 0; x < warp.width; ++x) {
    shares[x] = static_cast<Dtype>(columns[x].share);
    low[x] = (columns[x].low - first) * together;
    high[x] = (columns[x].high - first) * together;
  }
  const int count = (last - first + 1) * together;
  std::vector<Dtype> mixed(count);
  const std::ptrdiff_t plane = std::ptrdiff_t{warp.height} * warp.width;
  for (int y = 0; y < warp.height; ++y) {
    for (int c = 0; c < image.channels; c += together) {
      const Pixel* base = image.data + c * image.channel_step + first * image.pixel_step;
      Mix(base + rows[y].low * image.row_step, base + rows[y].high * image.row_step,
          interleaved ? 1 : image.pixel_step, static_cast<Dtype>(rows[y].share), count,
          mixed.data());
      for (int k = 0; k < together; ++k) {
        const Dtype* row = mixed.data() + k;
        Dtype* __restrict to = out + (c + k) * plane + std::ptrdiff_t{y} * warp.width;
        for (int x = 0; x < warp.width; ++x) {
          to[x] = (1 - shares[x]) * row[low[x]] + shares[x] * row[high[x]];
        }
      }
    }
  }
}

// An output pixel before the rotation.
struct Rotation {
  explicit Rotation(const Warp& warp)
      : cosine(std::cos(warp.degrees * M_PI / 180)),
        sine(std::sin(warp.degrees * M_PI / 180)),
        centre_x((warp.width - 1) / 2.0),
        centre_y((warp.height - 1) / 2.0),
        width(warp.width),
        height(warp.height) {}

  double U(int x, int y) const {
    return cosine * (x - centre_x) - sine * (y - centre_y) + centre_x;
  }
  double V(int x, int y) const {
    return sine * (x - centre_x) + cosine * (y - centre_y) + centre_y;
  }
  bool Covers(int x, int y) const {
    const double u = U(x, y), v = V(x, y);
    return u >= -0.5 && u <= width - 0.5 && v >= -0.5 && v <= height - 0.5;
  }

  double cosine, sine, centre_x, centre_y;
  int width, height;
};

template <typename Pixel, typename Dtype>
void SampleRotated(const ImageView<Pixel>& image, const Warp& warp,
                   const std::vector<Dtype>& fill, Dtype* out) {
  const Rotation rotation(warp);
  const std::ptrdiff_t plane = std::ptrdiff_t{warp.height} * warp.width;
  for (int y = 0; y < warp.height; ++y) {
    // What is covered of a row is one piece, as the rectangle is convex.
    int begin = 0, end = warp.width;
    while (begin < end && !rotation.Covers(begin, y)) ++begin;
    while (end > begin && !rotation.Covers(end - 1, y)) --end;
    Dtype* row = out + std::ptrdiff_t{y} * warp.width;
    for (int c = 0; c < image.channels; ++c) {
      std::fill(row + c * plane, row + c * plane + begin, fill[c]);
      std::fill(row + c * plane + end, row + c * plane + warp.width, fill[c]);
    }
    for (int x = begin; x < end; ++x) {
      const double u = rotation.U(x, y);
      const Between column = PlaceOn(warp.columns, warp.mirror ? warp.width - 1 - u : u);
      const Between line = PlaceOn(warp.rows, rotation.V(x, y));
      const auto fx = static_cast<Dtype>(column.share),
                 fy = static_cast<Dtype>(line.share);
      const Pixel* top = image.data + line.low * image.row_step;
      const Pixel* bottom = image.data + line.high * image.row_step;
      const std::ptrdiff_t left = column.low * image.pixel_step;
      const std::ptrdiff_t right = column.high * image.pixel_step;
      for (int c = 0; c < image.channels; ++c) {
        const std::ptrdiff_t at = c * image.channel_step;
        const Dtype l = (1 - fy) * static_cast<Dtype>(top[at + left]) +
                        fy * static_cast<Dtype>(bottom[at + left]);
        const Dtype r = (1 - fy) * static_cast<Dtype>(top[at + right]) +
                        fy * static_cast<Dtype>(bottom[at + right]);
        row[c * plane + x] = (1 - fx) * l + fx * r;
      }
    }
  }
}

// 0 < min_area <= max_area <= 1 and 0 < min_aspect <= max_aspect.
void CheckRange(const RandomResizedCrop& range) {
  // Written so that NaN fails, too.
  if (!(range.min_area() > 0 && range.min_area() <= range.max_area() &&
        range.max_area() <= 1)) {
    throw ValueError(
        Str("random_resized_crop: area from ", range.min_area(), " to ", range.max_area(),
            ", expected 0 < min_area <= max_area <= 1, shares of the image"));
  }
  if (!(range.min_aspect() > 0 && range.min_aspect() <= range.max_aspect() &&
        std::isfinite(range.max_aspect()))) {
    throw ValueError(Str("random_resized_crop: aspect from ", range.min_aspect(), " to ",
                         range.max_aspect(),
                         ", expected 0 < min_aspect <= max_aspect, width / height"));
  }
}

}  // namespace

void CheckAugmentation(const TransformationParameter& param) {
  const auto need = [](bool met, const string& what) {
    if (!met) throw ValueError("transform_param: " + what);
  };
  const char* moving_boxes = param.has_resize_param()      ? "resize_param"
                             : param.has_distort_param()   ? "distort_param"
                             : param.has_expand_param()    ? "expand_param"
                             : param.has_emit_constraint() ? "emit_constraint"
                             : param.crop_h() > 0 || param.crop_w() > 0
                                 ? "crop_h or crop_w"
                                 : nullptr;
  need(!moving_boxes, Str(moving_boxes ? moving_boxes : "",
                          " is for the type AnnotatedData alone, expected crop_size, "
                          "resize_short, random_resized_crop or max_jitter"));
  const float rotation = param.max_rotation(), jitter = param.max_jitter();
  need(rotation >= 0 && rotation <= 180,
       Str("max_rotation is ", rotation, ", expected 0 to 180 degrees"));
  need(jitter >= 0 && std::isfinite(jitter),
       Str("max_jitter is ", jitter, ", expected 0 or more grey levels"));
  need(param.resize_short() <= static_cast<unsigned>(INT_MAX),
       Str("resize_short is ", param.resize_short(), ", expected at most ", INT_MAX));
  need(param.resize_short() == 0 || param.resize_short() >= param.crop_size(),
       Str("a crop_size of ", param.crop_size(),
           " does not fit into images whose shorter ", "side is ", param.resize_short(),
           "; resize_short has to be as large at least"));
  if (param.has_random_resized_crop()) {
    CheckRange(param.random_resized_crop());
    need(param.crop_size() > 0,
         "random_resized_crop needs crop_size, the side that its crops are resized to");
  }
  const char* moving = param.has_random_resized_crop() ? "random_resized_crop"
                       : param.resize_short() > 0      ? "resize_short"
                       : rotation > 0                  ? "max_rotation"
                                                       : nullptr;
  need(!moving || !param.has_mean_file(),
       Str("mean_file has a mean for every place of the image, and ",
           moving ? moving : "", " moves the places; use mean_value"));
}

CropBox DrawCrop(const RandomResizedCrop& range, int height, int width,
                 const RandomDraws& draws) {
  const double min_area = range.min_area(), max_area = range.max_area();
  const double min_log = std::log(static_cast<double>(range.min_aspect()));
  const double max_log = std::log(static_cast<double>(range.max_aspect()));
  for (int i = 0; i < kCropTries; ++i) {
    const double share = min_area + (max_area - min_area) * draws.uniform();
    const double aspect = std::exp(min_log + (max_log - min_log) * draws.uniform());
    const double area = share * height * width;
    const double w = std::round(std::sqrt(area * aspect));
    const double h = std::round(std::sqrt(area / aspect));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    CropBox box;
    box.height = static_cast<int>(h);
    box.width = static_cast<int>(w);
    box.top = draws.below(height - box.height + 1);
    box.left = draws.below(width - box.width + 1);
    return box;
  }
  return Largest(range, height, width);
}

CropBox ResizedToShort(int side, int height, int width) {
  const int shorter = std::min(height, width), longer = std::max(height, width);
  const double length = std::round(static_cast<double>(longer) * side / shorter);
  if (length > INT_MAX) {
    throw ValueError(Str("resize_short: an image of ", width, " x ", height,
                         " pixels would get ", length, " pixels long"));
  }
  const int other = static_cast<int>(length);
  return height <= width ? CropBox{0, 0, side, other} : CropBox{0, 0, other, side};
}

Axis Axis::Over(int offset, int in, int out) {
  Axis axis;
  axis.step = static_cast<double>(in) / out;
  axis.start = offset + axis.step / 2 - 0.5;
  axis.first = offset;
  axis.last = offset + in - 1;
  return axis;
}

Axis Axis::Shifted(int offset, int size) {
  Axis axis;
  axis.start = offset;
  axis.last = size - 1;
  return axis;
}

bool Axis::IsShift() const { return step == 1 && start == std::floor(start); }

template <typename Pixel, typename Dtype>
void Sample(const ImageView<Pixel>& image, const Warp& warp,
            const std::vector<Dtype>& fill, Dtype* out) {
  if (warp.degrees == 0) {
    SampleUpright(image, warp, out);
  } else {
    SampleRotated(image, warp, fill, out);
  }
}

#define INSTANTIATE_SAMPLE(Pixel, Dtype)                                                \
  template void Sample(const ImageView<Pixel>&, const Warp&, const std::vector<Dtype>&, \
                       Dtype*)
INSTANTIATE_SAMPLE(unsigned char, float);
INSTANTIATE_SAMPLE(unsigned char, double);
INSTANTIATE_SAMPLE(float, float);
INSTANTIATE_SAMPLE(float, double);
INSTANTIATE_SAMPLE(double, double);

}  // namespace caffe
