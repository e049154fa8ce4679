#ifndef TMP_bf16
#define TMP_bf16
struct __nv_bfloat16 { float v = 0; __nv_bfloat16() = default; __nv_bfloat16(float f) : v(f) {} explicit __nv_bfloat16(double f) : v((float)f) {} operator float() const { return v; } };
#endif
