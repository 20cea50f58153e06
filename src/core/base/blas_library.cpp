#include "core/base/blas_library.h"

#include <ATen/Context.h>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#endif

namespace rscvi {

#if defined(__unix__) || defined(__APPLE__)
namespace {

void* find_library() {
  if (at::hasMKL()) return nullptr;
  void* product = dlsym(RTLD_DEFAULT, "sgemm_");
  Dl_info where;
  if (product == nullptr || dladdr(product, &where) == 0 || where.dli_fname == nullptr) return nullptr;
  return dlopen(where.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
}

}  // namespace

void* blas_symbol(const char* name) {
  static void* library = find_library();
  return library == nullptr ? nullptr : dlsym(library, name);
}
#else
void* blas_symbol(const char*) { return nullptr; }
#endif

}  // namespace rscvi
