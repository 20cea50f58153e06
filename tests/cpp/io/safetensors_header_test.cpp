#include "core/io/safetensors_header.h"

#include "core/base/errors.h"
#include "test.h"

using namespace rscvi::io;
using rscvi::BadFile;

namespace {

// One tensor of 6 floats, in a file that has `n_data` bytes of data.
Header parse_one(const std::string& fields, std::uint64_t n_data = 24) {
  return parse_header("{\"w\":{" + fields + "}}", n_data);
}

const std::string good = R"("dtype":"F32","shape":[2,3],"data_offsets":[0,24])";

}  // namespace

TEST_CASE("header: what is written reads back") {
  Header header;
  header.metadata = {{"rscvi", "{\"a\": \"b\\n\"}"}, {"", "\xC3\xA9"}};
  header.tensors = {{"px_r", Dtype::f32, {2, 3}, 8, 32}, {"Layer 0.0", Dtype::i64, {}, 0, 8},
                    {"nothing", Dtype::u8, {0, 5}, 32, 32}, {"\"quoted\"", Dtype::u16, {2}, 32, 36}};
  const Header read = parse_header(to_json(header) + "   ", 36);
  CHECK(read.metadata == header.metadata);
  REQUIRE(read.tensors.size() == 4);
  for (std::size_t k = 0; k < 4; ++k) {
    CHECK(read.tensors[k].name == header.tensors[k].name);
    CHECK(read.tensors[k].dtype == header.tensors[k].dtype);
    CHECK(read.tensors[k].shape == header.tensors[k].shape);
    CHECK(read.tensors[k].begin == header.tensors[k].begin);
    CHECK(read.tensors[k].end == header.tensors[k].end);
  }
}

TEST_CASE("header: the text is that of the format") {
  Header header;
  CHECK(to_json(header) == "{}");
  header.tensors = {{"a", Dtype::f32, {2, 3}, 0, 24}, {"b", Dtype::i64, {}, 24, 32}};
  CHECK(to_json(header) ==
        R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
        R"("b":{"dtype":"I64","shape":[],"data_offsets":[24,32]}})");
  header.metadata = {{"k", "v"}};
  header.tensors.resize(1);
  CHECK(to_json(header) == R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})");
}

TEST_CASE("header: keys in any order, no tensor at all, tensors in another order than their bytes") {
  const Header one = parse_one(R"("data_offsets":[0,24],"shape":[6],"dtype":"F32")");
  CHECK(one.tensors[0].shape == std::vector<std::int64_t>{6});
  CHECK(parse_header("{}", 0).tensors.empty());
  const Header header = parse_header(
      R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]},)"
      R"("a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", 5);
  CHECK(header.tensors[0].name == "b");
}

TEST_CASE("header: a tensor must be complete and of its size") {
  CHECK(parse_one(good).tensors[0].end == 24);
  CHECK_THROWS_AS(parse_one(""), BadFile);
  CHECK_THROWS_AS(parse_one(R"("dtype":"F32","shape":[2,3])"), BadFile);
  CHECK_THROWS_AS(parse_one(good + R"(,"more":1)"), BadFile);
  CHECK_THROWS_AS(parse_one(good + R"(,"shape":[2,3])"), BadFile);
  CHECK_THROWS_AS(parse_one(R"("dtype":"F32","shape":[2,3],"data_offsets":[0,24,30])"), BadFile);
  CHECK_THROWS_AS(parse_one(R"("dtype":"F32","shape":[2,3],"data_offsets":[24,0])"), BadFile);
  CHECK_THROWS_AS(parse_one(R"("dtype":"F32","shape":[2,-3],"data_offsets":[0,24])"), BadFile);
  CHECK_THROWS_AS(parse_one(R"("dtype":"F32","shape":[2.0,3],"data_offsets":[0,24])"), BadFile);
  CHECK_THROWS_AS(parse_one(R"("dtype":32,"shape":[2,3],"data_offsets":[0,24])"), BadFile);
  CHECK_THROWS_WITH_AS(parse_one(R"("dtype":"BF16","shape":[12],"data_offsets":[0,24])"), doctest::Contains("BF16"),
                       BadFile);
  CHECK_THROWS_WITH_AS(parse_one(R"("dtype":"F64","shape":[2,3],"data_offsets":[0,24])"), doctest::Contains("\"w\""),
                       BadFile);
  // 2^62 x 2^62 floats have 2^126 bytes, which is 0 in 64 bits.
  CHECK_THROWS_AS(
      parse_one(R"("dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,0])", 0), BadFile);
}

TEST_CASE("header: the tensors cover the data, once") {
  const auto two = [](const std::string& a, const std::string& b, std::uint64_t n_data) {
    return parse_header(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
                            R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}", n_data);
  };
  CHECK(two("[0,4]", "[4,8]", 8).tensors.size() == 2);
  CHECK_THROWS_AS(two("[0,4]", "[0,4]", 4), BadFile);   // the same bytes
  CHECK_THROWS_AS(two("[0,4]", "[2,6]", 6), BadFile);   // overlap
  CHECK_THROWS_AS(two("[0,4]", "[5,9]", 9), BadFile);   // a gap
  CHECK_THROWS_AS(two("[1,5]", "[5,9]", 9), BadFile);   // a gap in front
  CHECK_THROWS_AS(two("[0,4]", "[4,8]", 9), BadFile);   // bytes of nobody
  CHECK_THROWS_WITH_AS(two("[0,4]", "[4,8]", 7), doctest::Contains("cut short"), BadFile);
}

TEST_CASE("header: what is not a header is refused") {
  for (const char* text : {"", " {}", "[]", "{} {}", "{", R"({"a":1})", R"({"a":[]})", R"({"__metadata__":{"a":1}})",
                           R"({"__metadata__":"a"})", R"({"__metadata__":{"a":"b","a":"c"}})",
                           R"({"__metadata__":{},"__metadata__":{}})", "{\"\xFF\":1}"}) {
    CHECK_THROWS_AS(parse_header(text, 0), BadFile);
  }
}

TEST_CASE("header: no text makes the parser do anything but return or throw BadFile") {
  const std::string sound = "{\"__metadata__\":{\"a\":\"b\\u00e9\"},\"w\":{" + good + "}}";
  for (std::size_t n = 0; n < sound.size(); ++n) CHECK_THROWS_AS(parse_header(sound.substr(0, n), 24), BadFile);
  for (std::size_t at = 0; at < sound.size(); ++at) {
    for (int c = 0; c < 256; ++c) {
      std::string text = sound;
      text[at] = static_cast<char>(c);
      try {
        parse_header(text, 24);
      } catch (const BadFile&) {
      }
    }
  }
}
