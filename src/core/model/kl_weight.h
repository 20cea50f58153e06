// How much the KL terms count in what training minimises.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/mul.h>

#include <utility>

namespace rscvi {

// A number; or a scalar tensor on the model's device, in whose place steps that are repeated as they were recorded find
// the weight of the day (core/training/repeated_steps.h).
class KlWeight {
 public:
  KlWeight(double number) : number_(number) {}  // implicit: mostly it is a number
  KlWeight(at::Tensor tensor) : tensor_(std::move(tensor)) {}

  at::Tensor times(const at::Tensor& terms) const {
    return tensor_.defined() ? at::mul(terms, tensor_) : at::mul(terms, number_);
  }

 private:
  double number_ = 1;
  at::Tensor tensor_;
};

}  // namespace rscvi
