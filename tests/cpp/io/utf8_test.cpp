#include "core/io/utf8.h"

#include "test.h"

using rscvi::io::is_utf8;

TEST_CASE("is_utf8: every length of character, up to the last code point") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("plain"));
  CHECK(is_utf8("\xC2\x80 \xDF\xBF"));                  // U+0080, U+07FF
  CHECK(is_utf8("\xE0\xA0\x80 \xEF\xBF\xBF"));          // U+0800, U+FFFF
  CHECK(is_utf8("\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF"));  // U+10000, U+10FFFF
  CHECK(is_utf8("\xED\x9F\xBF \xEE\x80\x80"));          // the neighbours of the surrogates
}

TEST_CASE("is_utf8: refuses overlong forms, surrogates, stray and missing bytes") {
  for (const char* text : {"\x80", "\xBF", "a\xFF", "\xFE", "\xF8\x88\x80\x80\x80", "\xC0\x80", "\xC1\xBF",
                           "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF4\x90\x80\x80",
                           "\xF7\xBF\xBF\xBF", "\xC2", "\xE2\x82", "\xF0\x90\x80", "\xC2 ", "\xE2\x28\xA1"}) {
    CHECK_FALSE(is_utf8(text));
  }
}
