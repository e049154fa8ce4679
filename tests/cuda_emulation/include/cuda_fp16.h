#ifndef TMP_fp16
#define TMP_fp16
struct __half { float v = 0; __half() = default; __half(float f) : v(f) {} explicit __half(double f) : v((float)f) {} operator float() const { return v; } };
#endif
