// The kernels as a library for the tests (cuda/twin.hpp): those of cuda/language.cu for one size of a head, those of
// cuda/spelling.cu with NCZ_SPELLING.
#ifdef NCZ_HEAD_DIM
#include "language.cu"
#endif
#ifdef NCZ_SPELLING
#include "spelling.cu"
#endif

namespace {

struct Kernel {
  const char* name;
  void (*launch)(void** arguments);
};

#define NCZ_TWIN_OF(name) {#name, [](void** arguments) { twin::launch(ncz::name, arguments); }}
const Kernel kKernels[] = {
#ifdef NCZ_SPELLING
    NCZ_TWIN_OF(begin_spelling), NCZ_TWIN_OF(spell), NCZ_TWIN_OF(read_spelling),
#endif
#ifdef NCZ_HEAD_DIM
    NCZ_TWIN_OF(embed),      NCZ_TWIN_OF(make_columns), NCZ_TWIN_OF(gate_columns), NCZ_TWIN_OF(multiply_many),
    NCZ_TWIN_OF(multiply_few), NCZ_TWIN_OF(place),      NCZ_TWIN_OF(attend_few),
#if NCZ_HEAD_DIM <= 128
    NCZ_TWIN_OF(attend_many),
#endif
    NCZ_TWIN_OF(intervals),  NCZ_TWIN_OF(admit),        NCZ_TWIN_OF(decode),
#endif
};

}  // namespace

// 0; 1 if there is no such kernel, 2 if it wants more shared memory than a GPU has. grid: three numbers; shared: bytes.
extern "C" int twin_launch(const char* name, const unsigned* grid, unsigned threads, unsigned shared, void** arguments) {
  twin::grid = {grid[0], grid[1], grid[2]};
  twin::block = {threads, 1, 1};
  // Nothing on a GPU clears shared memory, so what it holds here is nothing to rely on.
  alignas(64) static unsigned char dynamic_shared[256 << 10];
  if (shared > sizeof dynamic_shared) return 2;
  std::memset(dynamic_shared, 0x7f, shared);
  twin::shared = dynamic_shared;
  for (const Kernel& kernel : kKernels)
    if (!std::strcmp(kernel.name, name)) return kernel.launch(arguments), 0;
  return 1;
}
