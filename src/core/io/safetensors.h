// Safetensors files: 8 bytes with the length of the header, the header, the data. Numbers are little-endian.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "core/io/safetensors_header.h"

namespace rscvi::io {

// A tensor to write; `data` is row-major and must live until it is written.
struct TensorSource {
  std::string name;
  Dtype dtype;
  std::vector<std::int64_t> shape;
  const void* data;
};

// The header keeps the order of `tensors`; their bytes come with the widest types first, so that each is aligned to its
// size, which readers that map the file into memory need. InvalidArgument for names that are not unique or not UTF-8;
// WriteError.
void write_safetensors(const std::string& path, const std::vector<TensorSource>& tensors,
                       const Metadata& metadata = {});

// A file to read from. Everything that the header claims has been checked against the size of the file.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);  // BadFile

  const Header& header() const { return header_; }
  const TensorInfo& find(const std::string& name) const;  // BadFile if there is none

  // `n` bytes from byte `first` of a tensor.
  void read(const TensorInfo& tensor, std::uint64_t first, void* to, std::size_t n);

  // All values of a tensor, in the file's order, as another type. BadFile if one has no exact counterpart there.
  void read_values(const TensorInfo& tensor, double* to);
  void read_values(const TensorInfo& tensor, std::int32_t* to);

  [[noreturn]] void fail(const std::string& why) const;

 private:
  std::string path_;
  std::ifstream stream_;
  std::uint64_t data_start_ = 0;
  Header header_;
};

}  // namespace rscvi::io
