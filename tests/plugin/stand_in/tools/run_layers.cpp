// Runs a net description forward and backward and writes everything that it computed. It
// knows the names of Caffe 1.0 alone, and is compiled with the stand-in and with this
// project's engine, so that what they write can be compared byte for byte.
//
//   run_layers NET.prototxt OUT.bin [-plugin LIB.so] [-weights W.caffemodel]
//              [-inputs IN.bin] [-gpu]
//
// IN.bin holds the float values of the Input layers' tops. What no file gives is filled
// with values that depend on the place alone. OUT.bin: data and diff of every blob in the
// order in which the net names them, then those of every layer's weights.

#include <dlfcn.h>
#include <google/protobuf/text_format.h>

#include <cmath>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/layer.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/proto/caffe.pb.h"

namespace {

using caffe::Blob;

typedef std::map<std::string, std::string> Options;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path.c_str(), std::ios::binary);
  CHECK(in.good()) << "cannot read " << path;
  return std::string(std::istreambuf_iterator<char>(in),
                     std::istreambuf_iterator<char>());
}

// In -1 .. 1, different for every seed and index.
float ValueAt(int seed, int i) {
  return static_cast<float>((i * 7919LL + seed * 104729LL + 17) % 2003) / 1001.0f - 1.0f;
}

void Fill(int seed, int count, float* values) {
  for (int i = 0; i < count; ++i) values[i] = ValueAt(seed, i);
}

class LayerNet {
 public:
  LayerNet(const caffe::NetParameter& net, std::istream* inputs) {
    for (int i = 0; i < net.layer_size(); ++i) {
      const caffe::LayerParameter& param = net.layer(i);
      if (param.type() == "Input") {
        for (int t = 0; t < param.top_size(); ++t) {
          Blob<float>* blob = Add(param.top(t));
          blob->Reshape(param.input_param().shape(t));
          float* values = blob->mutable_cpu_data();
          if (inputs) {
            inputs->read(reinterpret_cast<char*>(values), blob->count() * sizeof(float));
            CHECK(inputs->good()) << "too few inputs for " << param.top(t);
          } else {
            Fill(static_cast<int>(blobs_.size()), blob->count(), values);
          }
        }
        continue;
      }
      std::vector<Blob<float>*> bottom, top;
      for (int b = 0; b < param.bottom_size(); ++b) {
        CHECK(index_.count(param.bottom(b))) << param.bottom(b);
        bottom.push_back(blobs_[index_[param.bottom(b)]].get());
      }
      for (int t = 0; t < param.top_size(); ++t) top.push_back(Add(param.top(t)));
      layers_.push_back(caffe::LayerRegistry<float>::CreateLayer(param));
      layers_.back()->SetUp(bottom, top);
      bottoms_.push_back(bottom);
      tops_.push_back(top);
    }
  }

  // By name and, within a layer, by order.
  void CopyWeights(const caffe::NetParameter& weights) {
    for (size_t l = 0; l < layers_.size(); ++l) {
      for (int i = 0; i < weights.layer_size(); ++i) {
        const caffe::LayerParameter& from = weights.layer(i);
        if (from.name() != layers_[l]->layer_param().name()) continue;
        CHECK_EQ(from.blobs_size(), static_cast<int>(layers_[l]->blobs().size()));
        for (int b = 0; b < from.blobs_size(); ++b) {
          layers_[l]->blobs()[b]->FromProto(from.blobs(b), false);
        }
      }
    }
  }

  void FillWeights() {
    for (size_t l = 0; l < layers_.size(); ++l) {
      for (size_t b = 0; b < layers_[l]->blobs().size(); ++b) {
        Blob<float>* blob = layers_[l]->blobs()[b].get();
        float* values = blob->mutable_cpu_data();
        Fill(static_cast<int>(1000 + 10 * l + b), blob->count(), values);
        // The fourth are variances.
        for (int i = 0; b == 3 && i < blob->count(); ++i) {
          values[i] = 0.5f + std::fabs(values[i]);
        }
      }
    }
  }

  void Run() {
    for (size_t l = 0; l < layers_.size(); ++l)
      layers_[l]->Forward(bottoms_[l], tops_[l]);
    if (layers_.empty()) return;
    Blob<float>* last = tops_.back()[0];
    Fill(500, last->count(), last->mutable_cpu_diff());
    for (size_t l = layers_.size(); l-- > 0;) {
      layers_[l]->Backward(tops_[l], std::vector<bool>(bottoms_[l].size(), true),
                           bottoms_[l]);
    }
  }

  void Write(std::ostream* out) const {
    for (size_t i = 0; i < blobs_.size(); ++i) WriteBlob(*blobs_[i], out);
    for (size_t l = 0; l < layers_.size(); ++l) {
      for (size_t b = 0; b < layers_[l]->blobs().size(); ++b) {
        WriteBlob(*layers_[l]->blobs()[b], out);
      }
    }
  }

 private:
  Blob<float>* Add(const std::string& name) {
    if (!index_.count(name)) {
      index_[name] = blobs_.size();
      blobs_.push_back(caffe::shared_ptr<Blob<float>>(new Blob<float>()));
    }
    return blobs_[index_[name]].get();
  }

  static void WriteBlob(const Blob<float>& blob, std::ostream* out) {
    const std::streamsize bytes = blob.count() * sizeof(float);
    out->write(reinterpret_cast<const char*>(blob.cpu_data()), bytes);
    out->write(reinterpret_cast<const char*>(blob.cpu_diff()), bytes);
  }

  std::map<std::string, size_t> index_;
  std::vector<caffe::shared_ptr<Blob<float>>> blobs_;
  std::vector<caffe::shared_ptr<caffe::Layer<float>>> layers_;
  std::vector<std::vector<Blob<float>*>> bottoms_, tops_;
};

}  // namespace

int main(int argc, char** argv) {
  CHECK_GE(argc, 3) << "usage: run_layers NET OUT [-plugin L] [-weights W] [-inputs I]";
  Options options;
  bool gpu = false;
  for (int i = 3; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "-gpu") {
      gpu = true;
    } else {
      CHECK_LT(i + 1, argc) << name;
      options[name] = argv[++i];
    }
  }
  if (options.count("-plugin")) {
    CHECK(dlopen(options["-plugin"].c_str(), RTLD_NOW | RTLD_GLOBAL)) << dlerror();
  }
  caffe::Caffe::set_mode(gpu ? caffe::Caffe::GPU : caffe::Caffe::CPU);
  caffe::NetParameter net;
  CHECK(google::protobuf::TextFormat::ParseFromString(ReadFile(argv[1]), &net))
      << argv[1];
  std::ifstream inputs;
  if (options.count("-inputs")) {
    inputs.open(options["-inputs"].c_str(), std::ios::binary);
    CHECK(inputs.good()) << options["-inputs"];
  }
  LayerNet layers(net, options.count("-inputs") ? &inputs : NULL);
  if (options.count("-weights")) {
    caffe::NetParameter weights;
    CHECK(weights.ParseFromString(ReadFile(options["-weights"])));
    layers.CopyWeights(weights);
  } else {
    layers.FillWeights();
  }
  layers.Run();
  std::ofstream out(argv[2], std::ios::binary);
  layers.Write(&out);
  CHECK(out.good()) << argv[2];
  return 0;
}
