// Memory of LibTorch's tensors that is kept from one to the next. A training step takes and gives back tensors of
// megabytes; the C library hands such pieces back to the system each time, and the system clears every page of them when
// they are touched again.
#pragma once

#include <cstddef>

namespace rscvi {

// While one lives, tensors on the CPU take pieces of 64 KiB and more from those that others gave back. Up to 256 MiB are
// kept; the last scope to go gives them to the system. Tensors may outlive it. For any number of threads.
class KeptMemory {
 public:
  KeptMemory();
  ~KeptMemory();
  KeptMemory(const KeptMemory&) = delete;
  KeptMemory& operator=(const KeptMemory&) = delete;

  // Bytes that wait to be used again.
  static std::size_t waiting();
};

}  // namespace rscvi
