#ifndef PYTHON_BINDINGS_NET_HPP_
#define PYTHON_BINDINGS_NET_HPP_

#include <memory>
#include <vector>

#include "net_users.hpp"
#include "session.hpp"

namespace caffe::python {

/// Calls a Python function before or after each layer.
class NetCallback : public Net<float>::Callback {
 public:
  NetCallback(Net<float>* net, nb::object function)
      : net_(net), function_(std::move(function)) {}
  nb::object& function() { return function_; }

 protected:
  void run(int layer) override;

 private:
  Net<float>* net_;
  nb::object function_;
};

/// The engine's side of `caffe.Net`.
struct NetHandle {
  NetHandle(std::shared_ptr<Net<float>> net, SessionPtr session);
  NetHandle(const NetHandle&) = delete;
  NetHandle& operator=(const NetHandle&) = delete;

  std::shared_ptr<Net<float>> net;
  SessionPtr session;
  std::shared_ptr<NetUsers> users;
  /// The net points to them.
  std::vector<std::unique_ptr<NetCallback>> callbacks;
  /// The memory-data layer reads from them.
  std::vector<nb::object> input_arrays;
};

void BindNet(nb::module_& m);

/// A wire-format message from Python. Throws ValueError.
template <typename Proto>
Proto ParseMessage(const nb::bytes& serialized) {
  Proto proto;
  if (!proto.ParseFromArray(serialized.c_str(), static_cast<int>(serialized.size()))) {
    throw ValueError(Str("not a serialized ", proto.GetDescriptor()->name()));
  }
  return proto;
}

}  // namespace caffe::python

#endif  // PYTHON_BINDINGS_NET_HPP_
