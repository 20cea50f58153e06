// How the units of a hidden layer are normalised. No LibTorch header here: the glue reads this type too.
#pragma once

namespace rscvi {

// batch: each unit over the cells of a minibatch, in evaluation mode by running statistics (Ioffe & Szegedy 2015).
// layer: the units of each cell over the units (Ba et al. 2016): a cell's output does not depend on other cells.
enum class Normalisation { batch, layer };

}  // namespace rscvi
