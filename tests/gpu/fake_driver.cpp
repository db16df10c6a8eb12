// NVIDIA's driver as far as nczip calls it, with the kernels' twin for a GPU: what brings kernels and arguments to a GPU
// can be tried without one. Memory is the host's; work is done at once; a graph is a list of launches.
//
// FAKE_GPU=old, none, small or ancient makes it a GPU that is too old, no GPU at all, one of little memory, or an old
// driver.
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "twin.cpp"

namespace {

constexpr int kOk = 0, kInvalid = 1, kOutOfMemory = 2, kNotFound = 500;
constexpr size_t kMemory = 64 << 20;

struct Launched {
  std::string name;
  unsigned grid[3], threads, shared;
  std::vector<std::vector<unsigned char>> values;
};
using Graph = std::vector<Launched>;

size_t used;
Graph* capturing;
std::vector<std::pair<unsigned long long, size_t>> held;

bool is(const char* what) {
  const char* const chosen = std::getenv("FAKE_GPU");
  return chosen && !std::strcmp(chosen, what);
}
size_t memory() { return is("small") ? 1 << 17 : kMemory; }

// Sizes of each kernel's parameters, as a driver reads them from the module.
template <typename... Arguments>
std::vector<size_t> sizes(void (*)(Arguments...)) {
  return {sizeof(Arguments)...};
}
std::vector<size_t> sizes_of(const std::string& name) {
#define NCZ_SIZES(kernel) \
  if (name == #kernel) return sizes(ncz::kernel);
  NCZ_SIZES(embed) NCZ_SIZES(make_columns) NCZ_SIZES(gate_columns) NCZ_SIZES(multiply_many) NCZ_SIZES(multiply_few)
  NCZ_SIZES(begin_spelling) NCZ_SIZES(spell) NCZ_SIZES(read_spelling)
  NCZ_SIZES(place) NCZ_SIZES(attend_few) NCZ_SIZES(attend_many) NCZ_SIZES(intervals) NCZ_SIZES(admit) NCZ_SIZES(decode)
  return {};
}

int perform(const Launched& one) {
  std::vector<void*> arguments;
  for (const auto& value : one.values) arguments.push_back(const_cast<unsigned char*>(value.data()));
  return twin_launch(one.name.c_str(), one.grid, one.threads, one.shared, arguments.data()) ? kInvalid : kOk;
}

}  // namespace

extern "C" {

int cuInit(unsigned) { return kOk; }
int cuDriverGetVersion(int* version) { return *version = is("ancient") ? 11040 : 12090, kOk; }
int cuDeviceGetCount(int* count) { return *count = is("none") ? 0 : 1, kOk; }
int cuDeviceGet(int* device, int number) { return *device = number, kOk; }
int cuDeviceGetName(char* name, int size, int) { return std::strncpy(name, "Fake GPU", static_cast<size_t>(size)), kOk; }
int cuDeviceGetAttribute(int* value, int key, int) {
  switch (key) {
    case 75: *value = is("old") ? 7 : 9; break;       // compute capability, major
    case 76: *value = 0; break;                       // and minor
    case 97: *value = 227 << 10; break;               // shared memory of a block, where asked for
    case 16: *value = 132; break;                     // multiprocessors
    case 13: *value = 1980000; break;                 // kHz
    case 36: *value = 2619000; break;                 // kHz, of the memory
    case 37: *value = 5120; break;                    // bits, of its bus
    default: return kInvalid;
  }
  return kOk;
}
int cuDevicePrimaryCtxRetain(void** context, int) { return *context = &used, kOk; }
int cuCtxSetCurrent(void*) { return kOk; }
int cuStreamCreate(void** stream, unsigned) { return *stream = &capturing, kOk; }
int cuStreamSynchronize(void*) { return kOk; }
int cuMemGetInfo(size_t* free, size_t* total) { return *free = memory() - used, *total = memory(), kOk; }
int cuMemAlloc(unsigned long long* address, size_t size) {
  if (!size) return kInvalid;
  if (used + size > memory()) return kOutOfMemory;
  *address = reinterpret_cast<unsigned long long>(std::aligned_alloc(256, (size + 255) / 256 * 256));
  std::memset(reinterpret_cast<void*>(*address), 0x7f, size);
  held.push_back({*address, size});
  used += size;
  return kOk;
}
int cuMemFree(unsigned long long address) {
  for (auto& one : held)
    if (one.first == address && address) {
      used -= one.second;
      std::free(reinterpret_cast<void*>(address));
      one = {0, 0};
      return kOk;
    }
  return kInvalid;
}
int cuMemcpyHtoDAsync(unsigned long long to, const void* from, size_t size, void*) {
  return std::memcpy(reinterpret_cast<void*>(to), from, size), kOk;
}
int cuMemcpyDtoHAsync(void* to, unsigned long long from, size_t size, void*) {
  return std::memcpy(to, reinterpret_cast<const void*>(from), size), kOk;
}
int cuModuleLoadData(void** module, const void* image) {
  return *module = &held, std::memcmp(image, "\177ELF", 4) ? kInvalid : kOk;
}
int cuModuleGetFunction(void** function, void*, const char* name) {
  if (sizes_of(name).empty()) return kNotFound;
  *function = new std::string(name);
  return kOk;
}
int cuFuncGetAttribute(int* value, int key, void*) { return *value = 448, key == 1 ? kOk : kInvalid; }
int cuFuncSetAttribute(void*, int key, int value) { return key == 8 && value <= (227 << 10) - 448 ? kOk : kInvalid; }
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned ty, unsigned tz,
                   unsigned shared, void*, void** arguments, void** extra) {
  if (ty != 1 || tz != 1 || extra || !x || y > 65535 || z > 65535 || !y || !z) return kInvalid;
  Launched one{*static_cast<std::string*>(function), {x, y, z}, threads, shared, {}};
  for (const size_t size : sizes_of(one.name)) {
    const auto* const from = static_cast<const unsigned char*>(*arguments++);
    one.values.emplace_back(from, from + size);
  }
  if (!capturing) return perform(one);
  capturing->push_back(one);
  return kOk;
}
int cuStreamBeginCapture(void*, int) { return capturing = new Graph, kOk; }
int cuStreamEndCapture(void*, void** graph) { return *graph = capturing, capturing = nullptr, kOk; }
int cuGraphInstantiateWithFlags(void** program, void* graph, unsigned long long) {
  return *program = new Graph(*static_cast<Graph*>(graph)), kOk;
}
int cuGraphDestroy(void* graph) { return delete static_cast<Graph*>(graph), kOk; }
int cuGraphExecDestroy(void* program) { return delete static_cast<Graph*>(program), kOk; }
int cuGraphLaunch(void* program, void*) {
  for (const Launched& one : *static_cast<Graph*>(program))
    if (const int error = perform(one)) return error;
  return kOk;
}
int cuEventCreate(void** event, unsigned) { return *event = &used, kOk; }
int cuEventRecord(void*, void*) { return kOk; }
int cuEventElapsedTime(float* milliseconds, void*, void*) { return *milliseconds = 0.5f, kOk; }
int cuEventDestroy(void*) { return kOk; }

// The bindings ask for every function by its name; newer versions of one have the same here.
int cuGetProcAddress_v2(const char* name, void** function, int, unsigned long long, int* status) {
  static void* const self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  *function = dlsym(self, name);
  if (status) *status = *function ? 0 : 1;
  return *function ? kOk : kNotFound;
}
}
