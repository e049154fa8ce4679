#include "net.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <tuple>
#include <utility>

#include "benchmark.hpp"
#include "blob.hpp"
#include "caffe/layers/memory_data_layer.hpp"
#include "caffe/net/schedule.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "caffe/util/upgrade_steps.hpp"
#include "layer.hpp"

namespace caffe::python {
namespace {

using FloatArray = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;

NetHandle* FromFile(const string& file, int phase, int level,
                    const vector<string>& stages) {
  auto session = Session::Create();
  std::shared_ptr<Net<float>> net;
  {
    Computing computing(session);
    net = std::make_shared<Net<float>>(file, static_cast<Phase>(phase), level, &stages);
  }
  return new NetHandle(std::move(net), std::move(session));
}

NetHandle* FromMessage(const nb::bytes& serialized, int phase, int level,
                       const vector<string>& stages) {
  auto param = ParseMessage<NetParameter>(serialized);
  auto session = Session::Create();
  std::shared_ptr<Net<float>> net;
  {
    Computing computing(session);
    param.mutable_state()->set_phase(static_cast<Phase>(phase));
    param.mutable_state()->set_level(level);
    for (const string& stage : stages) param.mutable_state()->add_stage(stage);
    net = std::make_shared<Net<float>>(param);
  }
  return new NetHandle(std::move(net), std::move(session));
}

nb::bytes Serialized(const NetParameter& param, const string& source) {
  string serialized;
  if (!param.SerializeToString(&serialized)) {
    throw ValueError(Str("'", source, "': larger than a message may be, 2 GiB"));
  }
  return nb::bytes(serialized.data(), serialized.size());
}

nb::bytes ReadNet(const string& file) {
  NetParameter param;
  {
    nb::gil_scoped_release release;
    ReadNetParamsFromFileOrDie(file, &param);
  }
  return Serialized(param, file);
}

std::tuple<nb::bytes, bool, bool> UpgradeNet(const string& file, bool binary) {
  NetParameter param;
  bool needed = false, complete = false;
  {
    nb::gil_scoped_release release;
    if (binary) {
      needed = ReadStoredNet(file, &param);
    } else {
      ReadProtoFromTextFileOrDie(file, &param);
    }
    needed = NetNeedsUpgrade(param) || needed;
    complete = UpgradeNetAsNeeded(file, &param);
  }
  return {Serialized(param, file), needed, complete};
}

nb::bytes ParseNet(const nb::bytes& text, const string& source) {
  NetParameter param;
  ParseProtoTextOrDie(string(text.c_str(), text.size()), source, &param);
  return Serialized(param, source);
}

nb::list Blobs(const NetHandle& self) {
  nb::list blobs;
  for (const auto& blob : self.net->blobs()) {
    blobs.append(nb::cast(BlobHandle(blob, self.session)));
  }
  return blobs;
}

nb::list Layers(const NetHandle& self) {
  nb::list layers;
  for (const auto& layer : self.net->layers()) {
    layers.append(nb::cast(LayerHandle{layer, self.session}));
  }
  return layers;
}

nb::list LossWeights(const NetHandle& self) {
  nb::list weights;
  for (std::size_t i = 0; i < self.net->blobs().size(); ++i) {
    const auto& all = self.net->blob_loss_weights();
    weights.append(i < all.size() ? all[i] : 0.f);
  }
  return weights;
}

nb::tuple ScheduleOf(NetHandle& self) {
  const Schedule<float>& schedule = self.net->schedule();
  const auto names = [](const vector<int>& ids, const vector<string>& all) {
    nb::list list;
    for (int id : ids) list.append(all[id]);
    return list;
  };
  const GraphFacts& graph = self.net->graph();
  nb::list steps;
  for (int i = 0; i < schedule.size(); ++i) {
    const Step& step = schedule.step(i);
    nb::list recomputed;
    for (const Step::Recomputation& again : step.recompute_before) {
      recomputed.append(graph.blob_names[again.group]);
    }
    steps.append(nb::make_tuple(names(step.layers, graph.layer_names),
                                names(step.free_after_forward, graph.blob_names),
                                recomputed,
                                names(step.free_after_backward, graph.blob_names),
                                names(step.free_diffs, graph.blob_names)));
  }
  return nb::make_tuple(PolicyName(schedule.policy()), schedule.ToString(), steps);
}

using CallbackFunction = nb::typed<nb::callable, nb::object(int)>;
using AddCallback = void (Net<float>::*)(Net<float>::Callback*);

void Register(NetHandle& self, AddCallback add, nb::object function) {
  Locked lock(self.session);
  self.callbacks.push_back(
      std::make_unique<NetCallback>(self.net.get(), std::move(function)));
  (self.net.get()->*add)(self.callbacks.back().get());
}

void SetInputArrays(NetHandle& self, const FloatArray& data, const FloatArray& labels) {
  Locked lock(self.session);
  auto* layer = self.net->layers().empty()
                    ? nullptr
                    : dynamic_cast<MemoryDataLayer<float>*>(self.net->layers()[0].get());
  if (!layer) {
    throw ValueError(
        Str("set_input_arrays: net '", self.net->name(),
            "' does not begin with a MemoryData layer, the only kind that takes "
            "arrays"));
  }
  const int shape[] = {layer->channels(), layer->height(), layer->width()};
  if (data.ndim() != 4 || data.shape(1) != static_cast<size_t>(shape[0]) ||
      data.shape(2) != static_cast<size_t>(shape[1]) ||
      data.shape(3) != static_cast<size_t>(shape[2])) {
    string got;
    for (size_t i = 0; i < data.ndim(); ++i) got += Str(i ? ", " : "", data.shape(i));
    throw ValueError(Str("set_input_arrays: data has shape (", got, "), expected (N, ",
                         shape[0], ", ", shape[1], ", ", shape[2], ")"));
  }
  if (labels.size() != data.shape(0)) {
    throw ValueError(Str("set_input_arrays: ", labels.size(), " labels, expected ",
                         data.shape(0), ", one for each image"));
  }
  if (data.shape(0) == 0 || data.shape(0) % layer->batch_size() != 0) {
    throw ValueError(Str("set_input_arrays: ", data.shape(0),
                         " images, expected a multiple of the batch size, ",
                         layer->batch_size()));
  }
  // Reset takes pointers to non-const for Caffe's sake; the layer only reads.
  layer->Reset(const_cast<float*>(data.data()), const_cast<float*>(labels.data()),
               static_cast<int>(data.shape(0)));
  self.input_arrays = {nb::cast(data), nb::cast(labels)};
  self.users->SetArrays();
}

nb::list Results(NetHandle& self, const vector<int>& blobs, bool data) {
  Locked lock(self.session);
  nb::list arrays;
  for (int i : blobs) {
    const BlobHandle blob(self.net->blobs().at(i), self.session);
    arrays.append(self.users->Result(blob, data, self.net->blob_names()[i]));
  }
  return arrays;
}

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self)) return 0;
  for (auto& callback : nb::inst_ptr<NetHandle>(self)->callbacks) {
    Py_VISIT(callback->function().ptr());
  }
  return 0;
}

int Clear(PyObject* self) {
  // The net still points to the callbacks themselves.
  for (auto& callback : nb::inst_ptr<NetHandle>(self)->callbacks) {
    callback->function().reset();
  }
  return 0;
}

PyType_Slot kSlots[] = {{Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
                        {Py_tp_clear, reinterpret_cast<void*>(Clear)},
                        {0, nullptr}};

}  // namespace

void NetCallback::run(int layer) {
  nb::gil_scoped_acquire gil;
  if (!function_.is_valid()) return;
  net_->Settle();
  function_(layer);
  net_->Settle();
}

NetHandle::NetHandle(std::shared_ptr<Net<float>> net, SessionPtr session)
    : net(std::move(net)),
      session(std::move(session)),
      users(std::make_shared<NetUsers>(this->net->name())) {
  this->session->nets.push_back(this->net);
}

void BindNet(nb::module_& m) {
  nb::class_<Turn>(m, "Turn", "A net's turn, for a `with` statement.")
      .def("__enter__", &Turn::Enter)
      .def(
          "__exit__", [](Turn& self, const nb::args&) { self.Exit(); },
          nb::sig("def __exit__(self, *args: object) -> None"));

  m.def("read_net", &ReadNet, nb::arg("file"),
        "A prototxt or caffemodel, upgraded, as a serialized NetParameter.");
  m.def("upgrade_net", &UpgradeNet, nb::arg("file"), nb::arg("binary"),
        "A prototxt, or a caffemodel, upgraded, as a serialized NetParameter; whether it "
        "was of an old format; whether all that is in it has a new form.");
  m.def("parse_net", &ParseNet, nb::arg("text"), nb::arg("source"),
        "The text of a prototxt, as it is, as a serialized NetParameter; errors call it "
        "`source`.");

  nb::class_<NetHandle>(m, "Net", nb::type_slots(kSlots),
                        "The engine's side of caffe.Net.")
      .def_static("from_file", &FromFile, nb::rv_policy::take_ownership, nb::arg("file"),
                  nb::arg("phase"), nb::arg("level"), nb::arg("stages"))
      .def_static("from_message", &FromMessage, nb::rv_policy::take_ownership,
                  nb::arg("serialized"), nb::arg("phase"), nb::arg("level"),
                  nb::arg("stages"))
      .def_prop_ro("name", [](const NetHandle& self) { return self.net->name(); })
      .def_prop_ro("phase", [](const NetHandle& self) { return int{self.net->phase()}; })
      .def_prop_ro("blob_names",
                   [](const NetHandle& self) { return self.net->blob_names(); })
      .def_prop_ro("layer_names",
                   [](const NetHandle& self) { return self.net->layer_names(); })
      .def_prop_ro("blobs", &Blobs, nb::sig("def blobs(self) -> list[Blob]"))
      .def_prop_ro("layers", &Layers, nb::sig("def layers(self) -> list[EngineLayer]"))
      .def_prop_ro("blob_loss_weights", &LossWeights,
                   nb::sig("def blob_loss_weights(self) -> list[float]"))
      .def_prop_ro("inputs",
                   [](const NetHandle& self) { return self.net->input_blob_indices(); })
      .def_prop_ro("outputs",
                   [](const NetHandle& self) { return self.net->output_blob_indices(); })
      .def(
          "top_ids", [](const NetHandle& self, int i) { return self.net->top_ids(i); },
          nb::arg("layer"))
      .def(
          "bottom_ids",
          [](const NetHandle& self, int i) { return self.net->bottom_ids(i); },
          nb::arg("layer"))
      .def("memory_bytes", [](const NetHandle& self) { return self.net->MemoryBytes(); })
      .def(
          "forward",
          [](NetHandle& self, int start, int end) {
            Locked lock(self.session);
            self.users->BeginForward(start == 0);
            Computing computing(self.session);
            return self.net->ForwardFromTo(start, end);
          },
          nb::arg("start"), nb::arg("end"))
      .def(
          "backward",
          [](NetHandle& self, int start, int end) {
            Locked lock(self.session);
            self.users->BeginBackward();
            Computing computing(self.session);
            self.net->BackwardFromTo(start, end);
          },
          nb::arg("start"), nb::arg("end"))
      .def(
          "skip_batch",
          [](NetHandle& self) {
            Computing computing(self.session);
            Net<float>& net = *self.net;
            for (std::size_t i = 0; i < net.layers().size(); ++i) {
              if (!net.bottom_vecs()[i].empty()) continue;
              net.layers()[i]->Forward(net.bottom_vecs()[i], net.top_vecs()[i]);
            }
          },
          "Runs the layers that read data alone, so that the next run has the next.")
      .def("results", &Results, nb::arg("blobs"), nb::arg("data"),
           nb::sig("def results(self, blobs: collections.abc.Sequence[int], data: bool) "
                   "-> list[numpy.typing.NDArray[numpy.float32]]"))
      .def(
          "turn", [](const NetHandle& self) { return new Turn(self.session); },
          nb::rv_policy::take_ownership)
      .def("take_over", [](NetHandle& self) { self.users->TakeOver(); })
      .def_prop_ro("several_threads",
                   [](const NetHandle& self) { return self.users->several(); })
      .def("time_layers", &TimeLayers)
      .def(
          "schedule", &ScheduleOf,
          "The policy, all as text, and of every step the names of its layers, of the "
          "blobs freed after Forward, recomputed before Backward and freed after it, and "
          "of those whose gradient is freed.",
          nb::sig(
              "def schedule(self) -> tuple[str, str, list[tuple[list[str], list[str], "
              "list[str], list[str], list[str]]]]"))
      .def("optimize",
           [](NetHandle& self) {
             Computing computing(self.session);
             self.net->Optimize();
           })
      .def_prop_ro("optimized",
                   [](const NetHandle& self) { return self.net->optimized(); })
      .def_prop_rw(
          "precision", [](const NetHandle& self) { return int{self.net->precision()}; },
          [](NetHandle& self, int value) {
            Computing computing(self.session);
            self.net->set_precision(static_cast<NetParameter::Precision>(value));
          })
      .def_prop_rw(
          "keep_blobs", [](const NetHandle& self) { return self.net->keep_blobs(); },
          [](NetHandle& self, bool value) {
            Computing computing(self.session);
            self.net->set_keep_blobs(value);
          })
      .def("reshape",
           [](NetHandle& self) {
             Computing computing(self.session);
             self.net->Reshape();
           })
      .def("clear_param_diffs",
           [](NetHandle& self) {
             Computing computing(self.session);
             self.net->ClearParamDiffs();
           })
      .def(
          "copy_from",
          [](NetHandle& self, const string& file) {
            Computing computing(self.session);
            self.net->CopyTrainedLayersFrom(file);
            self.net->Settle();
          },
          nb::arg("file"))
      .def(
          "copy_from_hdf5",
          [](NetHandle& self, const string& file) {
            Computing computing(self.session);
            self.net->CopyTrainedLayersFromHDF5(file);
            self.net->Settle();
          },
          nb::arg("file"))
      .def_prop_ro(
          "weights_report",
          [](const NetHandle& self) {
            const WeightsReport& report = self.net->weights_report();
            // As bytes: stored names need not be UTF-8.
            const auto names = [](const vector<string>& from) {
              nb::list list;
              for (const string& name : from) {
                list.append(nb::bytes(name.data(), name.size()));
              }
              return list;
            };
            nb::list shapes;
            for (const auto& [name, stored] : report.shapes) {
              shapes.append(nb::make_tuple(nb::bytes(name.data(), name.size()), stored));
            }
            return nb::make_tuple(names(report.matched), names(report.without_weights),
                                  names(report.without_layer), shapes);
          })
      .def(
          "share_with",
          [](NetHandle& self, const NetHandle& other) {
            // From now on they use one memory, so they must take turns.
            Join(self.session, other.session);
            Computing computing(self.session);
            self.net->ShareTrainedLayersWith(other.net.get());
          },
          nb::arg("other"))
      .def(
          "save",
          [](const NetHandle& self, const string& file, bool write_diff) {
            Computing computing(self.session);
            NetParameter param;
            self.net->ToProto(&param, write_diff);
            WriteProtoToBinaryFile(param, file);
          },
          nb::arg("file"), nb::arg("write_diff"))
      .def(
          "save_hdf5",
          [](const NetHandle& self, const string& file, bool write_diff) {
            Computing computing(self.session);
            self.net->ToHDF5(file, write_diff);
          },
          nb::arg("file"), nb::arg("write_diff"))
      .def(
          "to_proto",
          [](const NetHandle& self, bool write_diff) {
            string serialized;
            {
              Computing computing(self.session);
              NetParameter param;
              self.net->ToProto(&param, write_diff);
              if (!param.SerializeToString(&serialized)) {
                throw ValueError(
                    "to_proto: the net is larger than a message may be, 2 GiB");
              }
            }
            return nb::bytes(serialized.data(), serialized.size());
          },
          nb::arg("write_diff"))
      .def("set_input_arrays", &SetInputArrays, nb::arg("data"), nb::arg("labels"))
      .def(
          "set_debug_info",
          [](NetHandle& self, bool value) { self.net->set_debug_info(value); },
          nb::arg("value"))
      .def(
          "before_forward",
          [](NetHandle& self, CallbackFunction function) {
            Register(self, &Net<float>::add_before_forward, std::move(function));
          },
          nb::arg("function"))
      .def(
          "after_forward",
          [](NetHandle& self, CallbackFunction function) {
            Register(self, &Net<float>::add_after_forward, std::move(function));
          },
          nb::arg("function"))
      .def(
          "before_backward",
          [](NetHandle& self, CallbackFunction function) {
            Register(self, &Net<float>::add_before_backward, std::move(function));
          },
          nb::arg("function"))
      .def(
          "after_backward",
          [](NetHandle& self, CallbackFunction function) {
            Register(self, &Net<float>::add_after_backward, std::move(function));
          },
          nb::arg("function"));
}

}  // namespace caffe::python
