"""The message classes of Caffe's file formats."""
