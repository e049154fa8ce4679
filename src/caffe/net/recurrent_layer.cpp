#include "caffe/layers/recurrent_layer.hpp"

#include <memory>
#include <utility>

#include "caffe/layers/labels.hpp"
#include "caffe/net.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {
namespace {

void AddInput(const string& name, const vector<int>& shape, NetParameter* net) {
  LayerParameter* input = net->add_layer();
  input->set_name(name);
  input->set_type("Input");
  input->add_top(name);
  BlobShape* of = input->mutable_input_param()->add_shape();
  for (const int extent : shape) of->add_dim(extent);
}

template <typename Dtype>
void SetToZero(int count, SyncedMemory* memory) {
  if (count == 0) return;
  if (Caffe::mode() == Caffe::GPU) {
    caffe_gpu_set(count, Dtype(0), static_cast<Dtype*>(memory->mutable_gpu_data()));
  } else {
    caffe_set(count, Dtype(0), static_cast<Dtype*>(memory->mutable_cpu_data()));
  }
}

}  // namespace

template <typename Dtype>
vector<string> RecurrentLayer<Dtype>::ExposedNames(bool outputs) const {
  vector<string> names;
  if (!this->layer_param_.recurrent_param().expose_hidden()) return names;
  if (outputs) {
    RecurrentOutputBlobNames(&names);
  } else {
    RecurrentInputBlobNames(&names);
  }
  return names;
}

template <typename Dtype>
void RecurrentLayer<Dtype>::Prepare(const LayerOptions& options) {
  precision_ = options.precision;
  if (unrolled_net_) unrolled_net_->set_precision(precision_);
}

template <typename Dtype>
void RecurrentLayer<Dtype>::CheckShapes(const vector<Blob<Dtype>*>& bottom) const {
  const auto fail = [this, &bottom](int i, const string& expected) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, i), ": shape ",
                         ShapeText(bottom[i]->shape()), ", expected ", expected));
  };
  const string steps = Str("(", T_, ", ", bottom[0]->shape(1));
  if (bottom[1]->num_axes() != 2 || bottom[1]->shape(0) != T_ ||
      bottom[1]->shape(1) != bottom[0]->shape(1)) {
    fail(1, steps + "), steps by streams, as a mark for every step of bottom[0]");
  }
  if (static_input_ &&
      (bottom[2]->num_axes() < 1 || bottom[2]->shape(0) != bottom[0]->shape(1))) {
    fail(2, Str(bottom[0]->shape(1), " streams on axis 0, as bottom[0] has on axis 1"));
  }
}

template <typename Dtype>
void RecurrentLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& /*top*/) {
  if (bottom[0]->num_axes() < 2 || bottom[0]->count() < 1) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 0), ": shape ",
                         ShapeText(bottom[0]->shape()),
                         ", expected (steps, streams, ...)"));
  }
  T_ = bottom[0]->shape(0);
  N_ = bottom[0]->shape(1);
  const RecurrentParameter& param = this->layer_param_.recurrent_param();
  if (param.num_output() < 1 || param.num_output() > INT_MAX) {
    throw ValueError("recurrent_param.num_output must be positive");
  }
  expose_hidden_ = param.expose_hidden();
  static_input_ = static_cast<int>(bottom.size()) > MinBottomBlobs();
  CheckShapes(bottom);

  vector<string> input_names, output_names, state_names;
  RecurrentInputBlobNames(&input_names);
  RecurrentOutputBlobNames(&state_names);
  OutputBlobNames(&output_names);
  NetParameter net;
  net.set_name(this->layer_param_.name());
  net.set_precision(precision_);
  net.mutable_state()->set_phase(this->phase_);
  AddInput("x", bottom[0]->shape(), &net);
  AddInput("cont", bottom[1]->shape(), &net);
  if (static_input_) AddInput("x_static", bottom[2]->shape(), &net);
  FillUnrolledNet(&net);
  // The states before the first step, too; otherwise nothing in front of the weights.
  net.set_force_backward(expose_hidden_);
  // Losses make the net propagate back from the blobs that have tops, and give each of
  // them a diff of its own to begin with.
  vector<string> with_tops = output_names;
  if (expose_hidden_) {
    with_tops.insert(with_tops.end(), state_names.begin(), state_names.end());
  }
  for (const string& name : with_tops) {
    LayerParameter* loss = net.add_layer();
    loss->set_name("pseudo_loss_" + name);
    loss->set_type("Reduction");
    loss->add_bottom(name);
    loss->add_top(name + "_pseudo_loss");
    loss->add_loss_weight(1);
  }
  for (LayerParameter& layer : *net.mutable_layer()) {
    layer.set_name(this->layer_param_.name() + "_" + layer.name());
  }
  unrolled_net_ = std::make_shared<Net<Dtype>>(net);
  unrolled_net_->set_debug_info(param.debug_info());

  const auto blob = [this](const string& name) {
    return unrolled_net_->blob_by_name(name).get();
  };
  const auto blobs = [&blob](const vector<string>& names) {
    vector<Blob<Dtype>*> found;
    for (const string& name : names) found.push_back(blob(name));
    return found;
  };
  x_input_blob_ = blob("x");
  cont_input_blob_ = blob("cont");
  x_static_input_blob_ = static_input_ ? blob("x_static") : nullptr;
  recur_input_blobs_ = blobs(input_names);
  recur_output_blobs_ = blobs(state_names);
  output_blobs_ = blobs(output_names);
  last_layer_index_ =
      static_cast<int>(unrolled_net_->layers().size() - with_tops.size()) - 1;
  diffs_of_tops_.clear();
  for (size_t i = 0; i < with_tops.size(); ++i) {
    diffs_of_tops_.push_back(unrolled_net_->bottom_vecs()[last_layer_index_ + 1 + i][0]);
  }
  // No gradient comes from the next piece of a sequence.
  for (Blob<Dtype>* state : recur_output_blobs_) {
    SetToZero<Dtype>(state->count(), state->diff().get());
  }
  TakeParameters();
  Reset();
}

// Those of the net are this layer's, each once.
template <typename Dtype>
void RecurrentLayer<Dtype>::TakeParameters() {
  const vector<shared_ptr<Blob<Dtype>>> given = std::move(this->blobs_);
  this->blobs_.clear();
  for (size_t i = 0; i < unrolled_net_->params().size(); ++i) {
    if (unrolled_net_->param_owners()[i] >= 0) continue;
    this->blobs_.push_back(unrolled_net_->params()[i]);
  }
  this->param_propagate_down_.assign(this->blobs_.size(), true);
  if (given.empty()) return;
  bool fits = given.size() == this->blobs_.size();
  string expected;
  for (size_t i = 0; i < this->blobs_.size(); ++i) {
    const vector<int>& shape = this->blobs_[i]->shape();
    fits = fits && given[i]->shape() == shape;
    expected += (i == 0 ? "" : ", ") + ShapeText(shape);
  }
  if (!fits) {
    throw ValueError(
        "the weights given with the layer do not fit, expected blobs of shapes " +
        expected);
  }
  for (size_t i = 0; i < given.size(); ++i) this->blobs_[i]->CopyFrom(*given[i]);
}

template <typename Dtype>
bool RecurrentLayer<Dtype>::Fits(const vector<Blob<Dtype>*>& bottom) const {
  return x_input_blob_->shape() == bottom[0]->shape() &&
         (!static_input_ || x_static_input_blob_->shape() == bottom[2]->shape());
}

template <typename Dtype>
void RecurrentLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->num_axes() < 2 || bottom[0]->shape(0) != T_) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 0), ": shape ",
                         ShapeText(bottom[0]->shape()), ", expected ", T_,
                         " steps on axis 0 as at set-up; a net of another length shares "
                         "the weights of this one"));
  }
  CheckShapes(bottom);
  if (!Fits(bottom)) {
    const bool other_streams = N_ != bottom[0]->shape(1);
    N_ = bottom[0]->shape(1);
    x_input_blob_->ReshapeLike(*bottom[0]);
    cont_input_blob_->ReshapeLike(*bottom[1]);
    if (static_input_) x_static_input_blob_->ReshapeLike(*bottom[2]);
    vector<BlobShape> shapes;
    RecurrentInputShapes(&shapes);
    for (size_t i = 0; i < recur_input_blobs_.size(); ++i) {
      recur_input_blobs_[i]->Reshape(shapes[i]);
    }
    unrolled_net_->Reshape();
    if (other_streams) Reset();
  }
  const int first_state = 2 + static_input_;
  for (size_t i = 0; expose_hidden_ && i < recur_input_blobs_.size(); ++i) {
    const Blob<Dtype>& state = *bottom[first_state + i];
    if (state.shape() == recur_input_blobs_[i]->shape()) continue;
    const int index = first_state + static_cast<int>(i);
    throw ValueError(Str(NameOfBottom(this->layer_param_, index), ": shape ",
                         ShapeText(state.shape()), ", expected ",
                         ShapeText(recur_input_blobs_[i]->shape()),
                         ", a hidden state for every stream"));
  }
  for (size_t i = 0; i < output_blobs_.size(); ++i) {
    top[i]->ReshapeLike(*output_blobs_[i]);
  }
  for (size_t i = 0; expose_hidden_ && i < recur_output_blobs_.size(); ++i) {
    top[output_blobs_.size() + i]->ReshapeLike(*recur_output_blobs_[i]);
  }
}

template <typename Dtype>
void RecurrentLayer<Dtype>::Reset() {
  for (Blob<Dtype>* state : recur_output_blobs_) {
    SetToZero<Dtype>(state->count(), state->data().get());
  }
}

template <typename Dtype>
bool RecurrentLayer<Dtype>::SaveState(LayerState* state) const {
  if (expose_hidden_) return false;
  BlobProtoVector states;
  for (const Blob<Dtype>* blob : recur_output_blobs_) blob->ToProto(states.add_blobs());
  state->set_layer(this->layer_param_.name());
  state->set_extra(states.SerializeAsString());
  return true;
}

template <typename Dtype>
void RecurrentLayer<Dtype>::RestoreState(const LayerState& state) {
  BlobProtoVector states;
  if (!states.ParseFromString(state.extra())) {
    throw FileError(NameOf(this->layer_param_),
                    "its saved state is not one of a recurrent layer; was it saved by "
                    "another net?");
  }
  bool fits = states.blobs_size() == static_cast<int>(recur_output_blobs_.size());
  for (int i = 0; fits && i < states.blobs_size(); ++i) {
    fits = recur_output_blobs_[i]->ShapeEquals(states.blobs(i));
  }
  if (!fits) {
    LOG(WARNING) << NameOf(this->layer_param_) << ": its saved state is not that of "
                 << N_ << " streams, so that all of them begin anew";
    Reset();
    return;
  }
  for (int i = 0; i < states.blobs_size(); ++i) {
    recur_output_blobs_[i]->FromProto(states.blobs(i), /*reshape=*/false);
  }
}

// Copies, rather than the same memory under two names: the net around this layer frees
// and renews its blobs, and may work in place on them.
template <typename Dtype>
void RecurrentLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  // Whoever shares this layer's blobs has changed the memory of one copy alone.
  unrolled_net_->ShareWeights();
  x_input_blob_->CopyFrom(*bottom[0]);
  cont_input_blob_->CopyFrom(*bottom[1]);
  if (static_input_) x_static_input_blob_->CopyFrom(*bottom[2]);
  for (size_t i = 0; i < recur_input_blobs_.size(); ++i) {
    recur_input_blobs_[i]->CopyFrom(expose_hidden_ ? *bottom[2 + static_input_ + i]
                                                   : *recur_output_blobs_[i]);
  }
  unrolled_net_->ForwardTo(last_layer_index_);
  for (size_t i = 0; i < top.size(); ++i) {
    top[i]->CopyFrom(i < output_blobs_.size()
                         ? *output_blobs_[i]
                         : *recur_output_blobs_[i - output_blobs_.size()]);
  }
}

template <typename Dtype>
void RecurrentLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("marks", this->layer_param_, propagate_down);
  for (size_t i = 0; i < top.size(); ++i) {
    diffs_of_tops_[i]->CopyFrom(*top[i], /*copy_diff=*/true);
  }
  unrolled_net_->BackwardFrom(last_layer_index_);
  vector<Blob<Dtype>*> inputs = {x_input_blob_, nullptr};
  if (static_input_) inputs.push_back(x_static_input_blob_);
  if (expose_hidden_) {
    inputs.insert(inputs.end(), recur_input_blobs_.begin(), recur_input_blobs_.end());
  }
  for (size_t i = 0; i < bottom.size(); ++i) {
    if (propagate_down[i]) bottom[i]->CopyFrom(*inputs[i], /*copy_diff=*/true);
  }
}

INSTANTIATE_CLASS(RecurrentLayer);

}  // namespace caffe
