#include "isa.hpp"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace ncz {

#define NCZ_DECLARE_CORE(name) namespace name { extern const Core kCore; }
NCZ_PATHS(NCZ_DECLARE_CORE)
#undef NCZ_DECLARE_CORE

namespace {

struct Path {
  const Core* core;
  bool available;
};

const Core& choose() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                        __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const Path paths[] = {{&scalar::kCore, true},
                        {&sse2::kCore, true},
                        {&avx2::kCore, has_avx2},
                        {&avx512::kCore, has_avx512},
                        {&vnni::kCore, has_avx512 && __builtin_cpu_supports("avx512vnni")}};
#elif defined(__aarch64__)
  const Path paths[] = {{&scalar::kCore, true}, {&neon::kCore, true}};
#else
  const Path paths[] = {{&scalar::kCore, true}};
#endif
  const char* named = std::getenv("NCZIP_ISA");
  const std::string ceiling = named ? named : "";
  const Core* best = paths[0].core;
  std::string names;
  for (const Path& path : paths) {
    if (path.available) best = path.core;
    if (ceiling == path.core->name) return *best;
    names += std::string(names.empty() ? "" : ", ") + path.core->name;
  }
  if (!ceiling.empty()) throw std::invalid_argument("NCZIP_ISA is " + ceiling + ", which is none of " + names);
  return *best;
}

}  // namespace

const Core& core() {
  static const Core& chosen = choose();
  return chosen;
}

}  // namespace ncz
