// A file that is being written, in which no failure goes unnoticed.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

namespace rscvi::io {

class OutputFile {
 public:
  explicit OutputFile(const std::string& path);  // empties what is there; WriteError

  void write(const void* bytes, std::size_t n);

  // Everything is on the disk when this returns. A file that was not finished is worth nothing.
  void finish();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  [[noreturn]] void fail() const;

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace rscvi::io
