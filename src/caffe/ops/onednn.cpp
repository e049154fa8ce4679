#include "caffe/ops/onednn.hpp"

#include <map>
#include <memory>
#include <utility>

#include "caffe/host_memory.hpp"

namespace caffe::onednn {
namespace {

using dnnl::memory;

// A growing buffer; one of each kind for every thread that runs nets.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch() {
    if (data_) FreeHostMemory(data_);
  }
  void* Get(std::size_t size) {
    if (size > size_) {
      if (data_) FreeHostMemory(data_);
      data_ = nullptr;
      data_ = AllocateHostMemory(size, false);
      size_ = size;
    }
    return data_;
  }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;

  DISABLE_COPY_AND_ASSIGN(Scratch);
};

}  // namespace

dnnl::engine& CpuEngine() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& CpuStream() {
  static thread_local dnnl::stream stream(CpuEngine());
  return stream;
}

std::string Reason(const dnnl::error& error) {
  return Str("oneDNN: ", error.what(), " (status ", static_cast<int>(error.status), ")");
}

void Execute(const dnnl::primitive& primitive, std::unordered_map<int, memory> args,
             const memory::desc& scratchpad) {
  static thread_local Scratch scratch;
  try {
    const std::size_t size = scratchpad.get_size();
    if (size > 0) {
      args[DNNL_ARG_SCRATCHPAD] = memory(scratchpad, CpuEngine(), scratch.Get(size));
    }
    primitive.execute(CpuStream(), args);
    CpuStream().wait();
  } catch (const dnnl::error& error) {
    throw RuntimeFailure(Reason(error));
  }
}

dnnl::primitive_attr UserScratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

memory::dims Dims(const std::vector<int>& shape) {
  return memory::dims(shape.begin(), shape.end());
}

int ActivationBlock(const std::vector<int>& shape, bool plain) {
  return plain ? 1 : PreferredBlock<float>(shape);
}

memory::desc ActivationDesc(const std::vector<int>& shape, bool plain,
                            memory::data_type type) {
  // Ask with two positions per axis: what counts is whether the channels divide.
  std::vector<int> probe = shape;
  for (std::size_t i = 2; i < probe.size(); ++i) probe[i] = 2;
  const int block = plain ? 1 : PreferredBlock<float>(probe);
  using Tag = memory::format_tag;
  static const std::pair<Tag, Tag> kBlocked[] = {{Tag::nCw8c, Tag::nCw16c},
                                                 {Tag::nChw8c, Tag::nChw16c},
                                                 {Tag::nCdhw8c, Tag::nCdhw16c}};
  static const Tag kPlain[] = {Tag::ncw, Tag::nchw, Tag::ncdhw};
  const std::size_t axes = shape.size() - 3;
  const Tag tag = block == 1   ? kPlain[axes]
                  : block == 8 ? kBlocked[axes].first
                               : kBlocked[axes].second;
  return memory::desc(Dims(shape), type, tag);
}

memory Wrap(const memory::desc& desc, const float* data) {
  return memory(desc, CpuEngine(), const_cast<float*>(data));
}

memory SharedBuffer(const memory::desc& desc, Momentary purpose) {
  static thread_local std::map<Momentary, Scratch> scratches;
  return memory(desc, CpuEngine(), scratches[purpose].Get(desc.get_size()));
}

namespace {

bool Has(dnnl::cpu_isa wanted) {
  const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  return (isa & static_cast<unsigned>(wanted)) == static_cast<unsigned>(wanted);
}

}  // namespace

bool HasBfloat16() { return Has(dnnl::cpu_isa::avx512_core_bf16); }
bool HasMatrixUnits() { return Has(dnnl::cpu_isa::avx512_core_amx); }

PackedWeights::PackedWeights(const memory::desc& plain, const memory::desc& desc)
    : plain_(plain),
      desc_(desc),
      memory_(desc, CpuEngine(), AllocateHostMemory(desc.get_size(), false)) {}

PackedWeights::~PackedWeights() { FreeHostMemory(memory_.get_data_handle()); }

void PackedWeights::UnpackTo(void* plain) const {
  dnnl::memory out(plain_, CpuEngine(), plain);
  dnnl::memory in = memory_;
  dnnl::reorder(in, out).execute(CpuStream(), in, out);
  CpuStream().wait();
}

memory ReadWeights(Tensor<float> weights, const memory::desc& plain,
                   const memory::desc& wanted) {
  SyncedMemory& synced = *weights.memory();
  if (wanted == plain) {
    return Wrap(plain, static_cast<const float*>(synced.cpu_data()));
  }
  if (auto packed = std::dynamic_pointer_cast<PackedWeights>(synced.packed())) {
    if (packed->desc() == wanted) return packed->memory();
  }
  const float* source = static_cast<const float*>(synced.cpu_data());
  auto packed = std::dynamic_pointer_cast<PackedWeights>(synced.packed_storage());
  if (!packed || packed->desc() != wanted) {
    packed = std::make_shared<PackedWeights>(plain, wanted);
  }
  memory in = Wrap(plain, source);
  memory out = packed->memory();
  dnnl::reorder(in, out).execute(CpuStream(), in, out);
  CpuStream().wait();
  synced.cache_packed(packed);
  return packed->memory();
}

}  // namespace caffe::onednn
