#include "core/io/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>

#include "core/base/errors.h"
#include "core/io/json_text.h"
#include "core/io/utf8.h"

namespace rscvi::io {
namespace {

constexpr const char* metadata_key = "__metadata__";

struct DtypeName {
  Dtype dtype;
  const char* name;
  std::size_t size;
};

constexpr std::array<DtypeName, 6> dtypes = {{{Dtype::u8, "U8", 1},
                                              {Dtype::u16, "U16", 2},
                                              {Dtype::i32, "I32", 4},
                                              {Dtype::i64, "I64", 8},
                                              {Dtype::f32, "F32", 4},
                                              {Dtype::f64, "F64", 8}}};

const DtypeName& entry_of(Dtype dtype) {
  return *std::find_if(dtypes.begin(), dtypes.end(), [&](const auto& entry) { return entry.dtype == dtype; });
}

Dtype parse_dtype(const std::string& name, const std::string& tensor) {
  const auto found = std::find_if(dtypes.begin(), dtypes.end(), [&](const auto& entry) { return entry.name == name; });
  if (found == dtypes.end()) {
    throw BadFile("tensor " + json_quoted(tensor) + " is of type " + json_quoted(name) +
                  ", and only U8, U16, I32, I64, F32 and F64 can be read");
  }
  return found->dtype;
}

template <class Numbers>
std::string joined(const Numbers& numbers) {
  std::string out;
  for (const auto number : numbers) out += (out.empty() ? "" : ",") + std::to_string(number);
  return out;
}

TensorInfo parse_tensor(JsonReader& reader, const std::string& name) {
  TensorInfo tensor;
  tensor.name = name;
  std::string dtype;
  std::vector<std::int64_t> offsets;
  int n_known = 0;
  reader.object([&](const std::string& key) {
    ++n_known;
    if (key == "dtype") {
      dtype = reader.string();
    } else if (key == "shape") {
      reader.array([&] { tensor.shape.push_back(reader.whole_number()); });
    } else if (key == "data_offsets") {
      reader.array([&] { offsets.push_back(reader.whole_number()); });
    } else {
      reader.fail("the unknown key " + json_quoted(key));
    }
  });
  if (n_known != 3 || offsets.size() != 2) {
    reader.fail("a tensor without dtype, shape and two data_offsets: " + json_quoted(name));
  }
  tensor.dtype = parse_dtype(dtype, name);
  tensor.begin = static_cast<std::uint64_t>(offsets[0]);
  tensor.end = static_cast<std::uint64_t>(offsets[1]);
  return tensor;
}

void check_size(const TensorInfo& tensor) {
  const auto wrong = [&] {
    throw BadFile("tensor " + json_quoted(tensor.name) + " has another number of bytes than its shape needs");
  };
  if (tensor.begin > tensor.end) wrong();
  try {
    if (n_bytes(tensor.dtype, tensor.shape) != tensor.end - tensor.begin) wrong();
  } catch (const InvalidArgument&) {
    wrong();
  }
}

// One tensor after the other, without gaps, to the last byte: so none overlaps, and nothing is missing or left over.
void check_layout(const std::vector<TensorInfo>& tensors, std::uint64_t n_data) {
  std::vector<const TensorInfo*> order;
  for (const auto& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return std::make_pair(a->begin, a->end) < std::make_pair(b->begin, b->end);
  });
  std::uint64_t end = 0;
  for (const TensorInfo* tensor : order) {
    if (tensor->begin != end) {
      throw BadFile("tensor " + json_quoted(tensor->name) + " does not begin where the one before it ends");
    }
    end = tensor->end;
  }
  if (end != n_data) {
    throw BadFile("it has " + std::to_string(n_data) + " bytes of data, but its header describes " +
                  std::to_string(end) + (n_data < end ? ": it was cut short" : ""));
  }
}

}  // namespace

std::size_t size_of(Dtype dtype) { return entry_of(dtype).size; }

std::uint64_t n_bytes(Dtype dtype, const std::vector<std::int64_t>& shape) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::uint64_t n = size_of(dtype);
  for (const std::int64_t extent : shape) {
    if (extent < 0 || n > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / extent)) {
      throw InvalidArgument("a tensor is too large");
    }
    n *= static_cast<std::uint64_t>(extent);
  }
  return n;
}

std::string to_json(const Header& header) {
  std::string out = "{";
  const auto comma = [&] { return out.size() > 1 ? "," : ""; };
  if (!header.metadata.empty()) {
    std::string members;
    for (const auto& item : header.metadata) {
      members += (members.empty() ? "" : ",") + json_quoted(item.first) + ":" + json_quoted(item.second);
    }
    out += json_quoted(metadata_key) + ":{" + members + "}";
  }
  for (const auto& tensor : header.tensors) {
    out += comma() + json_quoted(tensor.name) + ":{\"dtype\":" + json_quoted(entry_of(tensor.dtype).name) +
           ",\"shape\":[" + joined(tensor.shape) + "],\"data_offsets\":[" +
           joined(std::array<std::uint64_t, 2>{tensor.begin, tensor.end}) + "]}";
  }
  return out + "}";
}

Header parse_header(std::string_view text, std::uint64_t n_data) {
  if (!is_utf8(text)) throw BadFile("its header is not UTF-8");
  if (text.empty() || text.front() != '{') throw BadFile("its header does not begin with '{'");
  Header header;
  JsonReader reader(text);
  reader.object([&](const std::string& key) {
    if (key == metadata_key) {
      reader.object([&](const std::string& name) { header.metadata.emplace_back(name, reader.string()); });
    } else {
      header.tensors.push_back(parse_tensor(reader, key));
      check_size(header.tensors.back());
    }
  });
  reader.end();
  check_layout(header.tensors, n_data);
  return header;
}

}  // namespace rscvi::io
