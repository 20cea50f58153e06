#include "core/io/json_text.h"

#include <limits>

#include "core/base/errors.h"

namespace rscvi::io {
namespace {

void append_utf8(std::string& out, std::uint32_t code) {
  const auto byte = [&](std::uint32_t value) { out.push_back(static_cast<char>(value)); };
  const auto more = [&](int shift) { byte(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0 | code >> 6), more(0);
  } else if (code < 0x10000) {
    byte(0xE0 | code >> 12), more(6), more(0);
  } else {
    byte(0xF0 | code >> 18), more(12), more(6), more(0);
  }
}

}  // namespace

std::string json_quoted(std::string_view text) {
  const char* digits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20) {
      out += "\\u00";
      out += {digits[byte >> 4], digits[byte & 15]};
    } else {
      out += c;
    }
  }
  return out + '"';
}

void JsonReader::fail(const std::string& found) const {
  throw BadFile("its header holds " + found + " (byte " + std::to_string(at_) + " of the header)");
}

void JsonReader::skip_blanks() {
  while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
}

bool JsonReader::next_is(char c) {
  skip_blanks();
  return at_ < text_.size() && text_[at_] == c;
}

void JsonReader::expect(char c) {
  if (!next_is(c)) fail(std::string("something else than the '") + c + "' that must come here");
  ++at_;
}

bool JsonReader::comma_or(char close) {
  if (next_is(',')) {
    ++at_;
    return true;
  }
  expect(close);
  return false;
}

char JsonReader::take() {
  if (at_ == text_.size()) fail("a string without end");
  return text_[at_++];
}

std::uint32_t JsonReader::take_hex() {
  std::uint32_t code = 0;
  for (int k = 0; k < 4; ++k) {
    const char c = take();
    const bool digit = c >= '0' && c <= '9';
    const char lower = static_cast<char>(c | 0x20);
    if (!digit && (lower < 'a' || lower > 'f')) fail("a malformed escape in a string");
    code = code << 4 | static_cast<std::uint32_t>(digit ? c - '0' : lower - 'a' + 10);
  }
  return code;
}

void JsonReader::append_escape(std::string& out) {
  const char c = take();
  const std::string_view letters = "\"\\/bfnrt";
  const auto found = letters.find(c);
  if (found != std::string_view::npos) {
    out.push_back("\"\\/\b\f\n\r\t"[found]);
    return;
  }
  if (c != 'u') fail("a malformed escape in a string");
  std::uint32_t code = take_hex();
  if (code >= 0xD800 && code < 0xDC00) {  // the first half of a pair
    if (take() != '\\' || take() != 'u') fail("half a surrogate pair");
    const std::uint32_t second = take_hex();
    if (second < 0xDC00 || second >= 0xE000) fail("half a surrogate pair");
    code = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00);
  } else if (code >= 0xDC00 && code < 0xE000) {
    fail("half a surrogate pair");
  }
  if (code == 0) fail("a character U+0000 in a string");  // would cut the name short in C and R
  append_utf8(out, code);
}

std::string JsonReader::string() {
  expect('"');
  std::string out;
  for (char c = take(); c != '"'; c = take()) {
    if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
    if (c == '\\') {
      append_escape(out);
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::int64_t JsonReader::whole_number() {
  skip_blanks();
  const std::size_t start = at_;
  std::int64_t value = 0;
  for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
    const int digit = text_[at_] - '0';
    if (value > (std::numeric_limits<std::int64_t>::max() - digit) / 10) fail("a number that is too large");
    value = value * 10 + digit;
  }
  if (at_ == start) fail("something else than the whole number that must come here");
  if (at_ - start > 1 && text_[start] == '0') fail("a number that starts with 0");
  return value;
}

void JsonReader::end() {
  skip_blanks();
  if (at_ != text_.size()) fail("more than one value");
}

}  // namespace rscvi::io
