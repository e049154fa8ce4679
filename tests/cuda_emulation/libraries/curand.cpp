// cuRAND's generators. Number i of a sequence is a function of the seed and i, so that
// an offset costs nothing; every type of generator has the same function.

#include <curand.h>

#include <cmath>
#include <cstdint>

#include "library_call.h"

struct curandGenerator_st {
  int device;
  bool is_of_host;
  cudaStream_t stream = nullptr;
  std::uint64_t seed = 0;
  std::uint64_t offset = 0;
  /// What comes next.
  std::uint64_t position = 0;
};

namespace {

/// 64 random bits: two rounds of splitmix64's finaliser (Steele et al., OOPSLA 2014),
/// of the seed and then of the place in its sequence.
std::uint64_t Bits(std::uint64_t seed, std::uint64_t position) {
  const auto mix = [](std::uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  };
  return mix(mix(seed) + position * 0x9e3779b97f4a7c15u);
}

/// In (0, 1]: a multiple of 2^-53.
double Uniform(std::uint64_t seed, std::uint64_t position) {
  return static_cast<double>((Bits(seed, position) >> 11) + 1) * 0x1p-53;
}

/// Box and Muller's pair of normal numbers from a pair of uniform ones.
double Normal(std::uint64_t seed, std::uint64_t position) {
  const std::uint64_t first = position & ~std::uint64_t{1};
  const double radius = std::sqrt(-2 * std::log(Uniform(seed, first)));
  const double angle = 2 * M_PI * Uniform(seed, first + 1);
  return radius * (position == first ? std::cos(angle) : std::sin(angle));
}

curandStatus_t Create(curandGenerator_t* generator, curandRngType_t type,
                      bool is_of_host) {
  if (!generator || type < CURAND_RNG_PSEUDO_DEFAULT ||
      type > CURAND_RNG_PSEUDO_PHILOX4_32_10) {
    return CURAND_STATUS_TYPE_ERROR;
  }
  *generator = new curandGenerator_st{cuda_emulation::CurrentDevice(), is_of_host};
  return CURAND_STATUS_SUCCESS;
}

/// output[i] = function(seed, place of i in the sequence).
template <typename T, typename Function>
curandStatus_t Generate(const char* name, curandGenerator_t generator, T* output,
                        std::size_t count, Function function) {
  if (!generator) return CURAND_STATUS_NOT_INITIALIZED;
  const std::uint64_t seed = generator->seed;
  const std::uint64_t first = generator->position;
  const auto work = [=] {
    for (std::size_t i = 0; i < count; ++i) {
      output[i] = static_cast<T>(function(seed, first + i));
    }
  };
  if (generator->is_of_host) {
    work();
  } else {
    if (!cuda_emulation::IsCurrent(name, generator->device) ||
        !cuda_emulation::IsOnDevice(name, "outputPtr", output, count * sizeof(T)) ||
        cuda_emulation::Enqueue(generator->stream, work, name) != cudaSuccess) {
      return CURAND_STATUS_LAUNCH_FAILURE;
    }
  }
  generator->position += count;
  return CURAND_STATUS_SUCCESS;
}

/// Pairs begin at even places of the sequence.
template <typename T>
curandStatus_t GenerateNormal(const char* name, curandGenerator_t generator, T* output,
                              std::size_t count, T mean, T deviation) {
  if (!generator) return CURAND_STATUS_NOT_INITIALIZED;
  if (count % 2 != 0) return CURAND_STATUS_LENGTH_NOT_MULTIPLE;
  generator->position += generator->position % 2;
  return Generate(name, generator, output, count,
                  [=](std::uint64_t seed, std::uint64_t position) {
                    return mean + deviation * Normal(seed, position);
                  });
}

}  // namespace

curandStatus_t curandGetVersion(int* version) {
  if (!version) return CURAND_STATUS_OUT_OF_RANGE;
  *version = CURAND_VERSION;
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandGetProperty(libraryPropertyType type, int* value) {
  switch (type) {
    case MAJOR_VERSION:
      *value = CURAND_VER_MAJOR;
      return CURAND_STATUS_SUCCESS;
    case MINOR_VERSION:
      *value = CURAND_VER_MINOR;
      return CURAND_STATUS_SUCCESS;
    case PATCH_LEVEL:
      *value = CURAND_VER_PATCH;
      return CURAND_STATUS_SUCCESS;
  }
  return CURAND_STATUS_OUT_OF_RANGE;
}

curandStatus_t curandCreateGenerator(curandGenerator_t* generator, curandRngType_t type) {
  return Create(generator, type, /*is_of_host=*/false);
}

curandStatus_t curandCreateGeneratorHost(curandGenerator_t* generator,
                                         curandRngType_t type) {
  return Create(generator, type, /*is_of_host=*/true);
}

curandStatus_t curandDestroyGenerator(curandGenerator_t generator) {
  if (!generator) return CURAND_STATUS_NOT_INITIALIZED;
  delete generator;
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandSetStream(curandGenerator_t generator, cudaStream_t stream) {
  if (!generator) return CURAND_STATUS_NOT_INITIALIZED;
  if (!cuda_emulation::IsStreamOf(stream, generator->device)) {
    return CURAND_STATUS_INITIALIZATION_FAILED;
  }
  generator->stream = stream;
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t generator,
                                                  unsigned long long seed) {
  if (!generator) return CURAND_STATUS_NOT_INITIALIZED;
  generator->seed = seed;
  generator->position = generator->offset;
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandSetGeneratorOffset(curandGenerator_t generator,
                                        unsigned long long offset) {
  if (!generator) return CURAND_STATUS_NOT_INITIALIZED;
  generator->offset = offset;
  generator->position = offset;
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandGenerate(curandGenerator_t generator, unsigned int* output,
                              std::size_t count) {
  return Generate("curandGenerate", generator, output, count,
                  [](std::uint64_t seed, std::uint64_t position) {
                    return Bits(seed, position) >> 32;
                  });
}

curandStatus_t curandGenerateUniform(curandGenerator_t generator, float* output,
                                     std::size_t count) {
  return Generate("curandGenerateUniform", generator, output, count, Uniform);
}

curandStatus_t curandGenerateUniformDouble(curandGenerator_t generator, double* output,
                                           std::size_t count) {
  return Generate("curandGenerateUniformDouble", generator, output, count, Uniform);
}

curandStatus_t curandGenerateNormal(curandGenerator_t generator, float* output,
                                    std::size_t count, float mean, float deviation) {
  return GenerateNormal("curandGenerateNormal", generator, output, count, mean,
                        deviation);
}

curandStatus_t curandGenerateNormalDouble(curandGenerator_t generator, double* output,
                                          std::size_t count, double mean,
                                          double deviation) {
  return GenerateNormal("curandGenerateNormalDouble", generator, output, count, mean,
                        deviation);
}
