// A file that is gone when the test ends.
#pragma once

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace rscvi::test {

class TemporaryFile {
 public:
  TemporaryFile() {
    static int n = 0;
    path_ = (std::filesystem::temp_directory_path() /
             ("rscvi_test_" + std::to_string(reinterpret_cast<std::uintptr_t>(&n)) + "_" + std::to_string(n++)))
                .string();
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::string& path() const { return path_; }

  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  void set_bytes(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary) << bytes;
  }

 private:
  std::string path_;
};

}  // namespace rscvi::test
