#include "core/io/json_text.h"

#include <vector>

#include "core/base/errors.h"
#include "test.h"

using rscvi::BadFile;
using rscvi::io::json_quoted;
using rscvi::io::JsonReader;

namespace {

std::string read_string(const std::string& text) {
  JsonReader reader(text);
  const std::string out = reader.string();
  reader.end();
  return out;
}

std::int64_t read_number(const std::string& text) {
  JsonReader reader(text);
  const std::int64_t out = reader.whole_number();
  reader.end();
  return out;
}

std::vector<std::int64_t> read_array(const std::string& text) {
  JsonReader reader(text);
  std::vector<std::int64_t> out;
  reader.array([&] { out.push_back(reader.whole_number()); });
  reader.end();
  return out;
}

std::vector<std::string> read_keys(const std::string& text) {
  JsonReader reader(text);
  std::vector<std::string> out;
  reader.object([&](const std::string& key) {
    out.push_back(key);
    reader.whole_number();
  });
  reader.end();
  return out;
}

}  // namespace

TEST_CASE("JSON strings: what is quoted reads back") {
  std::string all;
  for (int c = 1; c < 128; ++c) all.push_back(static_cast<char>(c));
  for (const std::string& text : {std::string(), all, std::string("\xC3\xA9 \xF0\x9F\xA7\xAC"), std::string("\\\"/")}) {
    CHECK(read_string(json_quoted(text)) == text);
  }
  CHECK(json_quoted("a\"b\\c\n\x1f") == "\"a\\\"b\\\\c\\u000a\\u001f\"");
}

TEST_CASE("JSON strings: escapes of others") {
  CHECK(read_string(R"("\"\\\/\b\f\n\r\t")") == "\"\\/\b\f\n\r\t");
  CHECK(read_string(R"("\u0041\u00e9\u20AC")") == "A\xC3\xA9\xE2\x82\xAC");
  CHECK(read_string(R"("\ud83e\uddec")") == "\xF0\x9F\xA7\xAC");
}

TEST_CASE("JSON strings: malformed ones are refused") {
  for (const char* text : {"", "a", "\"", "\"a", "\"a\\\"", R"("\x")", R"("\u12")", R"("\u12g4")", R"("\ud83e")",
                           R"("\ud83e\n")", R"("\ud83ea")", R"("\ud83e\u0041")", R"("\uddec")", R"("\u0000")",
                           "\"a\nb\"", "\"a\" b", "'a'"}) {
    CHECK_THROWS_AS(read_string(text), BadFile);
  }
}

TEST_CASE("JSON numbers: whole, not negative, in 63 bits") {
  CHECK(read_number("0") == 0);
  CHECK(read_number(" 1234567890123 ") == 1234567890123);
  CHECK(read_number("9223372036854775807") == 9223372036854775807);
  for (const char* text : {"", "-1", "+1", "01", "00", "1.0", "1e3", "9223372036854775808", "99999999999999999999", "x",
                           "\"1\"", "null", "1 2"}) {
    CHECK_THROWS_AS(read_number(text), BadFile);
  }
}

TEST_CASE("JSON arrays and objects") {
  CHECK(read_array("[]").empty());
  CHECK(read_array("[ 1 ,\n2\t]") == std::vector<std::int64_t>{1, 2});
  CHECK(read_keys("{}").empty());
  CHECK(read_keys(R"( { "a" : 1 , "b":2 } )") == std::vector<std::string>{"a", "b"});
  for (const char* text : {"[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1]]", "1"}) {
    CHECK_THROWS_AS(read_array(text), BadFile);
  }
  for (const char* text : {"{", R"({"a")", R"({"a":)", R"({"a":1)", R"({"a":1,})", R"({a:1})", R"({"a" 1})",
                           R"({"a":1 "b":2})", R"({"a":1}})"}) {
    CHECK_THROWS_AS(read_keys(text), BadFile);
  }
}

TEST_CASE("JSON objects: a name that comes twice is refused, also when it is written in another way") {
  CHECK_THROWS_WITH_AS(read_keys(R"({"a":1,"\u0061":2})"), doctest::Contains("\"a\" for the second time"), BadFile);
}
