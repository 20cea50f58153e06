# map_query(): what it says of batches that the model has not seen.

test_that("new batches are named, however many there are beside however many", {
    dataset <- small_dataset(n_cells = 60)
    map <- function(known, new) {
        batch <- rep(c(known, new), length.out = 60)
        of <- function(cells) GeneExpressionDataset(counts(dataset)[, cells], batch = batch[cells])
        reference <- of(which(batch %in% known))
        post <- Posterior(VAE(reference, n_hidden = 4, n_latent = 2, seed = 1), reference)
        cells <- which(batch %in% new)
        map_query(post, counts(dataset)[, cells], batch = batch[cells], n_epochs = 1, seed = 1)
    }
    expect_message(one <- map("a", "b"), '"b" is a new batch.*knows "a"', class = "rscvi_new_batches")
    expect_identical(one@model@batch_levels, c("a", "b"))
    expect_message(map(c("a", "b"), "c"), '"c" is a new batch.*knows "a" and "b"', class = "rscvi_new_batches")
    expect_message(map("a", c("b", "c")), '"b" and "c" are new batches.*knows "a"', class = "rscvi_new_batches")
})
