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

/// A str of bytes that a file gave, those that are not UTF-8 as \xNN.
inline nb::str TextOf(const std::string& bytes) {
  return nb::steal<nb::str>(PyUnicode_DecodeUTF8(
      bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "backslashreplace"));
}

}  // namespace caffe::python

#endif  // PYTHON_BINDINGS_NET_HPP_
