#include "caffe/data/image_probe.hpp"

#include <algorithm>
#include <set>

#include "caffe/data/tiff_tags.hpp"
#include "caffe/error.hpp"

namespace caffe {
namespace {

std::uint32_t Byte(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

// Big-endian, as both formats are.
std::uint32_t Short(std::string_view bytes, std::size_t at) {
  return Byte(bytes, at) << 8 | Byte(bytes, at + 1);
}

std::uint32_t Long(std::string_view bytes, std::size_t at) {
  return Short(bytes, at) << 16 | Short(bytes, at + 2);
}

// The position behind the next marker from `at` on, or npos. 0xFF 0x00 is a data
// byte and any number of 0xFF may precede a marker.
std::size_t FindMarker(std::string_view bytes, std::size_t at) {
  while (at < bytes.size()) {
    at = bytes.find('\xff', at);
    if (at == bytes.npos) break;
    while (at < bytes.size() && bytes[at] == '\xff') ++at;
    if (at < bytes.size() && bytes[at] != 0) return at + 1;
  }
  return bytes.npos;
}

void ProbeJpeg(std::string_view bytes, ImageProbe* probe) {
  probe->format = "JPEG";
  std::set<std::uint32_t> announced, begun;  // components
  bool has_pixels = false, progressive = false;
  std::size_t at = 2;
  for (;;) {
    at = FindMarker(bytes, at);
    if (at == bytes.npos) {
      probe->problem =
          Str("the JPEG is truncated: no end marker in its ", bytes.size(), " bytes");
      return;
    }
    const std::uint32_t marker = Byte(bytes, at - 1);
    if (marker == 0xD9) break;                                           // EOI
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) continue;  // no length
    if (at + 2 > bytes.size()) continue;
    const std::size_t length = Short(bytes, at);
    const bool is_frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 &&
                          marker != 0xC8 && marker != 0xCC;
    if (is_frame && at + 8 <= bytes.size()) {
      probe->height = Short(bytes, at + 3);
      probe->width = Short(bytes, at + 5);
      probe->channels = Byte(bytes, at + 7) == 1 ? 1 : 3;  // CMYK becomes colour
      progressive = marker % 4 == 2;
      for (std::size_t i = at + 8; i < bytes.size() && i + 3 <= at + length; i += 3) {
        announced.insert(Byte(bytes, i));
      }
    }
    if (marker == 0xDA && at + length <= bytes.size()) {
      has_pixels = true;
      // Later scans of a progressive JPEG refine, and may be left out by its maker.
      const std::size_t behind = at + length - std::min<std::size_t>(length, 3);
      const bool refines = progressive && Byte(bytes, behind) > 0;
      for (std::size_t i = at + 3; !refines && i + 2 <= behind; i += 2) {
        begun.insert(Byte(bytes, i));
      }
    }
    at += length;
  }
  if (!has_pixels) {
    probe->problem = "the JPEG has no image data";
  } else if (!std::ranges::includes(begun, announced)) {
    probe->problem = Str("the JPEG is incomplete: it announces ", announced.size(),
                         " channel(s) but has the data of ", begun.size());
  }
}

void ProbePng(std::string_view bytes, ImageProbe* probe) {
  probe->format = "PNG";
  if (bytes.size() >= 24) {
    probe->width = Long(bytes, 16);
    probe->height = Long(bytes, 20);
  }
  // A chunk is a length, a type, that many bytes and a checksum.
  std::size_t at = 8;
  while (at + 12 <= bytes.size()) {
    const std::size_t length = Long(bytes, at);
    if (bytes.substr(at + 4, 4) == "IEND") return;
    at += 12 + length;
  }
  probe->problem =
      Str("the PNG is truncated: no end chunk in its ", bytes.size(), " bytes");
}

}  // namespace

ImageProbe ProbeImage(std::string_view bytes) {
  using namespace std::string_view_literals;
  ImageProbe probe;
  if (bytes.starts_with("\xff\xd8"sv)) {
    ProbeJpeg(bytes, &probe);
  } else if (bytes.starts_with("\x89PNG\r\n\x1a\n"sv)) {
    ProbePng(bytes, &probe);
  } else if (IsTiff(bytes)) {
    probe.format = "TIFF";
  } else if (bytes.starts_with("PF\n"sv) || bytes.starts_with("Pf\n"sv)) {
    probe.format = "PFM";
  } else if (bytes.starts_with("#?"sv)) {
    probe.format = "HDR";
  }
  return probe;
}

}  // namespace caffe
