// The JSON that safetensors headers are made of: objects, arrays, strings, whole numbers that are not negative.
// Anything else in a header is an error, so this is all of JSON that is understood here. The reader asks for what must
// come next, and never recurses on what the file says.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace rscvi::io {

// `text` between quotation marks, with escapes. It must be UTF-8.
std::string json_quoted(std::string_view text);

// Reads `text` from front to back; BadFile, with the place, where something else stands than what was asked for.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  // Calls visit(key) for each member; `visit` must read the value. A key that comes twice is an error.
  template <class Visit>
  void object(Visit&& visit) {
    std::set<std::string> seen;
    list('{', '}', [&] {
      const std::string key = string();
      if (!seen.insert(key).second) fail("the name " + json_quoted(key) + " for the second time");
      expect(':');
      visit(key);
    });
  }

  // Calls visit() for each element; `visit` must read it.
  template <class Visit>
  void array(Visit&& visit) {
    list('[', ']', visit);
  }

  std::string string();
  std::int64_t whole_number();

  // Nothing but blanks may be left.
  void end();

  [[noreturn]] void fail(const std::string& found) const;

 private:
  template <class Visit>
  void list(char open, char close, Visit&& visit) {
    expect(open);
    if (next_is(close)) {
      expect(close);
      return;
    }
    do {
      visit();
    } while (comma_or(close));
  }

  void skip_blanks();
  bool next_is(char c);
  void expect(char c);
  bool comma_or(char close);  // reads either; true for the comma
  char take();
  std::uint32_t take_hex();
  void append_escape(std::string& out);

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace rscvi::io
