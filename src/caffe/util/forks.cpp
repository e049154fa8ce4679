#include "caffe/util/forks.hpp"

#include <cstdlib>
#include <cstring>

// What other Caffes have and this one does not: layer types, by the name that stands in
// prototxts, and fields of the text format. A fork that took a layer over from another
// is not named again.

namespace caffe {

namespace {

constexpr char kSsd[] = "SSD's Caffe";
constexpr char kFastRcnn[] = "Fast R-CNN's Caffe";
constexpr char kRfcn[] = "R-FCN's Caffe";
constexpr char kNvidia[] = "NVIDIA's Caffe";
constexpr char kIntel[] = "intel's Caffe";
constexpr char kDeepLab[] = "DeepLab's Caffe";
constexpr char kSegNet[] = "SegNet's Caffe";
constexpr char kEnet[] = "ENet's Caffe";
constexpr char kDeconvNet[] = "DeconvNet's Caffe";
constexpr char kCrfRnn[] = "CRF-RNN's Caffe";
constexpr char kFlowNet[] = "FlowNet's Caffe";
constexpr char kShuffleNet[] = "ShuffleNet's Caffe";
constexpr char kMobileNet[] = "the Caffes made for MobileNets";
constexpr char kYolo[] = "YOLO's Caffes";
constexpr char kFaces[] = "the Caffes made for face recognition";
constexpr char kTransformer[] = "the Caffes with spatial transformers";
constexpr char kDeformable[] = "the Caffes with deformable convolutions";
constexpr char kFocal[] = "the Caffes with focal loss";

struct ForkType {
  const char* type;
  const char* home;
};

constexpr ForkType kTypes[] = {
    {"AnnotatedData", kSsd},
    {"DetectionEvaluate", kSsd},
    {"DetectionOutput", kSsd},
    {"MultiBoxLoss", kSsd},
    {"Normalize", kSsd},
    {"Permute", kSsd},
    {"PriorBox", kSsd},
    {"VideoData", kSsd},

    {"ROIPooling", kFastRcnn},
    {"SmoothL1Loss", kFastRcnn},
    {"BoxAnnotatorOHEM", kRfcn},
    {"PSROIPooling", kRfcn},
    {"SmoothL1LossOHEM", kRfcn},
    {"SoftmaxWithLossOHEM", kRfcn},

    {"DetectNetTransformation", kNvidia},
    {"ContinuationIndicator", kIntel},
    {"MnActivation", kIntel},
    {"MnParamGradCompress", kIntel},

    {"AdaptiveBiasChannel", kDeepLab},
    {"BiasChannel", kDeepLab},
    {"DenseCRF", kDeepLab},
    {"DomainTransform", kDeepLab},
    {"ImageDimPrefetchingData", kDeepLab},
    {"ImageSegData", kDeepLab},
    {"MatRead", kDeepLab},
    {"MatWrite", kDeepLab},
    {"SegAccuracy", kDeepLab},
    {"UniqueLabel", kDeepLab},

    {"BN", kSegNet},
    {"DenseImageData", kSegNet},
    {"Upsample", kSegNet},
    {"SpatialDropout", kEnet},
    {"Unpooling", kDeconvNet},
    {"MultiStageMeanfield", kCrfRnn},

    {"Accum", kFlowNet},
    {"BlackAugmentation", kFlowNet},
    {"ChannelNorm", kFlowNet},
    {"Correlation", kFlowNet},
    {"Correlation1D", kFlowNet},
    {"CustomData", kFlowNet},
    {"DataAugmentation", kFlowNet},
    {"Downsample", kFlowNet},
    {"FLOReader", kFlowNet},
    {"FLOWriter", kFlowNet},
    {"FlowAugmentation", kFlowNet},
    {"FlowWarp", kFlowNet},
    {"GenerateAugmentationParameters", kFlowNet},
    {"ImgReader", kFlowNet},
    {"ImgWriter", kFlowNet},
    {"L1Loss", kFlowNet},
    {"LpqLoss", kFlowNet},
    {"Mean", kFlowNet},
    {"Resample", kFlowNet},

    {"ChannelShuffle", kShuffleNet},
    {"ShuffleChannel", kShuffleNet},
    {"HardSigmoid", kMobileNet},
    {"HardSwish", kMobileNet},
    {"ReLU6", kMobileNet},

    {"BoxData", kYolo},
    {"EvalDetection", kYolo},
    {"Mish", kYolo},
    {"RegionLoss", kYolo},
    {"Reorg", kYolo},
    {"YoloDetectionOutput", kYolo},
    {"YoloV2Loss", kYolo},
    {"YoloV3Loss", kYolo},
    {"Yolov3", kYolo},
    {"Yolov3DetectionOutput", kYolo},

    {"CenterLoss", kFaces},
    {"LabelSpecificAdd", kFaces},
    {"LargeMarginInnerProduct", kFaces},
    {"MarginInnerProduct", kFaces},
    {"TripletLoss", kFaces},

    {"SpatialTransformer", kTransformer},
    {"DeformableConvolution", kDeformable},
    {"FocalLoss", kFocal},
};

constexpr char kSolver[] = "SolverParameter";
constexpr char kNet[] = "NetParameter";
constexpr char kLayer[] = "LayerParameter";
constexpr char kData[] = "DataParameter";
constexpr char kConvolution[] = "ConvolutionParameter";
constexpr char kBatchNorm[] = "BatchNormParameter";
constexpr char kTransform[] = "TransformationParameter";
constexpr char kLeaveOut[] = "leave it out";
constexpr char kWriteRelu[] = "leave it out, and write a ReLU layer behind this one";
constexpr char kWriteDilation[] = "write it as dilation";
constexpr char kWriteWarmup[] = "leave it out, or see warmup_iter and warmup_start_lr";
constexpr char kPrepare[] = "leave it out, and prepare the images in this way beforehand";

constexpr ForkField kFields[] = {
    // Which of several libraries computes a layer, wherever this schema has no choice.
    {"", "engine", kIntel, kAnyValue, ""},

    {kLayer, "forward_type", kNvidia, kAnyValue, ""},
    {kLayer, "backward_type", kNvidia, kAnyValue, ""},
    {kLayer, "forward_math", kNvidia, kAnyValue, ""},
    {kLayer, "backward_math", kNvidia, kAnyValue, ""},
    {kLayer, "cudnn_math_override", kNvidia, kAnyValue, ""},
    {kLayer, "debug", kNvidia, kAnyValue, ""},
    {kNet, "default_forward_type", kNvidia, kAnyValue, ""},
    {kNet, "default_backward_type", kNvidia, kAnyValue, ""},
    {kNet, "default_forward_math", kNvidia, kAnyValue, ""},
    {kNet, "default_backward_math", kNvidia, kAnyValue, ""},
    {kNet, "default_conv_algos_override", kNvidia, kAnyValue, ""},
    {kNet, "default_cudnn_math_override", kNvidia, kAnyValue, ""},
    {kNet, "eltwise_mem_sharing", kNvidia, kAnyValue, ""},
    // Gradients are multiplied by it and divided again, for the sake of 16-bit floats.
    {kNet, "global_grad_scale", kNvidia, kAnyValue, ""},
    {kNet, "global_grad_scale_adaptive", kNvidia, kAnyValue, ""},
    {kNet, "reduce_buckets", kNvidia, kAnyValue, ""},
    {kConvolution, "conv_algos_override", kNvidia, kAnyValue, ""},
    {kConvolution, "cudnn_convolution_algo_seeker", kNvidia, kAnyValue, ""},
    {kBatchNorm, "clip_variance", kNvidia, "false", kLeaveOut},
    {"DropoutParameter", "random_seed", kNvidia, "-1", kLeaveOut},
    {"ELUParameter", "lambda", kNvidia, "1", "leave it out, and write a Power layer"},
    {kData, "cache", kNvidia, kAnyValue, ""},
    {kData, "parser_threads", kNvidia, kAnyValue, ""},
    {kData, "threads", kNvidia, kAnyValue, ""},
    {kData, "shuffle", kNvidia, "false",
     "leave it out, and shuffle when the database is made (convert_imageset -shuffle)"},
    {kTransform, "forward_packing", kNvidia, kAnyValue, ""},
    {kTransform, "use_gpu_transform", kNvidia, kAnyValue, ""},
    {kTransform, "random_seed", kNvidia, "-1", kLeaveOut},
    {kTransform, "img_rand_resize_lower", kNvidia, "0", kPrepare},
    {kTransform, "img_rand_resize_upper", kNvidia, "0", kPrepare},
    {kTransform, "rand_resize_ratio_lower", kNvidia, "0", kPrepare},
    {kTransform, "rand_resize_ratio_upper", kNvidia, "0", kPrepare},
    {kLayer, "detectnet_augmentation_param", kNvidia, kNoValue, ""},
    {kLayer, "detectnet_groundtruth_param", kNvidia, kNoValue, ""},
    {kSolver, "per_parameter_reduce", kNvidia, kAnyValue, ""},
    {kSolver, "reduce_buckets", kNvidia, kAnyValue, ""},
    {kSolver, "solver_data_type", kNvidia, kAnyValue, ""},
    {kSolver, "store_blobs_in_old_format", kNvidia, kAnyValue, ""},
    {kSolver, "global_grad_scale", kNvidia, kAnyValue, ""},
    {kSolver, "larc", kNvidia, "false", kLeaveOut},
    // These have a meaning only together with those that choose a policy.
    {kSolver, "larc_eta", kNvidia, kAnyValue, ""},
    {kSolver, "larc_policy", kNvidia, kAnyValue, ""},
    {kSolver, "larc_turbo", kNvidia, kAnyValue, ""},
    {kSolver, "max_momentum", kNvidia, kAnyValue, ""},
    {kSolver, "momentum_power", kNvidia, kAnyValue, ""},
    {kSolver, "rampup_lr", kNvidia, kAnyValue, ""},
    {kSolver, "weight_decay_power", kNvidia, kAnyValue, ""},
    {kSolver, "min_lr", kNvidia, "0", kLeaveOut},
    {kSolver, "momentum_policy", kNvidia, "fixed", kLeaveOut},
    {kSolver, "rampup_interval", kNvidia, "0", kWriteWarmup},
    {kSolver, "test_and_snapshot_last_epochs", kNvidia, "0", kLeaveOut},
    {kSolver, "weight_decay_policy", kNvidia, "fixed", kLeaveOut},
    {kSolver, "epoch_size", kNvidia, kNoValue, "give max_iter and test_interval"},
    {kSolver, "max_epoch", kNvidia, kNoValue, "give max_iter"},
    {kSolver, "test_epoch_size", kNvidia, kNoValue, "give test_iter"},
    {kSolver, "test_interval_epoch", kNvidia, kNoValue, "give test_interval"},

    {kLayer, "mn_activation_param", kIntel, kNoValue, ""},
    {kLayer, "mn_grad_compress_param", kIntel, kAnyValue, ""},
    {kLayer, "multinode", kIntel, kAnyValue, ""},
    {kLayer, "continuation_indicator_param", kIntel, kNoValue, ""},
    {kLayer, "quantization_param", kIntel, kNoValue, ""},
    {kLayer, "split_param", kIntel, kAnyValue, ""},
    {kNet, "compile_net_state", kIntel, kAnyValue, ""},
    {kNet, "multinode", kIntel, kAnyValue, ""},
    {kNet, "bn_stats_batch_size", kIntel, "0", kLeaveOut},
    {kBatchNorm, "stats_batch_size", kIntel, "0", kLeaveOut},
    {kBatchNorm, "relu", kIntel, "false", kWriteRelu},
    {kConvolution, "relu", kIntel, "false", kWriteRelu},
    {kConvolution, "negative_slope", kIntel, kAnyValue, ""},
    {kConvolution, "conv_algorithm", kIntel, kAnyValue, ""},
    {"FillerParameter", "scale", kIntel, "1", kLeaveOut},
    {kTransform, "random_aspect_ratio_param", kIntel, kNoValue,
     "write random_resized_crop"},
    {kTransform, "random_resize_param", kIntel, kNoValue, kPrepare},
    {kSolver, "disabled_update", kIntel, "false", kLeaveOut},
    {kSolver, "local_gw_ratio", kIntel, kAnyValue, ""},
    {kSolver, "local_lr_auto", kIntel, "false", kLeaveOut},
    {kSolver, "plateau_winsize", kIntel, kNoValue, "choose another lr_policy"},

    {kLayer, "annotated_data_param", kSsd, kNoValue, ""},
    {kLayer, "detection_evaluate_param", kSsd, kNoValue, ""},
    {kLayer, "detection_output_param", kSsd, kNoValue, ""},
    {kLayer, "multibox_loss_param", kSsd, kNoValue, ""},
    {kLayer, "norm_param", kSsd, kNoValue, ""},
    {kLayer, "permute_param", kSsd, kNoValue, ""},
    {kLayer, "prior_box_param", kSsd, kNoValue, ""},
    {kLayer, "video_data_param", kSsd, kNoValue, ""},
    {kTransform, "crop_h", kSsd, "0", kPrepare},
    {kTransform, "crop_w", kSsd, "0", kPrepare},
    {kTransform, "distort_param", kSsd, kNoValue, kPrepare},
    {kTransform, "emit_constraint", kSsd, kNoValue, kPrepare},
    {kTransform, "expand_param", kSsd, kNoValue, kPrepare},
    {kTransform, "noise_param", kSsd, kNoValue, kPrepare},
    {kTransform, "resize_param", kSsd, kNoValue, kPrepare},
    {kSolver, "ap_version", kSsd, kAnyValue, ""},
    {kSolver, "eval_type", kSsd, "classification", kLeaveOut},
    {kSolver, "show_per_class_result", kSsd, kAnyValue, ""},

    {kLayer, "roi_pooling_param", kFastRcnn, kNoValue, ""},
    {kLayer, "smooth_l1_loss_param", kFastRcnn, kNoValue, ""},
    {kLayer, "box_annotator_ohem_param", kRfcn, kNoValue, ""},
    {kLayer, "psroi_pooling_param", kRfcn, kNoValue, ""},

    {kLayer, "dense_crf_param", kDeepLab, kNoValue, ""},
    {kLayer, "domain_transform_param", kDeepLab, kNoValue, ""},
    {kLayer, "mat_read_param", kDeepLab, kNoValue, ""},
    {kLayer, "mat_write_param", kDeepLab, kNoValue, ""},
    {kLayer, "seg_accuracy_param", kDeepLab, kNoValue, ""},
    {kLayer, "unique_label_param", kDeepLab, kNoValue, ""},
    {kConvolution, "hole", kDeepLab, "1", kWriteDilation},
    {kConvolution, "hole_h", kDeepLab, "1", kWriteDilation},
    {kConvolution, "hole_w", kDeepLab, "1", kWriteDilation},

    {kLayer, "bn_param", kSegNet, kNoValue, ""},
    {kLayer, "dense_image_data_param", kSegNet, kNoValue, ""},
    {kLayer, "upsample_param", kSegNet, kNoValue, ""},
    {"DropoutParameter", "sample_weights_test", kSegNet, "false", kLeaveOut},
    {"DropoutParameter", "scale_train", kSegNet, "true", kLeaveOut},
    {kLayer, "spatial_dropout_param", kEnet, kNoValue, ""},
    {kLayer, "unpooling_param", kDeconvNet, kNoValue, ""},
    {kLayer, "multi_stage_meanfield_param", kCrfRnn, kNoValue, ""},

    {kLayer, "accum_param", kFlowNet, kNoValue, ""},
    {kLayer, "augmentation_param", kFlowNet, kNoValue, ""},
    {kLayer, "black_augmentation_param", kFlowNet, kNoValue, ""},
    {kLayer, "coeff_schedule_param", kFlowNet, kNoValue, ""},
    {kLayer, "correlation_param", kFlowNet, kNoValue, ""},
    {kLayer, "downsample_param", kFlowNet, kNoValue, ""},
    {kLayer, "flow_warp_param", kFlowNet, kNoValue, ""},
    {kLayer, "l1_loss_param", kFlowNet, kNoValue, ""},
    {kLayer, "lpq_loss_param", kFlowNet, kNoValue, ""},
    {kLayer, "mean_param", kFlowNet, kNoValue, ""},
    {kLayer, "reader_param", kFlowNet, kNoValue, ""},
    {kLayer, "resample_param", kFlowNet, kNoValue, ""},
    {kLayer, "writer_param", kFlowNet, kNoValue, ""},

    {kLayer, "channel_shuffle_param", kShuffleNet, kNoValue, ""},
    {kLayer, "shuffle_channel_param", kShuffleNet, kNoValue, ""},
    {kLayer, "relu6_param", kMobileNet, kNoValue, ""},
    {kLayer, "box_data_param", kYolo, kNoValue, ""},
    {kLayer, "eval_detection_param", kYolo, kNoValue, ""},
    {kLayer, "region_loss_param", kYolo, kNoValue, ""},
    {kLayer, "reorg_param", kYolo, kNoValue, ""},
    {kLayer, "yolo_detection_output_param", kYolo, kNoValue, ""},
    {kLayer, "yolo_v2_loss_param", kYolo, kNoValue, ""},
    {kLayer, "yolo_v3_loss_param", kYolo, kNoValue, ""},
    {kLayer, "yolov3_detection_output_param", kYolo, kNoValue, ""},
    {kLayer, "yolov3_param", kYolo, kNoValue, ""},
    {kLayer, "center_loss_param", kFaces, kNoValue, ""},
    {kLayer, "label_specific_add_param", kFaces, kNoValue, ""},
    {kLayer, "large_margin_inner_product_param", kFaces, kNoValue, ""},
    {kLayer, "margin_inner_product_param", kFaces, kNoValue, ""},
    {kLayer, "triplet_loss_param", kFaces, kNoValue, ""},
    {kLayer, "st_param", kTransformer, kNoValue, ""},
    {kLayer, "deformable_convolution_param", kDeformable, kNoValue, ""},
    {kLayer, "focal_loss_param", kFocal, kNoValue, ""},
};

// Numbers and booleans have several spellings.
bool ReadNumber(const std::string& text, double* number) {
  if (text == "false" || text == "f" || text == "true" || text == "t") {
    *number = text[0] == 't';
    return true;
  }
  char* end = nullptr;
  *number = std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0';
}

}  // namespace

std::string HomeOfLayerType(const std::string& type) {
  for (const ForkType& row : kTypes) {
    if (type == row.type) return row.home;
  }
  return "";
}

const ForkField* FindForkField(const std::string& message, const std::string& field) {
  for (const ForkField& row : kFields) {
    if (field == row.field && (*row.message == '\0' || message == row.message)) {
      return &row;
    }
  }
  return nullptr;
}

bool IsNeutral(const ForkField& field, const std::string& value) {
  if (std::strcmp(field.neutral, kAnyValue) == 0) return true;
  if (std::strcmp(field.neutral, kNoValue) == 0) return false;
  double given, neutral;
  if (ReadNumber(value, &given) && ReadNumber(field.neutral, &neutral)) {
    return given == neutral;
  }
  return value == field.neutral;
}

}  // namespace caffe
