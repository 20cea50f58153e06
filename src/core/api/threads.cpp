#include "core/api/threads.h"

#include "core/api/tensors.h"
#include "core/base/cpu_grant.h"

namespace rscvi::api {

int granted_threads() {
  return translate_errors([] { return rscvi::granted_threads(); });
}

Threads compute_with_threads(int n) {
  return translate_errors([n] {
    const Threads before = current_threads();
    rscvi::compute_with_threads(n);
    return before;
  });
}

void set_threads(const Threads& threads) {
  translate_errors([&threads] { rscvi::set_threads(threads); });
}

}  // namespace rscvi::api
