#ifndef CAFFE_OPS_CHANNEL_SHAPE_HPP_
#define CAFFE_OPS_CHANNEL_SHAPE_HPP_

namespace caffe {

/// An array seen as (num, channels, spatial), for what is done per channel.
struct ChannelShape {
  int num, channels, spatial;
};

}  // namespace caffe

#endif  // CAFFE_OPS_CHANNEL_SHAPE_HPP_
