// Threads, as the glue sees them.
#pragma once

#include "core/base/threads.h"

namespace rscvi::api {

// What this process computes with unless told otherwise, see core/base/cpu_grant.h.
int granted_threads();

// See core/base/threads.h. compute_with_threads() gives the numbers that were in force before.
Threads compute_with_threads(int n);
void set_threads(const Threads& threads);

}  // namespace rscvi::api
