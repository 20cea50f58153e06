// How many threads this process may keep busy, from what the system says of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace rscvi {

// CPUs of a list as Linux writes it: "0-2,8" is {0, 1, 2, 8}. Empty if the text is no such list.
std::vector<int> parse_cpu_list(const std::string& text);

// The first number of a list such as OMP_NUM_THREADS has, one number a nesting level: "4,2" is 4. None if the text does
// not begin with a whole number of at least 1.
std::optional<int> parse_thread_count(const std::string& text);

// Cores that `cpus` belong to; two hardware threads of one core count once, since products of matrices keep all of its
// arithmetic units busy with one. A CPU whose siblings are unknown counts as a core. `root`: the folder in which sys/
// and proc/ stand, "/" but for tests.
int physical_cores(const std::string& root, const std::vector<int>& cpus);

// CPUs that the quotas of this process's cgroup and of those around it leave it (version 1, 2 or both), rounded down,
// since a thread more is throttled, but at least 1. None if there is no quota.
std::optional<int> cgroup_cpus(const std::string& root);

// CPUs that the scheduler may run this process on; empty where the system does not tell.
std::vector<int> allowed_cpus();

// Physical cores, but no more than the cgroup's quota and the two variables of the environment allow (empty: not set).
int granted_threads(const std::string& root, const std::vector<int>& cpus, const std::string& omp_num_threads,
                    const std::string& omp_thread_limit);

// The same for this process: what it computes with unless told otherwise. At least 1.
int granted_threads();

}  // namespace rscvi
