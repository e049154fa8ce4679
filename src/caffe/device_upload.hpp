#ifndef CAFFE_DEVICE_UPLOAD_HPP_
#define CAFFE_DEVICE_UPLOAD_HPP_

#include <cstddef>
#include <memory>

#include "caffe/common.hpp"

namespace caffe {
namespace device {

/// An array that is filled on the host again and again and goes to a device while that
/// works on what came before. The thread that fills it does
///
///     void* host = upload.Host(bytes);  // fills it
///     upload.Send(host, bytes);
///
/// and then the one that computes, on the same device,
///
///     const void* sent = upload.Receive();  // starts work that reads it
///     upload.Release();
///
/// before the next Send. Neither waits for the device, but for Host where the copy before
/// has not left. The thread that fills it has the device selected from then on.
class Upload {
 public:
  explicit Upload(int device);
  /// Waits for the copy that is on its way.
  ~Upload();

  /// Memory of at least `bytes`, page-locked where that can be had; the same as before
  /// unless that was smaller. What was sent from it has left it.
  void* Host(std::size_t bytes);
  /// Starts the copy of an array of the host, which must not change before the next
  /// Host() returns.
  void Send(const void* host, std::size_t bytes);
  /// In the device's memory; what the calling thread starts from now on comes behind the
  /// copy.
  const void* Receive();
  /// What the calling thread has started is the last to read it.
  void Release();

 private:
  struct State;
  std::unique_ptr<State> state_;
  DISABLE_COPY_AND_ASSIGN(Upload);
};

}  // namespace device
}  // namespace caffe

#endif  // CAFFE_DEVICE_UPLOAD_HPP_
