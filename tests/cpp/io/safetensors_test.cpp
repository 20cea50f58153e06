#include "core/io/safetensors.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/base/errors.h"
#include "temporary_file.h"
#include "test.h"

using namespace rscvi::io;
using rscvi::BadFile;
using rscvi::InvalidArgument;
using rscvi::WriteError;
using rscvi::test::TemporaryFile;

namespace {

template <class T>
std::vector<T> read_raw(const std::string& path, const std::string& name) {
  SafetensorsFile file(path);
  const TensorInfo& tensor = file.find(name);
  std::vector<T> out((tensor.end - tensor.begin) / sizeof(T));
  file.read(tensor, 0, out.data(), out.size() * sizeof(T));
  return out;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace

TEST_CASE("safetensors: a file byte by byte") {
  const TemporaryFile file;
  const std::vector<float> w = {1.0F, -0.0F};
  const std::vector<std::int64_t> n = {258};
  write_safetensors(file.path(), {{"w", Dtype::f32, {1, 2}, w.data()}, {"n", Dtype::i64, {}, n.data()}});
  const std::string header =
      R"({"w":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},)"
      R"("n":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})";
  const std::size_t padded = (header.size() + 7) / 8 * 8;
  std::string expected(8, '\0');
  expected[0] = static_cast<char>(padded);
  expected += header + std::string(padded - header.size(), ' ');
  expected += std::string("\x02\x01\0\0\0\0\0\0", 8);   // 258
  expected += std::string("\0\0\x80\x3f\0\0\0\x80", 8);  // 1, -0
  CHECK(file.bytes() == expected);
}

TEST_CASE("safetensors: every float comes back bit for bit") {
  const TemporaryFile file;
  const auto limits = std::numeric_limits<float>();
  const std::vector<float> values = {0.0F, -0.0F, limits.denorm_min(), -limits.denorm_min(), limits.min(),
                                     limits.max(), limits.lowest(), limits.infinity(), -limits.infinity(),
                                     limits.quiet_NaN(), 1.0F / 3};
  write_safetensors(file.path(), {{"w", Dtype::f32, {11}, values.data()}});
  CHECK(same_bits(read_raw<float>(file.path(), "w"), values));
}

TEST_CASE("safetensors: data of every type are aligned to their size, and found by name") {
  const TemporaryFile file;
  const std::vector<std::uint8_t> a = {1, 2, 255};
  const std::vector<double> b = {M_PI};
  const std::vector<std::uint16_t> c = {65535};
  const std::vector<std::int32_t> d = {-7};
  write_safetensors(file.path(), {{"a", Dtype::u8, {3}, a.data()}, {"b", Dtype::f64, {}, b.data()},
                                  {"c", Dtype::u16, {1}, c.data()}, {"d", Dtype::i32, {1, 1}, d.data()},
                                  {"e", Dtype::f32, {0}, nullptr}}, {{"key", "value"}});
  SafetensorsFile in(file.path());
  for (const auto& tensor : in.header().tensors) CHECK(tensor.begin % size_of(tensor.dtype) == 0);
  CHECK(in.header().tensors[0].name == "a");
  CHECK(in.header().metadata == Metadata{{"key", "value"}});
  CHECK((file.bytes().size() - 8 - 4 - 2 - 3) % 8 == 0);  // the data begin at a multiple of 8
  CHECK(same_bits(read_raw<std::uint8_t>(file.path(), "a"), a));
  CHECK(same_bits(read_raw<double>(file.path(), "b"), b));
  CHECK(same_bits(read_raw<std::uint16_t>(file.path(), "c"), c));
  CHECK(same_bits(read_raw<std::int32_t>(file.path(), "d"), d));
  CHECK(read_raw<float>(file.path(), "e").empty());
  CHECK_THROWS_WITH_AS(in.find("f"), doctest::Contains("no tensor \"f\""), BadFile);
}

TEST_CASE("safetensors: values as another type, over more than one chunk") {
  const TemporaryFile file;
  std::vector<std::uint16_t> small(200'000);
  for (std::size_t k = 0; k < small.size(); ++k) small[k] = static_cast<std::uint16_t>(k * 31);
  const std::vector<std::int64_t> large = {std::int64_t{1} << 53, -7}, too_large = {(std::int64_t{1} << 53) + 1};
  const std::vector<float> real = {0.5F};
  write_safetensors(file.path(), {{"small", Dtype::u16, {200'000}, small.data()},
                                  {"large", Dtype::i64, {2}, large.data()},
                                  {"too_large", Dtype::i64, {1}, too_large.data()},
                                  {"real", Dtype::f32, {1}, real.data()}});
  SafetensorsFile in(file.path());
  std::vector<double> doubles(small.size());
  std::vector<std::int32_t> ints(small.size());
  in.read_values(in.find("small"), doubles.data());
  in.read_values(in.find("small"), ints.data());
  CHECK(doubles == std::vector<double>(small.begin(), small.end()));
  CHECK(ints == std::vector<std::int32_t>(small.begin(), small.end()));
  in.read_values(in.find("large"), doubles.data());
  CHECK(doubles[0] == 9007199254740992.0);
  CHECK(doubles[1] == -7.0);
  in.read_values(in.find("real"), doubles.data());
  CHECK(doubles[0] == 0.5);
  CHECK_THROWS_AS(in.read_values(in.find("too_large"), doubles.data()), BadFile);
  CHECK_THROWS_AS(in.read_values(in.find("large"), ints.data()), BadFile);
  CHECK_THROWS_AS(in.read_values(in.find("real"), ints.data()), BadFile);
}

TEST_CASE("safetensors: a file that was cut short or grew is refused, wherever") {
  const TemporaryFile file;
  const std::vector<float> w = {1, 2, 3};
  write_safetensors(file.path(), {{"w", Dtype::f32, {3}, w.data()}}, {{"a", "b"}});
  const std::string sound = file.bytes();
  for (std::size_t n = 0; n < sound.size(); ++n) {
    file.set_bytes(sound.substr(0, n));
    CHECK_THROWS_AS(SafetensorsFile(file.path()), BadFile);
  }
  file.set_bytes(sound + "x");
  CHECK_THROWS_AS(SafetensorsFile(file.path()), BadFile);
  file.set_bytes(sound);
  CHECK(SafetensorsFile(file.path()).header().tensors.size() == 1);
}

TEST_CASE("safetensors: a length of header that cannot be is refused before anything is allocated") {
  const TemporaryFile file;
  for (const std::string& length : {std::string(8, '\xFF'), std::string("\0\0\0\0\0\0\0\x80", 8),
                                    std::string("\0\xE1\xF5\5\0\0\0\0", 8), std::string("\3\0\0\0\0\0\0\0", 8)}) {
    file.set_bytes(length + "{}");
    CHECK_THROWS_WITH_AS(SafetensorsFile(file.path()), doctest::Contains(file.path().c_str()), BadFile);
  }
  file.set_bytes(std::string("\2\0\0\0\0\0\0\0", 8) + "{}");
  CHECK(SafetensorsFile(file.path()).header().tensors.empty());
}

TEST_CASE("safetensors: what is not there, or is no file") {
  CHECK_THROWS_AS(SafetensorsFile("/no/such/file"), BadFile);
  CHECK_THROWS_AS(SafetensorsFile(std::filesystem::temp_directory_path().string()), BadFile);
}

TEST_CASE("safetensors: names that no reader would take are refused") {
  const TemporaryFile file;
  const float one = 1;
  const auto write = [&](const std::vector<std::string>& names) {
    std::vector<TensorSource> tensors;
    for (const auto& name : names) tensors.push_back({name, Dtype::f32, {}, &one});
    write_safetensors(file.path(), tensors);
  };
  CHECK_THROWS_AS(write({"a", "a"}), InvalidArgument);
  CHECK_THROWS_AS(write({"__metadata__"}), InvalidArgument);
  CHECK_THROWS_AS(write({"\xFF"}), InvalidArgument);
  CHECK_THROWS_AS(write_safetensors(file.path(), {}, {{"a", "\xFF"}}), InvalidArgument);
  CHECK_FALSE(std::filesystem::exists(file.path()));
}

TEST_CASE("safetensors: a failure to write is noticed") {
  CHECK_THROWS_WITH_AS(write_safetensors("/no/such/folder/file", {}), doctest::Contains("/no/such/folder/file"),
                       WriteError);
  if (std::filesystem::exists("/dev/full")) {
    // Fits the buffer of the C library: only flushing shows that the device is full.
    CHECK_THROWS_AS(write_safetensors("/dev/full", {}), WriteError);
    const std::vector<double> much(1 << 20);
    CHECK_THROWS_AS(write_safetensors("/dev/full", {{"a", Dtype::f64, {1 << 20}, much.data()}}), WriteError);
  }
}
