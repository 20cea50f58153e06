#include "core/base/cpu_grant.h"

#include <filesystem>
#include <fstream>

#include "test.h"

using namespace rscvi;
namespace fs = std::filesystem;

namespace {

// A folder with made-up files of /proc and /sys, gone when the test ends.
class Machine {
 public:
  Machine() {
    static int n = 0;
    root_ = fs::temp_directory_path() /
            ("rscvi_machine_" + std::to_string(reinterpret_cast<std::uintptr_t>(&n)) + "_" + std::to_string(n++));
    fs::create_directories(root_);
  }
  ~Machine() { fs::remove_all(root_); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  Machine& file(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
    return *this;
  }
  Machine& siblings(int cpu, const std::string& list) {
    return file("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list", list + "\n");
  }
  std::string root() const { return root_.string(); }

 private:
  fs::path root_;
};

Machine& two_cores_of_two_threads(Machine& machine) {
  return machine.siblings(0, "0,2").siblings(1, "1,3").siblings(2, "0,2").siblings(3, "1,3");
}

}  // namespace

TEST_CASE("cpu grant: lists of CPUs as Linux writes them") {
  CHECK(parse_cpu_list("0-2,8\n") == std::vector<int>{0, 1, 2, 8});
  CHECK(parse_cpu_list("5") == std::vector<int>{5});
  CHECK(parse_cpu_list("").empty());
  CHECK(parse_cpu_list("two").empty());
  CHECK(parse_cpu_list("0-").empty());
  CHECK(parse_cpu_list("-3").empty());
  CHECK(parse_cpu_list("0-99999999999").empty());
}

TEST_CASE("cpu grant: the first number of OMP_NUM_THREADS' list") {
  CHECK(parse_thread_count("4") == 4);
  CHECK(parse_thread_count(" 4,2") == 4);
  CHECK(parse_thread_count("4 , 2") == 4);
  CHECK_FALSE(parse_thread_count("").has_value());
  CHECK_FALSE(parse_thread_count("0").has_value());
  CHECK_FALSE(parse_thread_count("-1").has_value());
  CHECK_FALSE(parse_thread_count("many").has_value());
}

TEST_CASE("cpu grant: hardware threads of one core count once") {
  Machine machine;
  two_cores_of_two_threads(machine);
  CHECK(physical_cores(machine.root(), {0, 1, 2, 3}) == 2);
  CHECK(physical_cores(machine.root(), {0, 2}) == 1);
  CHECK(physical_cores(machine.root(), {2, 3}) == 2);
  CHECK(physical_cores(machine.root(), {0, 7, 9}) == 3);  // nothing is known of 7 and 9
}

TEST_CASE("cpu grant: quotas of cgroups, version 2") {
  Machine machine;
  machine.file("proc/self/cgroup", "0::/user.slice/job\n");
  CHECK_FALSE(cgroup_cpus(machine.root()).has_value());
  machine.file("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n");
  CHECK_FALSE(cgroup_cpus(machine.root()).has_value());
  machine.file("sys/fs/cgroup/user.slice/job/cpu.max", "350000 100000\n");
  CHECK(cgroup_cpus(machine.root()) == 3);
  machine.file("sys/fs/cgroup/user.slice/cpu.max", "200000 100000\n");  // the group around it is narrower
  CHECK(cgroup_cpus(machine.root()) == 2);
  machine.file("sys/fs/cgroup/user.slice/job/cpu.max", "20000 100000\n");
  CHECK(cgroup_cpus(machine.root()) == 1);
}

TEST_CASE("cpu grant: quotas of cgroups, version 1") {
  Machine machine;
  machine.file("proc/self/cgroup", "4:memory:/job\n3:cpuset:/job\n2:cpu,cpuacct:/job\n1:name=systemd:/\n");
  machine.file("sys/fs/cgroup/cpuset/job/cpu.cfs_quota_us", "100000\n");  // not where quotas stand
  CHECK_FALSE(cgroup_cpus(machine.root()).has_value());
  machine.file("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
  machine.file("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "50000\n");
  CHECK_FALSE(cgroup_cpus(machine.root()).has_value());
  machine.file("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "250000\n");
  CHECK(cgroup_cpus(machine.root()) == 5);
}

TEST_CASE("cpu grant: a container that sees the host's path but its own files") {
  Machine machine;
  machine.file("proc/self/cgroup", "2:cpu,cpuacct:/docker/0123abc\n");
  machine.file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000\n");
  machine.file("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  CHECK(cgroup_cpus(machine.root()) == 1);
}

TEST_CASE("cpu grant: the narrowest of cores, quota and environment") {
  Machine machine;
  two_cores_of_two_threads(machine).siblings(4, "4").siblings(5, "5");
  const std::string root = machine.root();
  const std::vector<int> cpus = {0, 1, 2, 3, 4, 5};
  CHECK(granted_threads(root, cpus, "", "") == 4);
  CHECK(granted_threads(root, cpus, "3", "") == 3);
  CHECK(granted_threads(root, cpus, "16", "") == 4);
  CHECK(granted_threads(root, cpus, "3,1", "2") == 2);
  CHECK(granted_threads(root, cpus, "nonsense", "0") == 4);
  machine.file("proc/self/cgroup", "0::/\n").file("sys/fs/cgroup/cpu.max", "200000 100000\n");
  CHECK(granted_threads(root, cpus, "3", "") == 2);
  CHECK(granted_threads(root, cpus, "1", "") == 1);
}

TEST_CASE("cpu grant: this machine grants at least one thread, and no more than it has CPUs for") {
  CHECK(granted_threads() >= 1);
  const std::vector<int> cpus = allowed_cpus();
  if (!cpus.empty()) CHECK(granted_threads() <= static_cast<int>(cpus.size()));
}
