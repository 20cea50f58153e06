// How long work tells the outside world where it is, and learns that it should stop.
#pragma once

#include <cstdint>

namespace rscvi {

struct EpochReport {
  std::int64_t epoch = 0, n_epochs = 0;  // epochs done, of how many
  double loss = 0;                       // mean training loss of that epoch
};

class Monitor {
 public:
  virtual ~Monitor() = default;
  virtual void on_epoch(const EpochReport& report) = 0;
  // Asked between minibatches; true ends the work there, with everything done so far kept.
  virtual bool should_stop() = 0;
};

}  // namespace rscvi
