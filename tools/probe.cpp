// What configure compiles, links and runs against a LibTorch to see whether it is usable.
//
// It multiplies two matrices (BLAS is there), takes a std::string from the library (both sides agree on the C++ ABI)
// and prints "key=value" lines for configure to read. It includes the smallest headers that do this, to compile in
// seconds.
#include <ATen/core/Tensor.h>
#include <ATen/Version.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <torch/version.h>

#include <fstream>
#include <iostream>
#include <string>

namespace {

// The file of the BLAS that is loaded, from the kernel's list of mapped files; empty where there is no such list, or
// where BLAS is linked into LibTorch itself.
std::string loaded_blas() {
  std::ifstream maps("/proc/self/maps");
  std::string line, reference;
  while (std::getline(maps, line)) {
    const auto path_start = line.find('/');
    if (path_start == std::string::npos) continue;
    const std::string path = line.substr(path_start);
    const std::string file = path.substr(path.rfind('/') + 1);
    if (file.find("openblas") != std::string::npos || file.find("libmkl") == 0) return path;
    if (file.find("libblas") == 0) reference = path;
  }
  return reference;
}

// LibTorch's own word on the BLAS it was built for, such as "mkl".
std::string declared_blas() {
  const std::string config = at::show_config();
  const std::string key = "BLAS_INFO=";
  const auto start = config.find(key);
  if (start == std::string::npos) return "unknown";
  const auto value = start + key.size();
  return config.substr(value, config.find_first_of(", \n", value) - value);
}

}  // namespace

int main() {
  const at::Tensor a = at::ones({2, 3});
  const float product = at::mm(a, a.t()).data_ptr<float>()[0];
  if (product != 3.0f) {
    std::cerr << "a matrix product gave " << product << " instead of 3\n";
    return 1;
  }
  const std::string blas = loaded_blas();
  std::cout << "version=" << TORCH_VERSION << "\n"
            << "blas=" << (blas.empty() ? declared_blas() + " (inside LibTorch)" : blas) << "\n";
  return 0;
}
