# A reference of two batches, and a query of 20 cells in the same genes.
reference_post <- function(make = VAE, ..., dispersion = "gene") {
    dataset <- GeneExpressionDataset(as_dgc(toy), batch = rep(c("b1", "b2"), 12), labels = toy_labels)
    Posterior(make(dataset, n_hidden = 8, n_latent = 3, dispersion = dispersion, ..., seed = 1), dataset)
}
query_counts <- withr::with_seed(2, {
    matrix(as.numeric(rpois(40 * 20, 1.5)), 40, dimnames = list(paste0("g", 1:40), paste0("q", 1:20)))
})
map <- function(post, x = query_counts, ..., n_epochs = 0, quiet = TRUE) {
    call <- function() map_query(post, x, ..., n_epochs = n_epochs, seed = 1, verbose = FALSE)
    if (quiet) suppressMessages(call()) else call()
}

test_that("genes are matched by name: their order does not matter, strangers are left out, missing ones are zeros", {
    post <- reference_post()
    z <- latent_matrix(map(post))
    shuffled <- rbind(query_counts, stranger1 = 5, stranger2 = 0)[withr::with_seed(3, sample(42)), ]
    expect_identical(latent_matrix(map(post, shuffled)), z)
    fewer <- query_counts[c(30:40, 1:20), ]
    zeros <- query_counts
    zeros[21:29, ] <- 0
    expect_identical(latent_matrix(map(post, fewer)), latent_matrix(map(post, zeros)))
    expect_identical(as.matrix(map(post, fewer)@gene_dataset@counts), zeros)
    expect_message(map(post, fewer, quiet = FALSE), "31 of the 40 genes.*zeros: \"g21\"", class = "rscvi_missing_genes")
    expect_warning(map(post, query_counts[1:10, ]), "10 of the 40 genes", class = "rscvi_few_genes")
    # Where the encoder is asked directly.
    expect_equal(unname(z), inference(model(post), t(query_counts), batch_index = rep("b1", 20), seed = 1)$qz_m,
        tolerance = 1e-6)
})

test_that("new batches get columns of their own, and the reference keeps its answers to the bit", {
    for (make in list(VAE, LDVAE, VAEC, SCANVI)) {
        for (encode in c(FALSE, TRUE)) {
            post <- reference_post(make, encode_covariates = encode, dispersion = "gene-batch")
            before <- state_dict(model(post))
            query <- map(post, batch = rep(c("b2", "new", "newer"), length.out = 20), n_epochs = 2)
            expect_identical(state_dict(model(post)), before)
            expect_identical(model(query)@batch_levels, c("b1", "b2", "new", "newer"))
            again <- Posterior(model(query), post@gene_dataset)
            expect_identical(latent_matrix(again), latent_matrix(post))
            # A linear decoder multiplies a wider matrix.
            rounding <- if (identical(make, LDVAE)) 1e-5 else 0
            expect_equal(elbo(again, seed = 1), elbo(post, seed = 1), tolerance = rounding)
            expect_equal(get_sample_scale(again, seed = 1), get_sample_scale(post, seed = 1), tolerance = rounding)
            # The columns of new batches moved, and no others.
            start <- state_dict(model(map(post, batch = rep(c("b2", "new", "newer"), length.out = 20))))
            after <- state_dict(model(query))
            expect_identical(after$px_r[, 1:2], before$px_r)
            expect_true(all(after$px_r[, 3:4] != start$px_r[, 3:4]))
            expect_equal(start$px_r[, 3], rowMeans(before$px_r), tolerance = 1e-6)
            moved <- names(after)[!mapply(identical, after, start)]
            expect_true(all(grepl("^px_r$|^decoder.*\\.0\\.weight$|^[zl]_encoder.*\\.0\\.weight$", moved)))
            expect_identical(any(grepl("encoder", moved)), encode)
        }
    }
})

test_that("training the new columns makes the new cells more likely", {
    post <- reference_post()
    start <- map(post)
    trained <- map(post, n_epochs = 100)
    expect_lt(reconstruction_error(trained, seed = 1), reconstruction_error(start, seed = 1))
    expect_identical(latent_matrix(trained), latent_matrix(start))
    expect_identical(map(post, n_epochs = 3)@model@state$weights, map(post, n_epochs = 3)@model@state$weights)
})

test_that("known batches use their columns; without a name cells are one new batch; a model without batches has none", {
    post <- reference_post()
    known <- map(post, batch = rep("b2", 20))
    expect_identical(state_dict(model(known)), state_dict(model(post)))
    expect_identical(as.character(batch_indices(known@gene_dataset)), rep("b2", 20))
    expect_message(map(post, quiet = FALSE), "\"query\" is a new batch.*\"b1\" and \"b2\"", class = "rscvi_new_batches")
    expect_identical(levels(batch_indices(map(post)@gene_dataset)), c("b1", "b2", "query"))
    again <- map(map(post))
    expect_identical(levels(batch_indices(again@gene_dataset)), c("b1", "b2", "query", "query.1"))
    # A known batch's cells are held against its library sizes, whatever other cells come along.
    expect_identical(unique(local_means(known@gene_dataset)), library_prior(post@gene_dataset)$mean[2])
    dataset <- GeneExpressionDataset(as_dgc(toy))
    plain <- Posterior(VAE(dataset, n_batch = 0, n_hidden = 8, n_latent = 3, seed = 1), dataset)
    expect_identical(state_dict(model(map(plain))), state_dict(model(plain)))
    # One batch has no columns; it gets some, which leave its cells as they were.
    single <- Posterior(VAE(dataset, n_hidden = 8, n_latent = 3, seed = 1), dataset)
    query <- map(single, n_epochs = 2)
    expect_identical(elbo(Posterior(model(query), dataset), seed = 1), elbo(single, seed = 1))
})

test_that("labels spread from the cells of the reference that are nearest to new ones", {
    post <- reference_post()
    # Cells of the reference themselves: with one neighbour, each is its own.
    self <- map(post, toy, batch = rep(c("b1", "b2"), 12), k = 1)
    expect_identical(as.character(cell_data(self)$transferred_label), toy_labels)
    expect_identical(cell_data(self)$transferred_probability, rep(1, 24))

    by_hand <- function(post, k) {
        from <- latent_matrix(post)
        to <- latent_matrix(map(post))
        distance <- as.matrix(stats::dist(rbind(from, to)))[25:44, 1:24]
        near <- sort(unique(as.vector(apply(distance, 1, function(d) order(d)[seq_len(k)]))))
        q <- spread_by_hand(rbind(from[near, ], to), c(toy_labels[near], rep(NA, 20)), k, alpha = 0.8)
        q[-seq_along(near), ]
    }
    # Of a model with a classifier, too: it has not seen such cells, and says what it thinks in compute_predictions().
    for (make in list(VAE, SCANVI)) {
        post <- reference_post(make)
        three <- cell_data(map(post, k = 3))
        expected <- by_hand(post, 3)
        expect_identical(as.character(three$transferred_label), c("B", "T")[max.col(expected)])
        expect_equal(three$transferred_probability, unname(pmax(expected[, 1], expected[, 2])), tolerance = 2e-3)
    }
    # Of some cells of the reference alone, and none without labels.
    some <- map(update_sampler_indices(post, which(toy_labels == "T")))
    expect_null(cell_data(some)$transferred_label)
    expect_identical(nrow(cell_data(update_sampler_indices(map(post), 3:5))), 3L)
    # As many neighbours as there are, with a warning where they were asked for.
    pair <- update_sampler_indices(post, c(1, 13))
    expect_warning(two <- map(pair), NA)
    expect_warning(expect_identical(cell_data(map(pair, k = 15)), cell_data(two)), "`k` is 15",
        class = "rscvi_few_cells")
})

test_that("new cells that lie apart from the reference have the vote of its nearest cells", {
    post <- reference_post()
    query <- map(post)
    # Cells of the query that no cell of the reference is near to: neighbours of one another, and of nothing else.
    from <- latent_matrix(post)
    to <- latent_matrix(query)
    apart <- to + 1e3 * abs(from[rep(1, 20), ])
    mapped <- transferred_of(from, toy_labels, apart, k = 3)
    distance <- as.matrix(stats::dist(rbind(from, apart)))[25:44, 1:24]
    by_hand <- apply(distance, 1, function(d) mean(toy_labels[order(d)[1:3]] == "T"))
    expect_equal(mapped[, "T"], by_hand, ignore_attr = TRUE)
})

test_that("a VAEC, which places cells by their labels, asks its classifier: given labels do not decide", {
    post <- reference_post(VAEC)
    query <- map(post)
    predicted <- compute_predictions(query)
    expect_identical(cell_data(query)$transferred_label, predicted$prediction)
    expect_identical(cell_data(query)$transferred_probability, predicted$probability)
    for (make in list(VAEC, SCANVI, VAE)) {
        post <- reference_post(make)
        told <- function(labels) {
            cell_data(map(post, labels = labels))[c("transferred_label", "transferred_probability")]
        }
        expect_identical(told(rep("T", 20)), told(rep(c("B", "T"), 10)))
    }
})

test_that("labels of the query are those of the reference, or not known", {
    scanvi <- reference_post(SCANVI)
    given <- map(scanvi, labels = rep(c("T", NA), 10))
    expect_identical(levels(labels(given@gene_dataset)), levels(labels(scanvi@gene_dataset)))
    expect_identical(accuracy(given), mean(predict(given)$prediction[c(TRUE, FALSE)] == "T"))
    expect_true(is.na(accuracy(map(scanvi))))
    expect_error(map(scanvi, labels = rep(c("T", "neuron"), 10)), "\"neuron\".*reference.*\"B\" and \"T\"",
        class = "rscvi_unknown_labels")
})

test_that("queries that cannot be mapped are refused by name, and nothing is lost", {
    post <- reference_post()
    before <- state_dict(model(post))
    strangers <- query_counts
    rownames(strangers) <- paste0("ENSG", 1:40)
    expect_error(map(post, strangers), "none of the 40 genes.*\"g1\".*\"ENSG1\"", class = "rscvi_no_common_genes")
    empty <- rbind(query_counts, other = 1)
    empty[1:40, 7] <- 0
    expect_error(map(post, empty), "1 of 20 cells.*no counts of the model's genes.*\"q7\"", class = "rscvi_empty_cells")
    expect_error(map(post, query_counts / 2), "fractional", class = "rscvi_invalid_counts")
    expect_error(map(post, n_epochs = -1), "`n_epochs`", class = "rscvi_invalid_argument")
    expect_error(map(post, k = 0), "`k`", class = "rscvi_invalid_argument")
    expect_error(map(update_sampler_indices(post, integer())), class = "rscvi_empty_posterior")
    expect_error(map_query(model(post), query_counts), class = "error")
    expect_error(map(post, query_counts[, 1, drop = FALSE]), "at least two cells a batch",
        class = "rscvi_degenerate_batch")
    expect_warning(map(post, query_counts[, 1:2], n_epochs = 1), "2 cells are too few to train",
        class = "rscvi_too_few_cells")
    labelled <- GeneExpressionDataset(as_dgc(toy), labels = toy_labels)
    expect_error(map(Posterior(Classifier(labelled, n_hidden = 4, seed = 1), labelled)),
        class = "rscvi_no_model_of_counts")
    expect_identical(state_dict(model(post)), before)
})

test_that("covariates of the query are checked against the model's, and a mapped posterior is saved", {
    cells <- data.frame(donor = rep(c("d1", "d2"), 12), age = 1:24)
    dataset <- GeneExpressionDataset(as_dgc(toy), batch = rep(c("b1", "b2"), 12), covariates = cells)
    post <- Posterior(VAE(dataset, n_hidden = 8, n_latent = 3, seed = 1), dataset)
    of_query <- data.frame(age = 20:1, donor = rep("d2", 20))
    query <- map(post, covariates = of_query, n_epochs = 1)
    expect_identical(names(covariates(query@gene_dataset)), c("donor", "age"))
    expect_identical(elbo(Posterior(model(query), dataset), seed = 1), elbo(post, seed = 1))
    expect_error(map(post), "\"donor\" and \"age\"", class = "rscvi_model_mismatch")
    expect_error(map(post, covariates = transform(of_query, donor = "d3")), "\"d3\"", class = "rscvi_model_mismatch")
    dir <- withr::local_tempfile()
    save_posterior(query, dir)
    expect_identical(get_sample_scale(load_posterior(dir), seed = 1), get_sample_scale(query, seed = 1))
})

test_that("what runSCVI() fitted can be mapped onto, from a SingleCellExperiment", {
    skip_if_not_installed("SingleCellExperiment")
    as_sce <- function(counts, ...) {
        SingleCellExperiment::SingleCellExperiment(list(counts = counts), colData = data.frame(...))
    }
    fitted <- runSCVI(as_sce(toy, sample = toy_batch, type = toy_labels), batch = "sample", labels = "type",
        n_epochs = 1, n_hidden = 8, n_latent = 2, subset_row = 5:40, seed = 1)
    query <- map(posterior(fitted), as_sce(query_counts, sample = rep("s9", 20)), batch = "sample", n_epochs = 1)
    expect_identical(nb_genes(query@gene_dataset), 36L)
    expect_identical(cell_data(query)$sample, rep("s9", 20))
    expect_false(anyNA(cell_data(query)$transferred_label))
})

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
