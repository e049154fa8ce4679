#include "caffe/net/layer_errors.hpp"

#include "caffe/layers/data_layer.hpp"
#include "data/data_layer_fixture.hpp"
#include "net/net_fixture.hpp"

namespace caffe {
namespace test {
namespace {

// A net of three classes, whose loss and accuracy share the labels, behind `data`.
template <typename T>
std::unique_ptr<Net<T>> ThreeClasses(const std::string& data, Phase phase) {
  return MakeNet<T>(
      Str(data, IpLayer("ip", "data", 3),
          "layer { name: 'accuracy' type: 'Accuracy' bottom: 'ip' bottom: 'label' "
          "top: 'accuracy' include { phase: TEST } } "
          "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' "
          "top: 'loss' }"),
      phase);
}

template <typename T>
class SampleOriginTest : public DataLayerFixture<T> {};

typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(SampleOriginTest, Types);

TYPED_TEST(SampleOriginTest, IsTheKeyInADatabase) {
  // Labels 0 1 2 0 1 7 0: entry 5 is the second of the second batch.
  std::vector<Datum> datums = RawDatums(7);
  for (int i = 0; i < 7; ++i) datums[i].set_label(i == 5 ? 7 : i % 3);
  WriteDatums(this->folder_ / "db", datums);
  for (const Phase phase : {TRAIN, TEST}) {
    for (const bool optimize : {false, true}) {
      if (optimize && phase == TRAIN) continue;
      auto net = ThreeClasses<TypeParam>(
          Str("layer { ", this->Text("batch_size: 4"), "}"), phase);
      if (optimize) net->Optimize();
      net->Forward();
      ExpectError(ErrorKind::kValue,
                  {phase == TRAIN ? "layer 'loss' (SoftmaxWithLoss)"
                                  : "layer 'accuracy' (Accuracy): bottom[1] 'label'",
                   Str("sample 1 (database '", this->folder_ / "db",
                       "', key '00000005') has label 7, expected 0 to 2")},
                  [&] { net->Forward(); });
    }
  }
}

TYPED_TEST(SampleOriginTest, IsTheKeyThatTookASkippedOnesPlace) {
  std::vector<Datum> datums = EncodedDatums(3);
  datums[0] = EncodedDatum("junk", 0);
  datums[1].set_label(3);
  WriteDatums(this->folder_ / "db", datums);
  auto net = ThreeClasses<TypeParam>(
      Str("layer { ", this->Text("batch_size: 2 on_bad_image: SKIP"), "}"), TRAIN);
  ExpectError(ErrorKind::kValue, {"sample 0", "key '00000001') has label 3"},
              [&] { net->Forward(); });
}

TYPED_TEST(SampleOriginTest, IsTheFileOfAList) {
  for (const char* name : {"a.png", "b.png"}) WriteBytes(this->folder_ / name, PngOf(1));
  WriteBytes(this->folder_ / "list.txt", "a.png 2\nb.png -2\n");
  auto net = ThreeClasses<TypeParam>(
      Str("layer { name: 'data' type: 'ImageData' top: 'data' top: 'label' "
          "image_data_param { batch_size: 2 source: '",
          this->folder_ / "list.txt", "' root_folder: '", this->folder_ / "", "' } }"),
      TEST);
  ExpectError(ErrorKind::kValue,
              {Str("sample 1 (line 2 of '", this->folder_ / "list.txt", "', image '",
                   this->folder_ / "b.png", "') has label -2")},
              [&] { net->Forward(); });
}

TYPED_TEST(SampleOriginTest, IsLeftOutWhereNobodyKnows) {
  auto net = ThreeClasses<TypeParam>(
      "layer { name: 'data' type: 'DummyData' top: 'data' top: 'label' "
      "dummy_data_param { shape { dim: 2 dim: 4 } shape { dim: 2 } "
      "data_filler { type: 'constant' value: 5 } } }",
      TEST);
  ExpectError(ErrorKind::kValue, {": sample 0 has label 5, expected 0 to 2"},
              [&] { net->Forward(); });
}

}  // namespace
}  // namespace test
}  // namespace caffe
