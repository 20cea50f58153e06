// Memory of LibTorch's tensors that is kept from one to the next. A training step takes and gives back tensors of
// megabytes; the C library hands such pieces back to the system each time, and the system clears every page of them
// when they are touched again.
#pragma once

#include <cstddef>

namespace rscvi {

// While one lives, tensors on the CPU take pieces of 64 KiB and more from those that others gave back. Up to 256 MiB
// wait, what comes then goes to the system, and when the last scope goes, all of it does. Tensors may outlive it, and
// any thread may make and drop them; but the first scope begins, and the last one ends, while no other thread does.
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
