// A data set on a device: all counts as compressed rows, with what cells come with. Training on a GPU visits every cell
// in every epoch: this way nothing but the numbers of a minibatch's cells has to travel. Untested on a GPU.
#pragma once

#include <memory>
#include <vector>

#include "core/data/device_rows.h"
#include "core/data/minibatch.h"

namespace rscvi {

class DeviceCells {
 public:
  // Null if the counts take more than `largest` bytes (8 an entry that is stored), or more than the device has free.
  // The source is read twice, block by block: to count, and to copy. InvalidArgument if it has no counts of that kind.
  static std::shared_ptr<const DeviceCells> load(const Dataset& dataset, CountsKind kind, c10::Device device,
                                                 std::int64_t largest);

  // What gather_minibatch() makes of these cells, to the bit; the host does not wait for the device.
  Minibatch gather(const std::int64_t* cells, std::int64_t n) const;

 private:
  DeviceCells() = default;

  std::vector<std::int64_t> indptr_;  // the host's copy: how many entries a minibatch will have
  DeviceRows rows_;
  Minibatch all_;  // of all cells, without their counts
};

// From where the cells are: those on the device if there are any, else sent there.
Minibatch gather_minibatch(const DeviceCells* on_device, const Dataset& dataset, const std::int64_t* cells,
                           std::int64_t n, CountsKind kind, c10::Device device);

}  // namespace rscvi
