#include "caffe/layers/dummy_data_layer.hpp"

#include "caffe/layers/shape_param.hpp"

namespace caffe {
namespace {

// Entry `i` of a repeated field that holds one value for all tops or one each.
int EntryFor(int entries, size_t i) { return entries == 1 ? 0 : static_cast<int>(i); }

}  // namespace

template <typename Dtype>
void DummyDataLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                       const vector<Blob<Dtype>*>& top) {
  const DummyDataParameter& param = this->layer_param_.dummy_data_param();
  const int tops = static_cast<int>(top.size());
  const auto check = [&](const char* field, int entries, bool optional) {
    if (entries == 1 || entries == tops || (optional && entries == 0)) return;
    throw ValueError(Str(entries, " dummy_data_param.", field, " entries, expected 1 or ",
                         tops, ", one for every top"));
  };
  check("data_filler", param.data_filler_size(), true);
  const bool legacy = param.num_size() > 0 || param.channels_size() > 0 ||
                      param.height_size() > 0 || param.width_size() > 0;
  if (legacy && param.shape_size() > 0) {
    throw ValueError(
        "it has both dummy_data_param.shape and its old form num, channels, height, "
        "width; give one");
  }
  if (legacy) {
    check("num", param.num_size(), false);
    check("channels", param.channels_size(), false);
    check("height", param.height_size(), false);
    check("width", param.width_size(), false);
  } else {
    check("shape", param.shape_size(), false);
  }
  for (size_t i = 0; i < top.size(); ++i) {
    if (legacy) {
      const auto extent = [i](const auto& field) {
        return static_cast<int>(field.Get(EntryFor(field.size(), i)));
      };
      top[i]->Reshape({extent(param.num()), extent(param.channels()),
                       extent(param.height()), extent(param.width())});
    } else {
      const BlobShape& shape = param.shape(EntryFor(param.shape_size(), i));
      top[i]->Reshape(ShapeFromParam("dummy_data_param.shape", shape));
    }
    FillerParameter filler;  // constant 0
    if (param.data_filler_size() > 0) {
      filler = param.data_filler(EntryFor(param.data_filler_size(), i));
    }
    fillers_.emplace_back(GetFiller<Dtype>(filler));
    refill_.push_back(filler.type() != "constant");
  }
  filled_count_.assign(top.size(), -1);
  // Constants can be read before the first Forward.
  for (size_t i = 0; i < top.size(); ++i) {
    if (!refill_[i]) Fill(i, top[i]);
  }
}

template <typename Dtype>
void DummyDataLayer<Dtype>::Fill(size_t i, Blob<Dtype>* top) {
  fillers_[i]->Fill(top);
  filled_count_[i] = top->count();
}

template <typename Dtype>
void DummyDataLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& /*bottom*/,
                                        const vector<Blob<Dtype>*>& top) {
  for (size_t i = 0; i < top.size(); ++i) {
    // Constants are filled once, and again only when the caller changed the shape, or a
    // layer in place the values.
    if (refill_[i] || filled_count_[i] != top[i]->count() || options_.overwrites(i)) {
      Fill(i, top[i]);
    }
  }
}

INSTANTIATE_CLASS(DummyDataLayer);
REGISTER_LAYER_CLASS(DummyData);

}  // namespace caffe
