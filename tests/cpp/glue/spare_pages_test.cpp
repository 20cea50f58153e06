// Pages that wait for the next large result: of src/, not of the core, but they know nothing of R either.
#include "spare_pages.h"

#if RSCVI_MAPS_MEMORY

#include <cstring>

#include "test.h"

using rscvi::glue::map_pages;
using rscvi::glue::Pages;
using rscvi::glue::SparePages;
using rscvi::glue::unmap;

namespace {

constexpr std::size_t mega = std::size_t{1} << 20;

// Pages that can be written to, all of them.
void fill(const Pages& pages) { std::memset(pages.start, 1, pages.n_bytes); }

}  // namespace

TEST_CASE("SparePages: parts that come back in any order become the whole that they were") {
  for (const bool first_part_first : {true, false}) {
    SparePages spare(64 * mega);
    const Pages whole = map_pages(32 * mega);
    REQUIRE(whole.start != nullptr);
    fill(whole);
    spare.add(whole);
    CHECK(spare.n_bytes() == 32 * mega);
    const Pages a = spare.take(10 * mega), b = spare.take(10 * mega), c = spare.take(12 * mega);
    CHECK(spare.n_bytes() == 0);
    for (const Pages& part : {a, b, c}) {
      REQUIRE(part.start != nullptr);
      fill(part);
    }
    CHECK(spare.take(1).start == nullptr);
    spare.add(first_part_first ? a : c);
    spare.add(first_part_first ? c : a);  // the middle is missing: two stretches
    CHECK(spare.take(22 * mega).start == nullptr);
    spare.add(b);
    const Pages again = spare.take(32 * mega);
    CHECK(again.start == whole.start);
    fill(again);
    unmap(again);
  }
}

TEST_CASE("SparePages: what is asked for comes from the shortest stretch that suffices, in whole pages") {
  SparePages spare(64 * mega);
  const Pages small = map_pages(8 * mega), between = map_pages(mega), large = map_pages(16 * mega);
  spare.add(small);
  spare.add(large);
  const Pages part = spare.take(5 * mega + 1);
  CHECK(part.n_bytes > 5 * mega);
  CHECK(part.n_bytes <= 5 * mega + mega / 16);
  CHECK(part.start >= small.start);
  CHECK(part.start + part.n_bytes <= small.start + small.n_bytes);
  CHECK(spare.n_bytes() == 24 * mega - part.n_bytes);
  unmap(part);
  unmap(between);
}

TEST_CASE("SparePages: no more is kept than said, and as much as that") {
  SparePages spare(10 * mega);
  // By itself too much: it goes, and nothing else does.
  spare.add(map_pages(4 * mega));
  spare.add(map_pages(11 * mega));
  CHECK(spare.n_bytes() == 4 * mega);
  // Side by side too much: a part of it goes.
  const Pages whole = map_pages(16 * mega);
  spare.add({whole.start, 8 * mega});
  spare.add({whole.start + 8 * mega, 8 * mega});
  CHECK(spare.n_bytes() == 10 * mega);
  fill(spare.take(8 * mega));
  // Apart: the shorter ones make room.
  SparePages some(10 * mega);
  const Pages pieces = map_pages(30 * mega);
  some.add({pieces.start, mega});
  some.add({pieces.start + 4 * mega, 2 * mega});
  some.add({pieces.start + 10 * mega, 9 * mega});
  CHECK(some.n_bytes() == 10 * mega);
  CHECK(some.take(9 * mega).start == pieces.start + 10 * mega);
  CHECK(some.take(mega).start != nullptr);
  some.add(Pages());
  some.drop_all();
  CHECK(some.n_bytes() == 0);
}

#endif
