// Precompiled header of the tests: LibTorch first, then doctest. LibTorch's logging (glog or its own stand-in) defines
// macros of doctest's names, so they go away in between.
#pragma once

#include <ATen/ATen.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#undef CHECK
#undef CHECK_EQ
#undef CHECK_NE
#undef CHECK_LT
#undef CHECK_LE
#undef CHECK_GT
#undef CHECK_GE
#undef FAIL
#undef INFO
#undef WARN

#define DOCTEST_CONFIG_SUPER_FAST_ASSERTS
#include <doctest/doctest.h>
