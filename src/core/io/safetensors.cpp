#include "core/io/safetensors.h"

#include <algorithm>
#include <limits>
#include <set>

#include "core/base/errors.h"
#include "core/io/dtype.h"
#include "core/io/json_text.h"
#include "core/io/output_file.h"
#include "core/io/utf8.h"

namespace rscvi::io {
namespace {

constexpr std::size_t length_size = 8, alignment = 8;
// The limit of other readers, too: a header of random bytes must not make us allocate exabytes.
constexpr std::uint64_t longest_header = 100'000'000;
constexpr std::size_t chunk = 1 << 16;

void check_host() {
  const std::uint16_t one = 1;
  if (*reinterpret_cast<const unsigned char*>(&one) != 1) {
    throw InternalError("safetensors files are little-endian, and this machine is not");
  }
}

void check_names(const std::vector<TensorSource>& tensors, const Metadata& metadata) {
  std::set<std::string> seen;
  for (const auto& tensor : tensors) {
    if (!is_utf8(tensor.name) || tensor.name == "__metadata__" || !seen.insert(tensor.name).second) {
      throw InvalidArgument("a tensor cannot have the name " + json_quoted(tensor.name) +
                            ": it is not UTF-8, reserved, or taken by another one");
    }
  }
  for (const auto& item : metadata) {
    if (!is_utf8(item.first) || !is_utf8(item.second)) throw InvalidArgument("metadata must be UTF-8");
  }
}

template <class To, class From>
bool holds(From value) {
  if constexpr (std::is_same_v<To, double>) {
    // Beyond 2^53 doubles skip whole numbers.
    if constexpr (std::is_same_v<From, std::int64_t>) {
      return value >= -(std::int64_t{1} << 53) && value <= std::int64_t{1} << 53;
    }
    return true;
  } else {
    return std::is_integral_v<From> && sizeof(From) <= sizeof(To);
  }
}

template <class To>
void read_as(SafetensorsFile& file, const TensorInfo& tensor, To* to) {
  with_type(tensor.dtype, [&](auto example) {
    using From = decltype(example);
    const std::uint64_t n = (tensor.end - tensor.begin) / sizeof(From);
    std::vector<From> buffer(std::min<std::uint64_t>(n, chunk));
    for (std::uint64_t done = 0; done < n; done += buffer.size()) {
      const std::size_t now = std::min<std::uint64_t>(buffer.size(), n - done);
      file.read(tensor, done * sizeof(From), buffer.data(), now * sizeof(From));
      for (std::size_t k = 0; k < now; ++k) {
        if (!holds<To>(buffer[k])) file.fail("tensor " + json_quoted(tensor.name) + " has values of another type");
        to[done + k] = static_cast<To>(buffer[k]);
      }
    }
  });
}

}  // namespace

void write_safetensors(const std::string& path, const std::vector<TensorSource>& tensors, const Metadata& metadata) {
  check_host();
  check_names(tensors, metadata);
  Header header;
  header.metadata = metadata;
  std::vector<std::size_t> order;
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    header.tensors.push_back({tensors[k].name, tensors[k].dtype, tensors[k].shape});
    order.push_back(k);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return size_of(tensors[a].dtype) > size_of(tensors[b].dtype);
  });
  std::uint64_t end = 0;
  for (const std::size_t k : order) {
    header.tensors[k].begin = end;
    header.tensors[k].end = end += n_bytes(tensors[k].dtype, tensors[k].shape);
  }
  std::string text = to_json(header);
  text.resize((text.size() + alignment - 1) / alignment * alignment, ' ');
  if (text.size() > longest_header) throw InvalidArgument("too many tensors for one file");

  OutputFile file(path);
  const std::uint64_t length = text.size();
  file.write(&length, length_size);
  file.write(text.data(), text.size());
  for (const std::size_t k : order) file.write(tensors[k].data, header.tensors[k].end - header.tensors[k].begin);
  file.finish();
}

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path), stream_(path, std::ios::binary) {
  check_host();
  if (!stream_) fail("it cannot be opened");
  stream_.seekg(0, std::ios::end);
  const std::streamoff size = stream_.tellg();
  if (!stream_ || size < static_cast<std::streamoff>(length_size)) fail("it is too short");
  std::uint64_t length = 0;
  stream_.seekg(0);
  stream_.read(reinterpret_cast<char*>(&length), length_size);
  const std::uint64_t rest = static_cast<std::uint64_t>(size) - length_size;
  if (!stream_ || length > longest_header) fail("it is not a safetensors file");
  if (length > rest) fail("it was cut short within its header, or is not a safetensors file");
  std::string text(length, ' ');
  stream_.read(text.data(), static_cast<std::streamsize>(length));
  if (!stream_) fail("it cannot be read");
  data_start_ = length_size + length;
  try {
    header_ = parse_header(text, rest - length);
  } catch (const BadFile& error) {
    fail(error.what());
  }
}

const TensorInfo& SafetensorsFile::find(const std::string& name) const {
  const auto& all = header_.tensors;
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& tensor) { return tensor.name == name; });
  if (found == all.end()) fail("it has no tensor " + json_quoted(name));
  return *found;
}

void SafetensorsFile::read(const TensorInfo& tensor, std::uint64_t first, void* to, std::size_t n) {
  stream_.seekg(static_cast<std::streamoff>(data_start_ + tensor.begin + first));
  stream_.read(static_cast<char*>(to), static_cast<std::streamsize>(n));
  // The size was right when it was opened.
  if (!stream_) fail("it was changed while it was read");
}

void SafetensorsFile::read_values(const TensorInfo& tensor, double* to) { read_as(*this, tensor, to); }

void SafetensorsFile::read_values(const TensorInfo& tensor, std::int32_t* to) { read_as(*this, tensor, to); }

void SafetensorsFile::fail(const std::string& why) const { throw BadFile("cannot read '" + path_ + "': " + why); }

}  // namespace rscvi::io
