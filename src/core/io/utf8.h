// Text in files is UTF-8; what is not would be refused by every other reader of them.
#pragma once

#include <string_view>

namespace rscvi::io {

// Strictly: no overlong form, no surrogate, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace rscvi::io
