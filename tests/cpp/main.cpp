// The runner: core_tests --help lists doctest's options. Both names are needed, because the precompiled header has
// already been through doctest's first half, which would derive one from the other.
#define DOCTEST_CONFIG_IMPLEMENT
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
