#include "blob.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <string>

#include "device_array.hpp"

namespace caffe::python {
namespace {

using Held = std::shared_ptr<Pin>;

std::vector<int> Dimensions(const nb::args& args) {
  // Caffe takes reshape(2, 3); reshape((2, 3)) is what NumPy users write.
  nb::object dims = args;
  if (args.size() == 1 && nb::hasattr(args[0], "__iter__")) dims = args[0];
  std::vector<int> shape;
  for (nb::handle dim : dims) {
    int extent;
    if (!nb::try_cast(dim, extent)) {
      throw nb::type_error(Str("Blob: got ", nb::repr(dim).c_str(),
                               " as an extent, expected a whole number below 2^31")
                               .c_str());
    }
    shape.push_back(extent);
  }
  return shape;
}

nb::tuple ShapeTuple(const BlobHandle& blob) {
  nb::list dims;
  for (int dim : blob.get().shape()) dims.append(dim);
  return nb::tuple(dims);
}

}  // namespace

Pin::Pin(std::shared_ptr<SyncedMemory> memory, const SessionPtr& session)
    : memory_(std::move(memory)) {
  memory_->Pin();
  if (memory_->owns_cpu_data()) return;
  // The values lie in a buffer of a layer.
  for (const auto& net : session->nets) nets_.push_back(net.lock());
}

Pin::~Pin() { memory_->Unpin(); }

Blob<float>& BlobHandle::get() const {
  if (!owner_ && user_.expired()) {
    throw RuntimeFailure(
        "Blob: the net it belongs to is gone; a Python layer may use its bottoms and "
        "tops "
        "only as long as the net exists");
  }
  return *blob_;
}

nb::object BlobHandle::View(bool data, std::shared_ptr<Pin>* pin) const {
  Locked lock(session_);
  Blob<float>& blob = get();
  std::vector<std::size_t> shape(blob.shape().begin(), blob.shape().end());
  if (blob.count() == 0) {
    // No memory to share; an array of its own has the right shape.
    return nb::module_::import_("numpy").attr("zeros")(ShapeTuple(*this), "float32");
  }
  if (WrittenOnDevice(data)) {
    const char* half = data ? "data" : "diff";
    throw RuntimeFailure(
        Str("Blob.", half, ": an array of Blob.mutable_gpu_", half,
            " is held, and of two that may be written to none would be the newest; drop "
            "that array, and what other libraries made of it, first"));
  }
  data ? blob.cpu_data() : blob.cpu_diff();  // throws if the values were not kept
  // Python may write to the array, so the copies in other layouts are given up.
  float* values = data ? blob.mutable_cpu_data() : blob.mutable_cpu_diff();
  auto* held =
      new auto(std::make_shared<Pin>(data ? blob.data() : blob.diff(), session_));
  nb::capsule owner(held, [](void* held) noexcept { delete static_cast<Held*>(held); });
  if (pin) *pin = *held;
  return nb::cast(
      nb::ndarray<nb::numpy, float>(values, shape.size(), shape.data(), owner));
}

bool BlobHandle::WrittenOnDevice(bool data) const {
  const Blob<float>& blob = get();
  if (blob.count() == 0) return false;
  return (data ? blob.data() : blob.diff())->written_on_device();
}

nb::object BlobHandle::Copy(bool data) const {
  Locked lock(session_);
  const Blob<float>& blob = get();
  nb::object copy =
      nb::module_::import_("numpy").attr("empty")(ShapeTuple(*this), "float32");
  const auto array = nb::cast<nb::ndarray<float, nb::c_contig, nb::device::cpu>>(copy);
  const float* values = data ? blob.cpu_data() : blob.cpu_diff();
  std::memcpy(array.data(), values, blob.count() * sizeof(float));
  return copy;
}

std::vector<std::shared_ptr<Blob<float>>>& BlobList::blobs() const {
  // Layers do not move, so the reference outlives the temporary owner unless the
  // net goes, which Python's global lock prevents here.
  const auto layer = layer_.lock();
  if (!layer) throw RuntimeFailure("BlobVec: the layer it belongs to is gone");
  return layer->blobs();
}

std::size_t BlobList::size() const { return blobs().size(); }

BlobHandle BlobList::at(std::ptrdiff_t index) const {
  const auto count = static_cast<std::ptrdiff_t>(size());
  if (index < 0) index += count;
  if (index < 0 || index >= count) {
    throw nb::index_error(
        Str("BlobVec: index out of range for ", count, " blobs").c_str());
  }
  return BlobHandle(blobs()[index], session_);
}

void BlobList::Add(const std::vector<int>& shape) {
  blobs().push_back(std::make_shared<Blob<float>>(shape));
}

void BindBlobs(nb::module_& m) {
  constexpr auto kData = DeviceArray::Half::kData, kDiff = DeviceArray::Half::kDiff;
  nb::class_<BlobHandle>(m, "Blob",
                         "An array of values (`data`) and of their gradients (`diff`).")
      .def(
          "__init__",
          [](BlobHandle* self, const nb::args& shape) {
            new (self) BlobHandle(std::make_shared<Blob<float>>(Dimensions(shape)),
                                  Session::Create());
          },
          nb::sig("def __init__(self, *shape: int) -> None"),
          "A blob of its own, filled with zeros.")
      .def_prop_ro("data", &BlobHandle::Data,
                   nb::sig("def data(self) -> numpy.typing.NDArray[numpy.float32]"),
                   "The values, as an array that shares their memory.")
      .def_prop_ro("diff", &BlobHandle::Diff,
                   nb::sig("def diff(self) -> numpy.typing.NDArray[numpy.float32]"),
                   "The gradients, as an array that shares their memory.")
      .def_prop_ro(
          "gpu_data",
          [](const BlobHandle& self) { return DeviceArray(self, kData, false); },
          "The values in GPU memory, only to be read. RuntimeError in CPU mode.")
      .def_prop_ro(
          "gpu_diff",
          [](const BlobHandle& self) { return DeviceArray(self, kDiff, false); },
          "The gradients in GPU memory, only to be read.")
      .def_prop_ro(
          "mutable_gpu_data",
          [](const BlobHandle& self) { return DeviceArray(self, kData, true); },
          "The values in GPU memory, to be written, too. RuntimeError while a NumPy "
          "array over them is held.")
      .def_prop_ro(
          "mutable_gpu_diff",
          [](const BlobHandle& self) { return DeviceArray(self, kDiff, true); },
          "The gradients in GPU memory, to be written, too.")
      .def_prop_ro("shape", &ShapeTuple, nb::sig("def shape(self) -> tuple[int, ...]"),
                   "Extents of the axes.")
      .def_prop_ro(
          "count", [](const BlobHandle& self) { return self.get().count(); },
          "Number of elements.")
      .def_prop_ro(
          "num", [](const BlobHandle& self) { return self.get().num(); },
          "Extent of axis 0, 1 if there is none.")
      .def_prop_ro(
          "channels", [](const BlobHandle& self) { return self.get().channels(); },
          "Extent of axis 1, 1 if there is none.")
      .def_prop_ro(
          "height", [](const BlobHandle& self) { return self.get().height(); },
          "Extent of axis 2, 1 if there is none.")
      .def_prop_ro(
          "width", [](const BlobHandle& self) { return self.get().width(); },
          "Extent of axis 3, 1 if there is none.")
      .def(
          "reshape",
          [](const BlobHandle& self, const nb::args& shape) {
            const std::vector<int> dims = Dimensions(shape);
            Locked lock(self.session());
            self.get().Reshape(dims);
          },
          nb::sig("def reshape(self, *shape: int) -> None"),
          "Changes the shape; `Net.reshape` then adapts the net behind it.")
      .def("__repr__", [](const BlobHandle& self) {
        return Str("<caffe.Blob of shape ", ShapeText(self.get().shape()), ">");
      });

  nb::class_<BlobList>(m, "BlobVec", "The learned blobs of a layer.")
      .def("__len__", &BlobList::size)
      .def("__getitem__", &BlobList::at, nb::arg("index"))
      .def(
          "__iter__",
          [](const BlobList& self) {
            nb::list blobs;
            for (std::size_t i = 0; i < self.size(); ++i)
              blobs.append(nb::cast(self.at(i)));
            return nb::iter(blobs);
          },
          nb::sig("def __iter__(self) -> collections.abc.Iterator[Blob]"))
      .def(
          "add_blob",
          [](BlobList& self, const nb::args& shape) { self.Add(Dimensions(shape)); },
          nb::sig("def add_blob(self, *shape: int) -> None"),
          "Appends a blob of this shape, filled with zeros.");
}

}  // namespace caffe::python
