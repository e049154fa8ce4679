#include "caffe/data/jpeg.hpp"

#include <csetjmp>
#include <cstdio>  // which jpeglib.h needs before it

#include <jpeglib.h>

#include <jerror.h>

#include "caffe/error.hpp"

namespace caffe {
namespace {

// Warnings that mean missing or unreadable image data. The others are about bytes that
// are too many, or about headers.
bool IsDamage(int code) {
  return code == JWRN_HIT_MARKER || code == JWRN_JPEG_EOF || code == JWRN_HUFF_BAD_CODE ||
         code == JWRN_ARITH_BAD_CODE || code == JWRN_MUST_RESYNC;
}

// libjpeg leaves by longjmp when it cannot go on: the functions that call it own nothing.
class Decoder {
 public:
  explicit Decoder(const std::string& bytes) {
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = [](j_common_ptr info) { Of(info)->Leave(); };
    errors_.emit_message = [](j_common_ptr info, int level) {
      if (level < 0) Of(info)->Note();
    };
    if (setjmp(leave_) != 0) Throw();
    jpeg_create_decompress(&info_);
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()),
                 static_cast<unsigned long>(bytes.size()));
  }
  ~Decoder() { jpeg_destroy_decompress(&info_); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// Reads up to the image data.
  void Start() {
    if (setjmp(leave_) != 0) Throw();
    jpeg_read_header(&info_, TRUE);
    info_.out_color_space = info_.num_components == 1   ? JCS_GRAYSCALE
                            : info_.num_components == 4 ? JCS_CMYK
                                                        : JCS_EXT_BGR;
    jpeg_start_decompress(&info_);
  }
  int width() const { return static_cast<int>(info_.output_width); }
  int height() const { return static_cast<int>(info_.output_height); }
  int channels() const { return info_.output_components; }
  bool inverted_inks() const { return info_.saw_Adobe_marker; }

  /// Fills an image of that size; throws if anything of it was missing.
  void Read(cv::Mat* image) {
    if (setjmp(leave_) != 0) Throw();
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = image->ptr(static_cast<int>(info_.output_scanline));
      jpeg_read_scanlines(&info_, &row, 1);
    }
    jpeg_finish_decompress(&info_);
    if (*message_ != '\0') Throw();
  }

 private:
  static Decoder* Of(j_common_ptr info) {
    return static_cast<Decoder*>(info->client_data);
  }
  [[noreturn]] void Leave() {
    errors_.format_message(Info(), message_);
    std::longjmp(leave_, 1);
  }
  void Note() {
    if (*message_ == '\0' && IsDamage(errors_.msg_code)) {
      errors_.format_message(Info(), message_);
    }
  }
  [[noreturn]] void Throw() const {
    throw FileError(Str("the JPEG is damaged; its decoder says: ", message_));
  }
  j_common_ptr Info() { return reinterpret_cast<j_common_ptr>(&info_); }

  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  std::jmp_buf leave_{};
  char message_[JMSG_LENGTH_MAX] = "";
};

cv::Mat ColourOfInks(const cv::Mat& inks, bool inverted) {
  cv::Mat colour(inks.rows, inks.cols, CV_8UC3);
  const int flip = inverted ? 0 : 255;
  for (int y = 0; y < inks.rows; ++y) {
    const uchar* in = inks.ptr(y);
    uchar* out = colour.ptr(y);
    for (int x = 0; x < inks.cols; ++x, in += 4, out += 3) {
      for (int c = 0; c < 3; ++c) {
        out[2 - c] = static_cast<uchar>(((in[c] ^ flip) * (in[3] ^ flip) + 127) / 255);
      }
    }
  }
  return colour;
}

}  // namespace

cv::Mat DecodeJpeg(const std::string& bytes) {
  Decoder decoder(bytes);
  decoder.Start();
  cv::Mat image(decoder.height(), decoder.width(), CV_8UC(decoder.channels()));
  decoder.Read(&image);
  return image.channels() == 4 ? ColourOfInks(image, decoder.inverted_inks()) : image;
}

}  // namespace caffe
