// Compiled against another Caffe, linked to its library and run: prints what it has, a
// line `name=value` for each thing.

#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <type_traits>

#include "caffe/layer.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/proto/caffe.pb.h"

namespace {

template <typename Engine>
auto HasHandle(int) -> decltype(Engine::cudnn_handle(), true) {
  return true;
}
template <typename Engine>
bool HasHandle(...) {
  return false;
}

// "139 caffe.BatchNormParameter use_global_stats moving_average_fraction eps"
void PrintField(const std::string& name) {
  const google::protobuf::FieldDescriptor* field =
      caffe::LayerParameter::descriptor()->FindFieldByName(name);
  std::cout << name << '=';
  if (field && field->message_type()) {
    std::cout << field->number() << ' ' << field->message_type()->full_name();
    for (int i = 0; i < field->message_type()->field_count(); ++i) {
      std::cout << ' ' << field->message_type()->field(i)->name();
    }
  }
  std::cout << '\n';
}

}  // namespace

int main() {
  const bool standard = std::is_same<caffe::shared_ptr<int>, std::shared_ptr<int>>::value;
  std::cout << "shared_ptr=" << (standard ? "std" : "boost") << '\n'
            << "cudnn_handle=" << HasHandle<caffe::Caffe>(0) << '\n'
            << "protobuf=" << GOOGLE_PROTOBUF_VERSION / 1000000 << '.'
            << GOOGLE_PROTOBUF_VERSION / 1000 % 1000 << '.'
            << GOOGLE_PROTOBUF_VERSION % 1000 << '\n';
  PrintField("batch_norm_param");
  PrintField("cudnn_batch_norm_param");
  const google::protobuf::FieldDescriptor* released =
      caffe::LayerParameter::descriptor()->FindFieldByNumber(200);
  std::cout << "field_200=" << (released ? std::string(released->name()) : std::string())
            << '\n';
#ifdef REGISTER_LAYER_CREATOR
  std::cout << "registerer=1\n";
#else
  std::cout << "registerer=0\n";
#endif
  const std::map<std::string, caffe::LayerRegistry<float>::Creator>& registry =
      caffe::LayerRegistry<float>::Registry();
  std::cout << "types=" << registry.size() << '\n'
            << "has_Axpy=" << registry.count("Axpy") << '\n'
            << "has_CuDNNBatchNorm=" << registry.count("CuDNNBatchNorm") << '\n';
  return 0;
}
