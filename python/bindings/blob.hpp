#ifndef PYTHON_BINDINGS_BLOB_HPP_
#define PYTHON_BINDINGS_BLOB_HPP_

#include <memory>
#include <vector>

#include "caffe/layer.hpp"
#include "session.hpp"

namespace caffe::python {

/// Holds a memory for an array: while it is pinned, the engine leaves its host
/// pointer in place and up to date.
class Pin {
 public:
  Pin(std::shared_ptr<SyncedMemory> memory, const SessionPtr& session);
  ~Pin();
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  SyncedMemory& memory() const { return *memory_; }

 private:
  std::shared_ptr<SyncedMemory> memory_;
  std::vector<std::shared_ptr<Net<float>>> nets_;
};

/// `caffe.Blob`: a blob that Python shares with the engine.
///
/// Blobs of nets are owned together with the net. The bottoms and tops of a
/// Python layer belong to a net that the layer does not know; they can be used as
/// long as the layer lives.
class BlobHandle {
 public:
  BlobHandle(std::shared_ptr<Blob<float>> blob, SessionPtr session)
      : blob_(blob.get()), owner_(std::move(blob)), session_(std::move(session)) {}
  BlobHandle(Blob<float>* blob, std::weak_ptr<Layer<float>> user, SessionPtr session)
      : blob_(blob), user_(std::move(user)), session_(std::move(session)) {}

  /// Throws RuntimeError when the net is gone.
  Blob<float>& get() const;
  const SessionPtr& session() const { return session_; }

  /// A NumPy array over the memory. It keeps the memory alive, in its present
  /// shape, beyond any reshape and beyond the life of the net.
  nb::object Data() const { return View(true); }
  nb::object Diff() const { return View(false); }
  /// The same, and what the array holds the memory with; null if there are no values.
  nb::object View(bool data, std::shared_ptr<Pin>* pin = nullptr) const;
  /// Whether somebody holds the memory of a device to write to it, which allows no view.
  bool WrittenOnDevice(bool data) const;
  /// A NumPy array of its own.
  nb::object Copy(bool data) const;

 private:
  Blob<float>* blob_;
  std::shared_ptr<Blob<float>> owner_;
  std::weak_ptr<Layer<float>> user_;
  SessionPtr session_;
};

/// `layer.blobs`: the learned blobs of a layer, as a list that can grow.
class BlobList {
 public:
  /// `owner` may be null: a Python layer does not own itself.
  BlobList(std::shared_ptr<Layer<float>> owner, std::weak_ptr<Layer<float>> layer,
           SessionPtr session)
      : owner_(std::move(owner)),
        layer_(std::move(layer)),
        session_(std::move(session)) {}

  std::size_t size() const;
  /// Negative indices count from the end. Throws IndexError outside.
  BlobHandle at(std::ptrdiff_t index) const;
  void Add(const std::vector<int>& shape);

 private:
  std::vector<std::shared_ptr<Blob<float>>>& blobs() const;

  std::shared_ptr<Layer<float>> owner_;
  std::weak_ptr<Layer<float>> layer_;
  SessionPtr session_;
};

void BindBlobs(nb::module_& m);

}  // namespace caffe::python

#endif  // PYTHON_BINDINGS_BLOB_HPP_
