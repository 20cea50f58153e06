#include "core/base/cpu_grant.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __linux__
#include <sched.h>
#endif
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

namespace rscvi {

namespace {

constexpr int max_cpu = 1 << 16;  // no list or count is believed beyond

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// The whole number that [begin, end) starts with, and where it ends; none if there is none.
std::optional<std::pair<long long, const char*>> leading_number(const char* begin, const char* end) {
  long long value = 0;
  const auto [rest, error] = std::from_chars(begin, end, value);
  if (error != std::errc()) return std::nullopt;
  return std::make_pair(value, rest);
}

std::optional<long long> whole_number(const std::string& text) {
  const auto number = leading_number(text.data(), text.data() + text.size());
  if (!number || number->second != text.data() + text.size()) return std::nullopt;
  return number->first;
}

std::optional<int> cpus_of_quota(const std::string& quota, const std::string& period) {
  const auto time = whole_number(quota), of = whole_number(period);
  if (!time || !of || *time <= 0 || *of <= 0) return std::nullopt;  // "max" or -1: no quota
  return static_cast<int>(std::clamp<long long>(*time / *of, 1, max_cpu));
}

void narrow(std::optional<int>& limit, std::optional<int> other) {
  if (other) limit = std::min(limit.value_or(*other), *other);
}

// The narrowest quota of the cgroup `path` and of those around it, up to `mount`. In a container the path may be the
// host's, of which only the end, or nothing, exists below the mount: what is missing has no say.
template <class Quota>
std::optional<int> narrowest(const std::string& mount, std::string path, Quota&& quota) {
  std::optional<int> limit;
  while (!path.empty() && path != "/") {
    narrow(limit, quota(mount + path));
    path.erase(path.find_last_of('/'));
  }
  narrow(limit, quota(mount));
  return limit;
}

std::optional<int> quota_v1(const std::string& group) {
  return cpus_of_quota(first_line(group + "/cpu.cfs_quota_us"), first_line(group + "/cpu.cfs_period_us"));
}

std::optional<int> quota_v2(const std::string& group) {
  std::istringstream line(first_line(group + "/cpu.max"));
  std::string quota, period;
  line >> quota >> period;
  return cpus_of_quota(quota, period);
}

bool has_item(const std::string& list, const std::string& item) {
  return ("," + list + ",").find("," + item + ",") != std::string::npos;
}

#ifdef __APPLE__
// Cores that compute fast, where there are two sorts.
int apple_cores() {
  for (const char* name : {"hw.perflevel0.physicalcpu", "hw.physicalcpu"}) {
    int count = 0;
    std::size_t size = sizeof count;
    if (sysctlbyname(name, &count, &size, nullptr, 0) == 0 && count > 0) return count;
  }
  return 0;
}
#endif

int cores_of_machine() {
#ifdef __APPLE__
  if (const int cores = apple_cores()) return cores;
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::vector<int> parse_cpu_list(const std::string& text) {
  std::vector<int> cpus;
  std::istringstream in(text);
  for (std::string item; std::getline(in, item, ',');) {
    while (!item.empty() && (item.back() == '\n' || item.back() == ' ')) item.pop_back();
    const auto dash = item.find('-');
    const auto first = whole_number(item.substr(0, dash));
    const auto last = dash == std::string::npos ? first : whole_number(item.substr(dash + 1));
    if (!first || !last || *first < 0 || *last >= max_cpu) return {};
    for (long long cpu = *first; cpu <= *last; ++cpu) cpus.push_back(static_cast<int>(cpu));
  }
  return cpus;
}

std::optional<int> parse_thread_count(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return std::nullopt;
  const auto number = leading_number(text.data() + begin, text.data() + text.size());
  if (!number || number->first < 1) return std::nullopt;
  return static_cast<int>(std::min<long long>(number->first, max_cpu));
}

int physical_cores(const std::string& root, const std::vector<int>& cpus) {
  std::set<int> cores;  // each by the first of its hardware threads
  for (const int cpu : cpus) {
    const std::string folder = root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const std::vector<int> siblings = parse_cpu_list(first_line(folder + "thread_siblings_list"));
    cores.insert(siblings.empty() ? cpu : siblings.front());
  }
  return static_cast<int>(cores.size());
}

std::optional<int> cgroup_cpus(const std::string& root) {
  std::optional<int> limit;
  std::ifstream in(root + "/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {  // number:controllers:path
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    const std::string mount = root + "/sys/fs/cgroup";
    if (controllers.empty()) {
      narrow(limit, narrowest(mount, path, quota_v2));
    } else if (has_item(controllers, "cpu")) {
      narrow(limit, narrowest(mount + "/" + controllers, path, quota_v1));
      narrow(limit, narrowest(mount + "/cpu", path, quota_v1));
    }
  }
  return limit;
}

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
#ifdef _OPENMP
  // With OMP_PROC_BIND, OpenMP has bound this very thread to one place, and the scheduler's mask no longer tells.
  for (int place = 0; place < omp_get_num_places(); ++place) {
    const std::size_t so_far = cpus.size();
    cpus.resize(so_far + omp_get_place_num_procs(place));
    omp_get_place_proc_ids(place, cpus.data() + so_far);
  }
  if (!cpus.empty()) return cpus;
#endif
#ifdef __linux__
  cpu_set_t mask;  // of 1,024 CPUs: where there are more, the call fails, and hardware_concurrency() has to do
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &mask)) cpus.push_back(cpu);
    }
  }
#endif
  return cpus;
}

int granted_threads(const std::string& root, const std::vector<int>& cpus, const std::string& omp_num_threads,
                    const std::string& omp_thread_limit) {
  std::optional<int> threads = cpus.empty() ? cores_of_machine() : physical_cores(root, cpus);
  narrow(threads, cgroup_cpus(root));
  narrow(threads, parse_thread_count(omp_num_threads));
  narrow(threads, parse_thread_count(omp_thread_limit));
  return *threads;
}

int granted_threads() {
  return granted_threads("/", allowed_cpus(), environment("OMP_NUM_THREADS"), environment("OMP_THREAD_LIMIT"));
}

}  // namespace rscvi
