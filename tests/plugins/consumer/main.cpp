// classify NET WEIGHTS PLUGIN: fills the input with 0, 1, 2, ... and prints the scores.

#include <caffe/caffe.hpp>

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

using namespace caffe;  // NOLINT(build/namespaces)
using std::string;

class Classifier {
 public:
  Classifier(const string& model_file, const string& trained_file);

  std::vector<float> Predict(int batch);

 private:
  shared_ptr<Net<float>> net_;
};

Classifier::Classifier(const string& model_file, const string& trained_file) {
  Caffe::set_mode(Caffe::CPU);
  net_.reset(new Net<float>(model_file, TEST));
  net_->CopyTrainedLayersFrom(trained_file);

  CHECK_EQ(net_->num_inputs(), 1) << "Network should have exactly one input.";
  CHECK_EQ(net_->num_outputs(), 1) << "Network should have exactly one output.";
}

std::vector<float> Classifier::Predict(int batch) {
  Blob<float>* input_layer = net_->input_blobs()[0];
  input_layer->Reshape(batch, input_layer->channels(), input_layer->height(),
                       input_layer->width());
  /* Forward dimension change to all layers. */
  net_->Reshape();

  float* input_data = input_layer->mutable_cpu_data();
  for (int i = 0; i < input_layer->count(); ++i) {
    input_data[i] = i;
  }

  net_->Forward();

  /* Copy the output layer to a std::vector */
  Blob<float>* output_layer = net_->output_blobs()[0];
  const float* begin = output_layer->cpu_data();
  const float* end = begin + batch * output_layer->channels();
  return std::vector<float>(begin, end);
}

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "Usage: " << argv[0] << " deploy.prototxt network.caffemodel"
              << " libmy_layers.so" << std::endl;
    return 1;
  }

  ::google::InitGoogleLogging(argv[0]);

  LoadPlugin(argv[3]);
  Classifier classifier(argv[1], argv[2]);
  std::cout.precision(9);
  for (float score : classifier.Predict(2)) std::cout << score << std::endl;
  return 0;
}
