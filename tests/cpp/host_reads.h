// How often the host reads a value out of a tensor: on a GPU, each time it waits for all that it asked of it before.
#pragma once

#include <ATen/record_function.h>

#include <functional>
#include <string>

#include "test.h"

namespace rscvi::test {

inline std::int64_t& host_reads_so_far() {
  static std::int64_t n = 0;
  return n;
}

// By LibTorch's own account of the operators that `work` calls, on this thread and in backward passes from it.
inline std::int64_t host_reads(const std::function<void()>& work) {
  host_reads_so_far() = 0;
  const auto count = [](const at::RecordFunction& function) -> std::unique_ptr<at::ObserverContext> {
    const std::string name = function.name();
    // The first is what item() comes down to; the sizes of the others' results depend on values.
    for (const char* reading : {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select"}) {
      if (name == reading) ++host_reads_so_far();
    }
    return nullptr;
  };
  const auto handle =
      at::addThreadLocalCallback(at::RecordFunctionCallback(count).scopes({at::RecordScope::FUNCTION}));
  work();
  at::removeCallback(handle);
  return host_reads_so_far();
}

}  // namespace rscvi::test
