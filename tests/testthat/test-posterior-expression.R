# get_sample_scale: shares of genes, other batches, draws, choices of genes, the forms of the result.

dataset <- GeneExpressionDataset(counts(small_dataset()), batch = rep(c("a", "b", "c"), 20),
    labels = rep(c("x", "y"), each = 30))
x <- t(as.matrix(counts(dataset)))
n <- nrow(x)
genes <- gene_names(dataset)
model <- small_model(dataset, n_layers = 2)
train(UnsupervisedTrainer(model, dataset), n_epochs = 5, lr = 1e-2, seed = 1)
post <- Posterior(model, dataset, data_loader_kwargs = list(batch_size = 13))
eps <- withr::with_seed(1, matrix(stats::rnorm(n * 3), n))
many <- withr::with_seed(2, array(stats::rnorm(5 * n * 3), c(5, n, 3)))
scale <- function(..., noise = list(z = eps)) get_sample_scale(post, ..., noise = noise)
share <- function(eps, ...) {
    inference(model, x, batch_indices(dataset), noise = list(z = eps, library = matrix(0, n, 1)), ...)$px_scale
}

test_that("a share is px_scale of the same draw, with names, and sums to the library size", {
    found <- scale()
    expect_true(is.matrix(found))
    expect_identical(dimnames(found), list(cell_names(dataset), genes))
    expect_equal(unname(found), share(eps), tolerance = 1e-6)
    expect_equal(unname(rowSums(found)), rep(1, n), tolerance = 1e-6)
    expect_equal(scale(library_size = 1e4), 1e4 * found, tolerance = 1e-6)
    expect_equal(unname(rowSums(get_sample_scale(post, library_size = 250, n_samples = 3, seed = 1))), rep(250, n),
        tolerance = 1e-5)
})

test_that("transform_batch decodes all cells as that batch, several are averaged", {
    own <- scale()
    as_batch <- lapply(1:3, function(b) scale(transform_batch = b))
    for (b in 1:3) {
        expect_equal(unname(as_batch[[b]]), share(eps, transform_batch = b), tolerance = 1e-6)
        expect_identical(scale(transform_batch = c("a", "b", "c")[b]), as_batch[[b]])
        expect_identical(scale(transform_batch = batch_indices(dataset)[b]), as_batch[[b]])
        mine <- as.integer(batch_indices(dataset)) == b
        expect_equal(own[mine, ], as_batch[[b]][mine, ], tolerance = 1e-6)
        expect_gt(max(abs(own[!mine, ] - as_batch[[b]][!mine, ])), 1e-3)
    }
    expect_equal(scale(transform_batch = c(1, 3)), (as_batch[[1]] + as_batch[[3]]) / 2, tolerance = 1e-6)
    expect_equal(scale(transform_batch = c("a", "b", "c")), Reduce(`+`, as_batch) / 3, tolerance = 1e-6)
    expect_equal(scale(transform_batch = c(2, 2)), as_batch[[2]], tolerance = 1e-6)
    # Draw by draw, too.
    draws <- function(b) scale(transform_batch = b, n_samples = 5, return_mean = FALSE, noise = list(z = many))
    expect_equal(draws(c(1, 2)), (draws(1) + draws(2)) / 2, tolerance = 1e-6)
})

test_that("several draws come back as draws x cells x genes, or as their mean", {
    wanted <- lapply(1:5, function(s) share(many[s, , ]))
    draws <- scale(n_samples = 5, return_mean = FALSE, noise = list(z = many))
    expect_identical(dim(draws), c(5L, n, 12L))
    expect_identical(dimnames(draws), list(NULL, cell_names(dataset), genes))
    for (s in 1:5) expect_equal(unname(draws[s, , ]), wanted[[s]], tolerance = 1e-6)
    mean_of <- scale(n_samples = 5, noise = list(z = many))
    expect_identical(dimnames(mean_of), list(cell_names(dataset), genes))
    expect_equal(unname(mean_of), Reduce(`+`, wanted) / 5, tolerance = 1e-6)
    # A single draw is a matrix, however it is asked for.
    expect_identical(scale(return_mean = FALSE), scale())
    expect_identical(get_sample_scale(post, noise = list(z = array(eps, c(1, n, 3)))), scale())
    chosen <- scale(gene_list = c("gene5", "gene2"), n_samples = 5, return_mean = FALSE, noise = list(z = many))
    expect_identical(chosen, draws[, , c(2, 5)])
})

test_that("gene_list keeps columns in the data set's order, as a data.frame if there are several", {
    found <- scale()
    few <- scale(gene_list = c("gene7", "gene3", "gene7"))
    expect_s3_class(few, "data.frame")
    expect_identical(as.matrix(few), found[, c("gene3", "gene7")])
    expect_identical(scale(gene_list = c(7, 3)), few)
    expect_identical(scale(gene_list = genes %in% c("gene3", "gene7")), few)
    expect_identical(scale(gene_list = c(7, 3), return_df = FALSE), found[, c("gene3", "gene7")])
    expect_identical(scale(gene_list = "gene4"), found[, "gene4", drop = FALSE])
    expect_identical(scale(gene_list = "gene4", return_df = TRUE), as.data.frame(found[, "gene4", drop = FALSE]))
    expect_identical(scale(return_df = TRUE), as.data.frame(found))
    # Names of genes stay what they are, also where R would mend them.
    odd <- GeneExpressionDataset(counts(dataset), batch = batch_indices(dataset),
        gene_names = c("HLA-A", "7SK", "gene 3", genes[-(1:3)]))
    odd_post <- Posterior(load_state_dict(small_model(odd, n_layers = 2), state_dict(model)), odd)
    expect_identical(names(get_sample_scale(odd_post, gene_list = c("7SK", "HLA-A", "gene 3"))),
        c("HLA-A", "7SK", "gene 3"))
})

test_that("draws differ between seeds and average out", {
    expect_false(identical(get_sample_scale(post, seed = 1), get_sample_scale(post, seed = 2)))
    few <- get_sample_scale(post, n_samples = 400, return_mean = FALSE, seed = 1)
    found <- get_sample_scale(post, n_samples = 400, seed = 1)
    expect_equal(found, apply(few, 2:3, mean), tolerance = 1e-5)
    other <- get_sample_scale(post, n_samples = 400, seed = 2)
    score <- (found - other) / sqrt(2 * apply(few, 2:3, stats::var) / 400)
    expect_lt(max(abs(score)), 6)
})

test_that("what cannot be is refused by name; 0.6.8 ignores most of it without a word", {
    refuse <- function(message, ...) {
        expect_error(get_sample_scale(post, ...), message, class = "rscvi_invalid_argument")
    }
    refuse("`gene_list`.*\"nogene\"", gene_list = c("gene1", "nogene"))
    refuse("`gene_list`.*from 1 to 12; found 13", gene_list = 13)
    refuse("`gene_list`.*length 3", gene_list = c(TRUE, FALSE, TRUE))
    refuse("`gene_list` selects no gene", gene_list = integer(0))
    refuse("`gene_list` selects no gene", gene_list = rep(FALSE, 12))
    refuse("`transform_batch`.*from 1 to 3; found 4", transform_batch = 4)
    refuse("`transform_batch`.*found 0", transform_batch = c(0, 1))
    refuse("`transform_batch` names no batch: \"d\".*\"a\", \"b\", and \"c\"", transform_batch = c("a", "d"))
    refuse("`library_size`.*0", library_size = 0)
    refuse("`library_size`.*\"latent\"", library_size = "latent")
    refuse("`n_samples`.*0", n_samples = 0)
    refuse("`return_mean`.*\"yes\"", return_mean = "yes")
    refuse("`return_df`.*NA", return_df = NA)
    refuse("return_df = TRUE.*averaged", n_samples = 3, return_mean = FALSE, return_df = TRUE)
    refuse("`noise\\$z`.*5 x 60 x 3 numbers, not 60 x 3", n_samples = 5, noise = list(z = eps))
    refuse("`noise`", noise = 3)
    refuse("`seed`", seed = 0.1)
    without <- Posterior(small_model(dataset, n_batch = 0), dataset)
    expect_error(get_sample_scale(without, transform_batch = 1), "`transform_batch`.*does not use batches",
        class = "rscvi_invalid_argument")
})
