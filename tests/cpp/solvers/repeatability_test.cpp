#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caffe/util/db.hpp"
#include "solvers/solver_fixture.hpp"

// Whole nets of real layers: the same seed gives the same weights, whatever the number
// of data threads, and after a resume.

namespace caffe {
namespace {

using test::LogCapture;
using test::NewSolver;
using test::TemporaryFolder;
using test::Weights;

constexpr int kImages = 23;  // batches of 4 do not divide an epoch

class RepeatabilityTest : public ::testing::Test {
 protected:
  RepeatabilityTest() {
    const LogCapture quiet;
    const std::unique_ptr<db::DB> database(db::GetDB("lmdb"));
    database->Open(folder_ / "lmdb", db::NEW);
    const std::unique_ptr<db::Transaction> transaction(database->NewTransaction());
    for (int n = 0; n < kImages; ++n) {
      Datum datum;
      datum.set_channels(3);
      datum.set_height(8);
      datum.set_width(8);
      datum.set_label(n % 5);
      std::string pixels;
      for (int i = 0; i < 3 * 8 * 8; ++i) {
        pixels.push_back(static_cast<char>(test::Bits(n, i) & 0xff));
      }
      datum.set_data(pixels);
      transaction->Put(Str("image", 100 + n), datum.SerializeAsString());
    }
    transaction->Commit();
  }

  // Random crops and mirrors, noise, batch statistics and dropout in a small classifier,
  // with tests that draw noise of the same stream.
  std::string Text(int data_threads, const std::string& more = "") const {
    const std::string data =
        Str("type: 'Data' top: 'data' top: 'label' transform_param { mirror: true "
            "crop_size: 6 "
            "scale: 0.0078125 mean_value: 128 } data_param { source: '",
            folder_ / "lmdb",
            "' backend: LMDB batch_size: 4 decode_threads: ", data_threads, " } ");
    const std::string net = Str(
        "layer { name: 'train' ", data,
        "include { phase: TRAIN } } "
        "layer { name: 'test' ",
        data,
        "include { phase: TEST } } "
        "layer { name: 'noise' type: 'DummyData' top: 'noise' dummy_data_param { "
        "  shape { dim: 4 dim: 3 dim: 6 dim: 6 } data_filler { type: 'gaussian' std: "
        "0.125 } } } "
        "layer { name: 'sum' type: 'Eltwise' bottom: 'data' bottom: 'noise' top: 'sum' } "
        "layer { name: 'conv' type: 'Convolution' bottom: 'sum' top: 'conv' "
        "  convolution_param { num_output: 16 kernel_size: 3 weight_filler { type: "
        "'msra' } } } "
        "layer { name: 'bn' type: 'CuDNNBatchNorm' bottom: 'conv' top: 'conv' "
        "  cudnn_batch_norm_param { momentum: 0.875 } } "
        "layer { name: 'relu' type: 'ReLU' bottom: 'conv' top: 'conv' } "
        "layer { name: 'drop' type: 'Dropout' bottom: 'conv' top: 'conv' } "
        "layer { name: 'fc' type: 'InnerProduct' bottom: 'conv' top: 'fc' "
        "  inner_product_param { num_output: 5 weight_filler { type: 'xavier' } } } "
        "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'fc' bottom: 'label' top: "
        "'loss' } ");
    return Str("net_param { ", net,
               "} lr_policy: 'poly' power: 1 base_lr: 0.0625 momentum: 0.875 ",
               "weight_decay: 0.0078125 max_iter: 20 iter_size: 2 average_loss: 3 ",
               "test_iter: 2 test_interval: 4 random_seed: 3 snapshot_prefix: '",
               folder_ / "s", "' ", more);
  }

  // All that training changes, the statistics of batch norms included.
  static std::string Net(Solver<float>* solver) {
    NetParameter param;
    solver->net()->ToProto(&param);
    for (LayerParameter& layer : *param.mutable_layer()) layer.clear_data_param();
    return param.SerializeAsString();
  }

  TemporaryFolder folder_;
};

TEST_F(RepeatabilityTest, DataThreadsDoNotChangeTheWeights) {
  std::string first;
  for (const int threads : {1, 2, 5, 2}) {
    const LogCapture quiet;
    const auto solver = NewSolver<float>(Text(threads));
    solver->Step(20);
    if (first.empty()) first = Net(solver.get());
    EXPECT_EQ(Net(solver.get()), first) << threads << " threads";
  }
  const LogCapture quiet;
  const auto other = NewSolver<float>(Text(2, "random_seed: 4"));
  other->Step(20);
  EXPECT_NE(Net(other.get()), first) << "another seed is another run";
}

TEST_F(RepeatabilityTest, ResumedRunEqualsTheUninterruptedOne) {
  for (const std::string format : {"BINARYPROTO", "HDF5"}) {
    SCOPED_TRACE(format);
    const LogCapture quiet;
    const std::string text = Text(2, "snapshot_format: " + format);
    const auto whole = NewSolver<float>(text);
    whole->Step(20);
    // Before, at and after an iteration with a test.
    for (const int iter : {7, 8, 9}) {
      {
        const auto first = NewSolver<float>(text);
        first->Step(iter);
        first->Snapshot();
      }
      const auto second = NewSolver<float>(Text(4, "random_seed: -1"));
      second->Step(1);  // its data threads have run ahead
      const std::string state =
          Str("s_iter_", iter, format == "HDF5" ? ".solverstate.h5" : ".solverstate");
      second->Restore((folder_ / state).c_str());
      second->Step(20 - iter);
      EXPECT_EQ(Net(second.get()), Net(whole.get())) << "from iteration " << iter;
      EXPECT_EQ(second->smoothed_loss(), whole->smoothed_loss());
    }
  }
}

}  // namespace
}  // namespace caffe
