# Walks over the counts in blocks of cells, so that whatever is computed from them never needs a second matrix of
# their size: a block's copies are freed before the next one is made.

# Stored entries in a block: 12 MB as a dgCMatrix, a few times that with the temporaries of the callers.
block_entries <- 1e6

# Indices of `cells`, cut so that a block has at most `entries` stored entries (or is a single cell).
cell_blocks <- function(counts, cells, entries = block_entries) {
    stored <- as.numeric(diff(counts@p))[cells]
    split(cells, floor(cumsum(stored) / entries))
}

# Sum of f(block, cells of the block) over all blocks.
sum_over_blocks <- function(counts, cells, f) {
    total <- 0
    for (block in cell_blocks(counts, cells)) total <- total + f(counts[, block, drop = FALSE], block)
    total
}

# Mean and variance (divisor n - 1) of each gene over `cells`. In two passes: the difference of the mean square and the
# squared mean would lose its digits where a gene varies little for its size.
gene_moments <- function(counts, cells) {
    n <- length(cells)
    mean <- sum_over_blocks(counts, cells, function(block, ...) Matrix::rowSums(block)) / n
    squares <- sum_over_blocks(counts, cells, function(block, ...) {
        stored <- tabulate(block@i + 1L, nbins = nrow(block))
        block@x <- (block@x - mean[block@i + 1L])^2
        Matrix::rowSums(block) + (ncol(block) - stored) * mean^2
    })
    list(mean = unname(mean), var = unname(squares) / (n - 1))
}
