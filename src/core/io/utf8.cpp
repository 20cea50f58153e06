#include "core/io/utf8.h"

#include <cstdint>

namespace rscvi::io {
namespace {

struct Lead {
  int n_more;            // bytes that follow
  std::uint32_t bits;    // the first byte's share of the code point
  std::uint32_t lowest;  // a smaller code point has a shorter form
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {0, byte, 0};
  if (byte >= 0xC0 && byte < 0xE0) return {1, byte & 0x1Fu, 0x80};
  if (byte >= 0xE0 && byte < 0xF0) return {2, byte & 0x0Fu, 0x800};
  if (byte >= 0xF0 && byte < 0xF8) return {3, byte & 0x07u, 0x10000};
  return {-1, 0, 0};
}

}  // namespace

bool is_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Lead lead = lead_of(static_cast<unsigned char>(text[at++]));
    if (lead.n_more < 0 || text.size() - at < static_cast<std::size_t>(lead.n_more)) return false;
    std::uint32_t code = lead.bits;
    for (int k = 0; k < lead.n_more; ++k) {
      const auto byte = static_cast<unsigned char>(text[at++]);
      if ((byte & 0xC0) != 0x80) return false;
      code = code << 6 | (byte & 0x3Fu);
    }
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    if (code < lead.lowest || surrogate || code > 0x10FFFF) return false;
  }
  return true;
}

}  // namespace rscvi::io
