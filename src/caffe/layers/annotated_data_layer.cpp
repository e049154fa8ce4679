#include "caffe/layers/annotated_data_layer.hpp"

#include <cmath>
#include <utility>

#include "caffe/data/annotated_transform.hpp"
#include "caffe/data/decoded_sample.hpp"
#include "caffe/util/image_io.hpp"
#include "caffe/util/io.hpp"

namespace caffe {
namespace {

constexpr int kRow = 8;

// The bytes of a raw datum as an image.
cv::Mat ImageOf(const Datum& datum) {
  CheckRawDatum(datum);
  if (datum.data().empty() || datum.channels() > CV_CN_MAX) {
    throw ValueError(Str("the datum has ", datum.float_data_size(), " float values and ",
                         datum.channels(), " channels, expected bytes in up to ",
                         CV_CN_MAX,
                         " channels, or an encoded image, to move its boxes with"));
  }
  cv::Mat image(datum.height(), datum.width(), CV_8UC(datum.channels()));
  const auto* in = reinterpret_cast<const uchar*>(datum.data().data());
  for (int c = 0; c < datum.channels(); ++c) {
    for (int h = 0; h < datum.height(); ++h) {
      uchar* out = image.ptr<uchar>(h) + c;
      for (int w = 0; w < datum.width(); ++w, out += datum.channels()) *out = *in++;
    }
  }
  return image;
}

AnnotatedDatum Parse(const string& bytes) {
  AnnotatedDatum entry;
  if (!entry.ParseFromString(bytes) || !entry.has_datum()) {
    throw FileError(
        Str("its ", bytes.size(), " bytes are no AnnotatedDatum with an image"));
  }
  return entry;
}

void CheckBoxes(const AnnotatedDatum& entry) {
  for (const AnnotationGroup& group : entry.annotation_group()) {
    for (const Annotation& annotation : group.annotation()) {
      const NormalizedBBox& box = annotation.bbox();
      if (std::isfinite(box.xmin()) && std::isfinite(box.ymin()) &&
          std::isfinite(box.xmax()) && std::isfinite(box.ymax())) {
        continue;
      }
      throw FileError(Str("a box of class ", group.group_label(), " has the corners (",
                          box.xmin(), ", ", box.ymin(), ") and (", box.xmax(), ", ",
                          box.ymax(), "), expected finite numbers"));
    }
  }
}

}  // namespace

template <typename Dtype>
AnnotatedDataLayer<Dtype>::AnnotatedDataLayer(const LayerParameter& param)
    : DataLayer<Dtype>(param) {
  this->transform_param_ = AnnotatedTransform::Rest(param.transform_param());
}

template <typename Dtype>
AnnotatedDataLayer<Dtype>::~AnnotatedDataLayer() {
  this->StopThreads();
}

template <typename Dtype>
void AnnotatedDataLayer<Dtype>::DataLayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                               const vector<Blob<Dtype>*>& top) {
  const AnnotatedDataParameter& param = this->layer_param_.annotated_data_param();
  transform_ = std::make_unique<AnnotatedTransform>(this->layer_param_.transform_param(),
                                                    param, this->phase_);
  has_boxes_ = param.has_anno_type();
  DataLayer<Dtype>::DataLayerSetUp(bottom, top);
  AnnotatedDatum first;
  has_boxes_ |=
      first.ParseFromString(this->Fetch(this->FirstSample()).bytes) && first.has_type();
  if (this->output_labels_ && has_boxes_) top[1]->Reshape({1, 1, 1, kRow});
}

template <typename Dtype>
std::unique_ptr<DecodedSample> AnnotatedDataLayer<Dtype>::DecodeEntry(
    const string& bytes, std::uint64_t number) const {
  const AnnotatedDatum entry = Parse(bytes);
  CheckBoxes(entry);
  auto sample = std::make_unique<DecodedSample>();
  sample->label = entry.datum().label();
  AnnotatedImage image;
  image.image = entry.datum().encoded() ? this->data_transformer_->Decode(entry.datum())
                                        : ImageOf(entry.datum());
  if (this->layer_param_.annotated_data_param().has_anno_type() || entry.has_type()) {
    image.groups.assign(entry.annotation_group().begin(), entry.annotation_group().end());
  } else if (has_boxes_) {
    throw FileError("it has no type of annotation, which the first entry has");
  }
  rng_t rng = this->Generator("annotations");
  rng.Seek(number * kMaxAnnotationDraws);
  transform_->Apply(&rng, &image);
  sample->image = image.image;
  for (const AnnotationGroup& group : image.groups) {
    for (const Annotation& annotation : group.annotation()) {
      const NormalizedBBox& box = annotation.bbox();
      for (const float value :
           {static_cast<float>(group.group_label()),
            static_cast<float>(annotation.instance_id()), box.xmin(), box.ymin(),
            box.xmax(), box.ymax(), box.difficult() ? 1.0f : 0.0f}) {
        sample->values.push_back(value);
      }
    }
  }
  return sample;
}

template <typename Dtype>
std::unique_ptr<DecodedSample> AnnotatedDataLayer<Dtype>::BlankEntry(
    const string& bytes) const {
  auto sample = std::make_unique<DecodedSample>();
  sample->label = Parse(bytes).datum().label();
  sample->blank = true;
  return sample;
}

template <typename Dtype>
void AnnotatedDataLayer<Dtype>::DeliverLabels(int device, Batch<Dtype>* batch,
                                              const vector<Blob<Dtype>*>& top) {
  if (!has_boxes_) return DataLayer<Dtype>::DeliverLabels(device, batch, top);
  constexpr int kValues = kRow - 1;  // without the image
  size_t boxes = 0;
  for (const auto& values : batch->values_) boxes += values.size() / kValues;
  top[1]->Reshape({1, 1, boxes == 0 ? 1 : static_cast<int>(boxes), kRow});
  Dtype* out = top[1]->mutable_cpu_data();
  if (boxes == 0) caffe_set(kRow, Dtype(-1), out);
  for (size_t item = 0; item < batch->values_.size(); ++item) {
    const vector<float>& values = batch->values_[item];
    for (size_t i = 0; i < values.size(); ++i) {
      if (i % kValues == 0) *out++ = static_cast<Dtype>(item);
      *out++ = static_cast<Dtype>(values[i]);
    }
  }
}

INSTANTIATE_CLASS(AnnotatedDataLayer);
REGISTER_LAYER_CLASS(AnnotatedData);

}  // namespace caffe
