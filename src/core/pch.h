// Precompiled header of the core: the LibTorch headers that cost seconds to parse, and nothing else.
// Every core file still includes what it uses, so that it compiles without this header too.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/module.h>
#include <torch/optim/adam.h>
