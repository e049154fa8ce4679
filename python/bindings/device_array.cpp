#include "device_array.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>

#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "caffe/device.hpp"

namespace caffe::python {
namespace {

// What DLPack 1.0 lays down in memory, under its own names.
namespace dlpack {

constexpr std::int32_t kCuda = 2;
constexpr std::uint8_t kFloat = 2;
constexpr std::uint64_t kReadOnly = 1;

struct Device {
  std::int32_t type, id;
};

struct DataType {
  std::uint8_t code, bits;
  std::uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  std::int32_t ndim;
  DataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;
  std::uint64_t byte_offset;
};

/// As before version 1, which cannot say that an array is not to be written to.
struct Managed {
  static constexpr const char* kName = "dltensor";
  Tensor tensor;
  void* context;
  void (*deleter)(Managed*);
};

struct Versioned {
  static constexpr const char* kName = "dltensor_versioned";
  std::uint32_t major, minor;
  void* context;
  void (*deleter)(Versioned*);
  std::uint64_t flags;
  Tensor tensor;
};

}  // namespace dlpack

/// A managed tensor with all that it points to.
template <typename ManagedTensor>
struct Exported {
  ManagedTensor tensor{};
  std::vector<std::int64_t> shape, strides;
  std::shared_ptr<DevicePin> pin;
};

// Who takes the tensor over renames the capsule.
template <typename ManagedTensor>
void FreeIfNotTaken(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, ManagedTensor::kName)) return;
  auto* tensor =
      static_cast<ManagedTensor*>(PyCapsule_GetPointer(capsule, ManagedTensor::kName));
  tensor->deleter(tensor);
}

template <typename ManagedTensor>
nb::object Capsule(const std::vector<std::int64_t>& shape, void* data, int device,
                   const std::shared_ptr<DevicePin>& pin, bool writes) {
  using Exporting = Exported<ManagedTensor>;
  auto exported = std::make_unique<Exporting>();
  exported->shape = shape;
  exported->strides.resize(shape.size());
  std::int64_t stride = 1;
  for (std::size_t axis = shape.size(); axis-- > 0; stride *= shape[axis]) {
    exported->strides[axis] = stride;
  }
  exported->pin = pin;
  ManagedTensor& managed = exported->tensor;
  managed.tensor = {data,
                    {dlpack::kCuda, device},
                    static_cast<std::int32_t>(shape.size()),
                    {dlpack::kFloat, 8 * sizeof(float), 1},
                    exported->shape.data(),
                    exported->strides.data(),
                    0};
  managed.context = exported.get();
  managed.deleter = [](ManagedTensor* self) {
    delete static_cast<Exporting*>(self->context);
  };
  if constexpr (std::is_same_v<ManagedTensor, dlpack::Versioned>) {
    managed.major = 1;
    managed.minor = 0;
    managed.flags = writes ? 0 : dlpack::kReadOnly;
  }
  PyObject* capsule =
      PyCapsule_New(&managed, ManagedTensor::kName, FreeIfNotTaken<ManagedTensor>);
  if (!capsule) throw nb::python_error();
  std::ignore = exported.release();  // the capsule has it now
  return nb::steal(capsule);
}

std::string NameOf(DeviceArray::Half half, bool writes) {
  return Str("Blob.", writes ? "mutable_" : "", "gpu_",
             half == DeviceArray::Half::kData ? "data" : "diff");
}

/// While one lives, the thread works on the device.
class Selecting {
 public:
  explicit Selecting(int id) : before_(device::Selected()) {
    if (id != before_) device::Select(id);
  }
  ~Selecting() {
    if (device::Selected() != before_) device::Select(before_);
  }
  Selecting(const Selecting&) = delete;
  Selecting& operator=(const Selecting&) = delete;

 private:
  const int before_;
};

}  // namespace

void* DevicePin::Newest() const {
  void* values =
      writes_ ? memory_->mutable_gpu_data() : const_cast<void*>(memory_->gpu_data());
  memory_->Settle();
  return values;
}

DeviceArray::DeviceArray(const BlobHandle& handle, Half half, bool writes)
    : session_(handle.session()), writes_(writes) {
  const std::string name = NameOf(half, writes);
  const char* host = half == Half::kData ? "data" : "diff";
  if (!device::Supported()) {
    throw RuntimeFailure(
        Str(name, ": this build of Caffe has no GPU support; use Blob.", host));
  }
  if (Caffe::mode() != Caffe::GPU) {
    throw RuntimeFailure(Str(name, ": this thread computes on the CPU; use Blob.", host,
                             ", or call caffe.set_mode_gpu() first"));
  }
  Locked lock(session_);
  const Blob<float>& blob = handle.get();
  shape_.assign(blob.shape().begin(), blob.shape().end());
  device_ = device::Selected();
  if (blob.count() == 0) return;
  const std::shared_ptr<SyncedMemory>& memory =
      half == Half::kData ? blob.data() : blob.diff();
  if (writes && memory->pinned()) {
    throw RuntimeFailure(Str(
        name,
        ": a NumPy array over these values is held, or they lie in a layer's own "
        "buffer, and of two that may be written to none would be the newest; copy the "
        "array (Blob.",
        host, ".copy()) and drop it"));
  }
  if (writes) memory->gpu_data();  // throws if the values were not kept
  pin_ = std::make_shared<DevicePin>(memory, writes);
  device_ = device::DeviceOf(pin_->Newest());
}

void* DeviceArray::Newest() const {
  if (!pin_) return nullptr;
  Locked lock(session_);
  return pin_->Newest();
}

nb::tuple DeviceArray::Shape() const {
  nb::list shape;
  for (std::int64_t extent : shape_) shape.append(extent);
  return nb::tuple(shape);
}

nb::dict DeviceArray::CudaArrayInterface() const {
  nb::dict interface;
  interface["version"] = 3;
  interface["shape"] = Shape();
  interface["typestr"] = "<f4";
  interface["data"] =
      nb::make_tuple(reinterpret_cast<std::uintptr_t>(Newest()), !writes_);
  interface["strides"] = nb::none();
  interface["stream"] = device::OwnStream();
  return interface;
}

nb::tuple DeviceArray::DlpackDevice() const {
  return nb::make_tuple(dlpack::kCuda, device_);
}

nb::object DeviceArray::Dlpack(std::optional<std::int64_t> stream,
                               const std::optional<std::pair<int, int>>& max_version,
                               const std::optional<std::pair<int, int>>& device,
                               std::optional<bool> copy) const {
  if (stream && (*stream == 0 || *stream < -1)) {
    throw nb::value_error(
        Str("DeviceArray.__dlpack__: stream ", *stream,
            " is none; expected a cudaStream_t, 1 for the default one, 2 for that of the "
            "thread, or -1 for no order")
            .c_str());
  }
  if (device && *device != std::pair(int{dlpack::kCuda}, device_)) {
    throw nb::buffer_error(Str("DeviceArray.__dlpack__: the values lie on GPU ", device_,
                               ", which is device (2, ", device_, "), asked was (",
                               device->first, ", ", device->second,
                               "); copy them there afterwards")
                               .c_str());
  }
  if (copy.value_or(false)) {
    throw nb::buffer_error(
        "DeviceArray.__dlpack__: got copy=True; it shares memory, copy what you get");
  }
  const bool versioned = max_version && max_version->first >= 1;
  if (!versioned && !writes_) {
    throw nb::buffer_error(
        "DeviceArray.__dlpack__: an array that is only read needs DLPack 1.0, which the "
        "library that asks does not have; give it Blob.mutable_gpu_data or "
        "Blob.mutable_gpu_diff");
  }
  void* values = Newest();
  if (pin_ && stream.value_or(1) != -1) {
    const Selecting selecting(device_);
    device::LetFollow(static_cast<device::StreamNumber>(stream.value_or(1)));
  }
  return versioned ? Capsule<dlpack::Versioned>(shape_, values, device_, pin_, writes_)
                   : Capsule<dlpack::Managed>(shape_, values, device_, pin_, writes_);
}

void BindDeviceArrays(nb::module_& m) {
  nb::class_<DeviceArray>(
      m, "DeviceArray",
      "The values of a blob in GPU memory, for what takes such arrays: "
      "`torch.from_dlpack`, `cupy.asarray`.")
      .def_prop_ro("__cuda_array_interface__", &DeviceArray::CudaArrayInterface,
                   nb::sig("def __cuda_array_interface__(self) -> dict[str, object]"),
                   "Version 3 of the interface.")
      .def("__dlpack_device__", &DeviceArray::DlpackDevice,
           nb::sig("def __dlpack_device__(self) -> tuple[int, int]"),
           "The kind of device, 2 for CUDA, and its number.")
      .def("__dlpack__", &DeviceArray::Dlpack, nb::kw_only(),
           nb::arg("stream") = nb::none(), nb::arg("max_version") = nb::none(),
           nb::arg("dl_device") = nb::none(), nb::arg("copy") = nb::none(),
           nb::sig("def __dlpack__(self, *, stream: int | None = None, "
                   "max_version: tuple[int, int] | None = None, "
                   "dl_device: tuple[int, int] | None = None, "
                   "copy: bool | None = None) -> object"),
           "A capsule of DLPack 1.0, or of before if that is asked for. BufferError for "
           "what cannot be shared so.")
      .def_prop_ro("shape", &DeviceArray::Shape,
                   nb::sig("def shape(self) -> tuple[int, ...]"), "Extents of the axes.")
      .def_prop_ro("writeable", &DeviceArray::writes,
                   "Whether it may be written to, as that of a NumPy array's flags.")
      .def("__repr__", [](const DeviceArray& self) {
        return Str("<caffe.DeviceArray of shape ", nb::repr(self.Shape()).c_str(),
                   self.writes() ? "" : ", only to be read", ">");
      });
}

}  // namespace caffe::python
