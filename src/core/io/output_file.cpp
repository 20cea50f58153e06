#include "core/io/output_file.h"

#include <cerrno>
#include <cstring>

#ifdef _WIN32
#include <io.h>
#else
#include <unistd.h>
#endif

#include "core/base/errors.h"

namespace rscvi::io {
namespace {

int to_disk(std::FILE* file) {
#ifdef _WIN32
  return _commit(_fileno(file));
#else
  return fsync(fileno(file));
#endif
}

}  // namespace

OutputFile::OutputFile(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "wb")) {
  if (!file_) fail();
}

void OutputFile::write(const void* bytes, std::size_t n) {
  if (n > 0 && std::fwrite(bytes, 1, n, file_.get()) != n) fail();
}

void OutputFile::finish() {
  if (std::fflush(file_.get()) != 0) fail();
  // A full disk may show only now. Some network file systems cannot do this, which is no failure of the file.
  if (to_disk(file_.get()) != 0 && (errno == EIO || errno == ENOSPC
#ifdef EDQUOT
                                    || errno == EDQUOT
#endif
                                    )) {
    fail();
  }
  if (std::fclose(file_.release()) != 0) fail();
}

void OutputFile::fail() const { throw WriteError("cannot write '" + path_ + "': " + std::strerror(errno)); }

}  // namespace rscvi::io
