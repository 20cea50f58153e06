# Differential expression of populations of a posterior's cells, and cluster by cluster.

# Three labels, of which "z" has more of the first genes; a model trained enough to see it.
de_posterior <- local({
    post <- NULL
    function() {
        if (is.null(post)) {
            withr::with_seed(1, {
                n <- 150
                labels <- rep(c("x", "y", "z"), each = n / 3)
                mu <- matrix(rep(rexp(20, 0.2) + 1, n), 20)
                mu[1:3, labels == "z"] <- mu[1:3, labels == "z"] * 8
                counts <- matrix(rpois(20 * n, mu), 20, dimnames = list(paste0("g", 1:20), paste0("c", seq_len(n))))
                dataset <- GeneExpressionDataset(counts, batch = rep(c("a", "b"), n / 2), labels = labels)
            })
            vae <- VAE(dataset, n_hidden = 32, n_latent = 3, reconstruction_loss = "nb", seed = 1)
            trainer <- UnsupervisedTrainer(vae, dataset, n_epochs_kl_warmup = NULL, train_size = 1)
            train(trainer, n_epochs = 150, lr = 5e-3, seed = 1)
            post <<- create_posterior(trainer)
        }
        post
    }
})
label_of <- function(post) as.character(labels(post@gene_dataset))

test_that("a population's samples are the shares of its cells, decoded as the batches asked for", {
    post <- de_posterior()
    cells <- which(label_of(post) == "z")
    samples <- scale_sampler(post, cells, n_samples = 4000, seed = 1)
    expect_equal(rowSums(samples$scale), rep(1, 4000), tolerance = 1e-5)
    expect_identical(as.vector(table(samples$batch)), c(2000L, 2000L))
    # The mean over samples is the mean share that get_sample_scale() gives, decoded as the same batch.
    for (batch in c("a", "b")) {
        one <- scale_sampler(post, cells, n_samples = 4000, batchid = batch, give_mean = TRUE, seed = 2)$scale
        wanted <- colMeans(get_sample_scale(update_sampler_indices(post, cells), transform_batch = batch,
            n_samples = 100, seed = 3))
        expect_equal(one, wanted, tolerance = 0.02)
        both <- colMeans(samples$scale[samples$batch == batch, ])
        expect_equal(both, wanted, tolerance = 0.02)
    }
    observed <- scale_sampler(post, cells, n_samples = 10, use_observed_batches = TRUE, seed = 1)
    expect_true(all(is.na(observed$batch)))
})

test_that("the number of samples follows n_samples, or the number of selected cells", {
    post <- de_posterior()
    rows <- function(...) nrow(scale_sampler(post, ..., seed = 1)$scale)
    expect_equal(rows(1:10, n_samples = 100), 100)
    mask <- seq_len(150) <= 10
    # 0.6.8 multiplies by the length of the mask.
    expect_equal(rows(mask, n_samples_per_cell = 4), 40)
    expect_warning(expect_equal(rows(1:10, n_samples = 50, n_samples_per_cell = 4), 50),
        class = "rscvi_ignored_argument")
    expect_warning(expect_equal(rows(1:10, n_samples = 1), 4), class = "rscvi_few_samples")
})

test_that("a posterior is the same after differential expression as before", {
    # 0.6.8 leaves it with the cells that were drawn last.
    post <- de_posterior()
    before <- list(post@indices, elbo(post, seed = 1))
    get_bayes_factors(post, 1:20, 60:80, n_samples = 40, seed = 1)
    expect_identical(list(post@indices, elbo(post, seed = 1)), before)
})

test_that("the genes that differ come first, with the sign of the difference", {
    post <- de_posterior()
    for (M in list(10000, Inf)) {
        de <- differential_expression_score(post, group1 = "z", mode = "change", n_samples = 1000,
            use_permutation = TRUE, M_permutation = M, seed = 1)
        expect_setequal(rownames(de)[1:3], c("g1", "g2", "g3"))
        expect_true(all(de$lfc_mean[1:3] > 1))
        expect_true(all(diff(de$proba_de) <= 0))
    }
    # The other way round, the sign turns.
    back <- differential_expression_score(post, group1 = "x", group2 = "z", mode = "change", n_samples = 1000, seed = 1)
    expect_true(all(back[c("g1", "g2", "g3"), "lfc_mean"] < -1))
})

test_that("the table has 0.6.8's columns, and statistics of the raw counts", {
    post <- de_posterior()
    z <- label_of(post) == "z"
    de <- differential_expression_score(post, z, !z, n_samples = 100, seed = 1)
    expect_identical(names(de), c("proba_m1", "proba_m2", "bayes_factor", "scale1", "scale2", "raw_mean1", "raw_mean2",
        "non_zeros_proportion1", "non_zeros_proportion2", "raw_normalized_mean1", "raw_normalized_mean2"))
    counts <- as.matrix(counts(post@gene_dataset))[rownames(de), ]
    expect_equal(de$raw_mean1, unname(rowMeans(counts[, z])))
    expect_equal(de$non_zeros_proportion2, unname(rowMeans(counts[, !z] > 0)))
    expect_false("raw_mean1" %in% names(differential_expression_score(post, z, !z, n_samples = 100, all_stats = FALSE)))
    # get_bayes_factors() keeps the order of the data set.
    factors <- get_bayes_factors(post, z, !z, n_samples = 100, seed = 1)
    expect_identical(rownames(factors), gene_names(post@gene_dataset))
    expect_equal(factors[rownames(de), "bayes_factor"], de$bayes_factor)
})

test_that("ties keep the order of the data set", {
    table <- data.frame(bayes_factor = c(1, 3, 1, 3, 2), row.names = letters[1:5])
    expect_identical(rownames(sort_by_evidence(table)), c("b", "d", "e", "a", "c"))
})

test_that("the same seed gives the same table, and set.seed() decides without one", {
    post <- de_posterior()
    run <- function(...) get_bayes_factors(post, 1:20, 60:80, n_samples = 60, ...)
    expect_identical(run(seed = 3), run(seed = 3))
    expect_false(identical(run(seed = 3), run(seed = 4)))
    set.seed(5)
    first <- run()
    set.seed(5)
    expect_identical(run(), first)
})

test_that("names, indices and masks of cells say the same", {
    post <- de_posterior()
    by_index <- get_bayes_factors(post, 1:20, 101:150, n_samples = 60, seed = 1)
    cells <- cell_names(post@gene_dataset)
    expect_identical(get_bayes_factors(post, cells[1:20], cells[101:150], n_samples = 60, seed = 1), by_index)
    mask <- seq_len(150)
    expect_identical(get_bayes_factors(post, mask <= 20, mask > 100, n_samples = 60, seed = 1), by_index)
})

test_that("an automatic pseudocount is the model's level of genes that are not there", {
    post <- de_posterior()
    dataset <- post@gene_dataset
    z <- which(label_of(post) == "z")
    population <- sample_population(post, z, 200L, 1:2, 1)
    estimate <- function(post, first, second, how = "auto") {
        settings <- list(pseudocount = how, change = TRUE)
        with_pseudocount(settings, post, first, second, population, population)$pseudocount
    }
    # All genes are expressed here: the floor.
    expect_equal(estimate(post, z, z), 1e-10)
    vanilla <- function(...) get_bayes_factors(post, 1:20, 60:80, n_samples = 60, seed = 1, ...)
    expect_identical(vanilla(pseudocounts = "auto"), vanilla())
    expect_identical(with_pseudocount(list(pseudocount = 3), post, z, z, population, population)$pseudocount, 3)
    silent <- post
    silent@gene_dataset@counts[c("g5", "g6"), z] <- 0
    largest <- apply(population_scale_cpp(population, 5L, 2L), 2, max)
    expected <- quantile(largest, 0.9, names = FALSE)
    expect_equal(estimate(silent, z, 1:10), expected)
    expect_s3_class(get_bayes_factors(post, 1:20, 60:80, mode = "change", pseudocounts = "auto", n_samples = 60),
        "data.frame")
    # Cluster by cluster: genes that are not there have less of a change than without one.
    changes <- function(ask, ...) {
        tables <- ask(silent, ..., mode = "change", M_permutation = Inf, n_samples = 400, seed = 1)
        vapply(tables, function(table) abs(table["g5", "lfc_mean"]), 0)
    }
    expect_true(all(changes(one_vs_all_degenes, pseudocounts = "auto") < changes(one_vs_all_degenes)))
    states <- rep(c(TRUE, FALSE), 75)
    # The states are the batches.
    within <- function(...) {
        suppressMessages(changes(within_cluster_degenes, states = states, ...), classes = "rscvi_confounded")
    }
    expect_lt(within(pseudocounts = "auto")[["z"]], within()[["z"]])
    # Three counts of the population that has fewer: what is seen there with 95 % confidence.
    fewer <- min(sum(counts(dataset)[, z]), sum(counts(dataset)[, 1:10]))
    expect_equal(estimate(post, z, 1:10, "detection"), 3 / fewer)
    expect_equal(estimate(post, 1:10, z, "detection"), 3 / fewer)
    expect_equal(1 - (1 - 3 / fewer)^fewer, 0.95, tolerance = 0.01)
    ask <- function(x) {
        get_bayes_factors(post, z, 1:10, mode = "change", M_permutation = Inf, pseudocounts = x, seed = 1)
    }
    expect_identical(ask("detection"), ask(3 / fewer))
    expect_identical(vanilla(pseudocounts = "detection"), vanilla())
    expect_error(one_vs_all_degenes(post, pseudocounts = "many"), "pseudocounts.*\"auto\".*\"many\"",
        class = "rscvi_invalid_argument")
    expect_error(bayes_factors_from_scales(matrix(1), matrix(1), pseudocounts = "auto"), "pseudocounts.*number",
        class = "rscvi_invalid_argument")
})

test_that("one against all agrees with the comparison made by hand", {
    post <- de_posterior()
    markers <- one_vs_all_degenes(post, n_samples = 2000, mode = "change", M_permutation = Inf, seed = 1)
    expect_identical(names(markers), c("x", "y", "z"))
    for (type in names(markers)) {
        by_hand <- differential_expression_score(post, group1 = type, mode = "change", n_samples = 2000,
            M_permutation = Inf, seed = 2)
        table <- markers[[type]][rownames(by_hand), ]
        expect_equal(table$proba_de, by_hand$proba_de, tolerance = 0.1)
        expect_lt(max(abs(table$lfc_mean - by_hand$lfc_mean)), 0.15)
        expect_equal(table[names(by_hand)[grepl("raw|zeros", names(by_hand))]],
            by_hand[grepl("raw|zeros", names(by_hand))])
        expect_identical(unique(table$clusters), type)
    }
    expect_setequal(rownames(markers$z)[1:3], c("g1", "g2", "g3"))
})

test_that("clusters go by their value, be it a name or a number", {
    # 0.6.8 compares with the position: labels 5 and 7 give nothing there.
    post <- de_posterior()
    numbers <- c(x = 5, y = 7, z = 9)[label_of(post)]
    by_number <- one_vs_all_degenes(post, cell_labels = numbers, n_samples = 200, seed = 1)
    expect_identical(names(by_number), c("5", "7", "9"))
    expect_equal(by_number[["9"]]["g1", "raw_mean1"],
        mean(counts(post@gene_dataset)["g1", label_of(post) == "z"]))
    few <- label_of(post)
    few[1:8] <- "rare"
    numbers[1:8] <- -1
    expect_identical(names(one_vs_all_degenes(post, cell_labels = few, n_samples = 60, seed = 1)), c("x", "y", "z"))
    unlabelled <- one_vs_all_degenes(post, cell_labels = numbers, n_samples = 60, seed = 1)
    expect_identical(names(unlabelled), c("5", "7", "9"))
    # Cells of no cluster still count among all others.
    expect_equal(unlabelled[["9"]]["g1", "raw_mean2"], mean(counts(post@gene_dataset)["g1", label_of(post) != "z"]))
    some <- one_vs_all_degenes(post, subset = label_of(post) != "y", n_samples = 60, seed = 1)
    expect_identical(names(some), c("x", "z"))
})

test_that("states within clusters are compared cluster by cluster", {
    post <- de_posterior()
    states <- seq_len(150) %% 2 == 0
    expect_message(tables <- within_cluster_degenes(post, states, n_samples = 200, seed = 1),
        class = "rscvi_confounded")
    expect_identical(names(tables), c("x", "y", "z"))
    inside <- states & label_of(post) == "y"
    expect_equal(tables$y["g4", "raw_mean1"], mean(counts(post@gene_dataset)["g4", inside]))
    expect_error(within_cluster_degenes(post, states[-1]), "states", class = "rscvi_invalid_argument")
})

test_that("a spreadsheet has one legal sheet a cluster", {
    skip_if_not_installed("openxlsx")
    names <- sheet_names(c("CD4+ T [naive]/memory", "a:b", "A_b", strrep("x", 40), strrep("x", 41), "'q'", "?"))
    expect_true(all(nchar(names) <= 31))
    expect_false(any(grepl("[][\\\\/?*:]", names)))
    expect_identical(anyDuplicated(tolower(names)), 0L)
    folder <- withr::local_tempdir()
    tables <- one_vs_all_degenes(de_posterior(), n_samples = 60, output_file = TRUE, save_dir = folder, seed = 1)
    file <- file.path(folder, "differential_expression.one2all.xlsx")
    expect_identical(openxlsx::getSheetNames(file), c("x", "y", "z"))
    read <- openxlsx::read.xlsx(file, sheet = "z", rowNames = TRUE)
    expect_equal(read$bayes_factor, tables$z$bayes_factor)
    expect_identical(rownames(read), rownames(tables$z))
})

test_that("the deprecated samples come cell by cell, with a warning", {
    post <- update_sampler_indices(de_posterior(), c(1, 120))
    expect_warning(samples <- differential_expression_stats(post, M_sampling = 3, seed = 1), class = "rscvi_deprecated")
    array <- get_sample_scale(post, n_samples = 3, return_mean = FALSE, seed = 1)
    expect_equal(unname(samples$px_scales[5, ]), unname(array[2, 2, ]))
    expect_identical(as.character(samples$labels), c("x", "x", "x", "z", "z", "z"))
})

test_that("bad input is named, and the session goes on", {
    post <- de_posterior()
    bad <- function(..., class = "rscvi_invalid_argument", match) {
        expect_error(get_bayes_factors(post, ..., n_samples = 20), match, class = class)
    }
    bad(match = "idx1")
    bad(1:10, match = "idx2")
    bad(integer(0), 1:10, match = "idx1", class = "rscvi_empty_population")
    bad(1:10, 10:20, match = "overlap", class = "rscvi_overlapping_populations")
    bad(c(TRUE, FALSE), 1:10, match = "mask of length 2")
    bad(1:10, 500, match = "idx2")
    bad("nobody", 1:10, match = "nobody")
    bad(group1 = "w", match = "\"w\"")
    bad(group1 = "x", group2 = "w", match = "group2")
    bad(group2 = "x", match = "group1")
    bad(1:10, 20:30, group1 = "x", match = "not both")
    bad(1:10, 20:30, batchid1 = "c", match = "batchid1")
    bad(1:10, 20:30, batchid1 = "a", use_observed_batches = TRUE, match = "exclude")
    bad(1:10, 20:30, mode = "change", delta = -1, match = "delta")
    expect_error(get_bayes_factors(post, 1:10, 20:30, n_samples = 0), "n_samples", class = "rscvi_invalid_argument")
    expect_error(one_vs_all_degenes(post, min_cells = 100), "min_cells|more than 100", class = "rscvi_empty_population")
    expect_error(one_vs_all_degenes(post, cell_labels = 1:3), "cell_labels", class = "rscvi_invalid_argument")
    expect_error(one_vs_all_degenes(post, output_file = TRUE, save_dir = "/no/such/folder"), "save_dir",
        class = "rscvi_invalid_argument")
    expect_error(scale_sampler(post, NULL), "selection", class = "rscvi_invalid_argument")
    expect_s3_class(get_bayes_factors(post, 1:10, 20:30, n_samples = 20), "data.frame")
})

test_that("few samples: as many of each batch as there are, or two where that is none", {
    post <- de_posterior()
    rows <- function(n, batches) nrow(scale_sampler(post, 1:10, n_samples = n, batchid = batches, seed = 1)$scale)
    expect_identical(rows(1, "a"), 1L)
    expect_identical(rows(3, NULL), 2L)
    expect_warning(expect_identical(rows(1, NULL), 4L), class = "rscvi_few_samples")
    for (n in 1:3) {
        tables <- suppressWarnings(one_vs_all_degenes(post, n_samples = n, seed = 1), classes = "rscvi_few_samples")
        expect_identical(names(tables), c("x", "y", "z"))
    }
})

test_that("each population is decoded as the batches that are asked for", {
    post <- de_posterior()
    mean_scale <- function(cells, batch, seed) {
        observed <- identical(batch, "observed")
        unname(colMeans(scale_sampler(post, cells, n_samples = 60, batchid = if (!observed) batch,
            use_observed_batches = observed, seed = seed)$scale))
    }
    seeds <- split_seed(1, 3)
    one <- get_bayes_factors(post, 1:20, 60:80, batchid1 = "a", batchid2 = "b", n_samples = 60, seed = 1)
    expect_equal(one$scale1, mean_scale(1:20, "a", seeds[1]), tolerance = 1e-6)
    expect_equal(one$scale2, mean_scale(60:80, "b", seeds[2]), tolerance = 1e-6)
    expect_gt(max(abs(one$scale2 / mean_scale(60:80, "a", seeds[2]) - 1)), 0.01)
    own <- get_bayes_factors(post, 1:20, 60:80, use_observed_batches = TRUE, n_samples = 60, seed = 1)
    expect_equal(own$scale1, mean_scale(1:20, "observed", seeds[1]), tolerance = 1e-6)
    # Within clusters, with the cells of one batch as the state.
    states <- rep(c(TRUE, FALSE), 75)
    within <- within_cluster_degenes(post, states, batch1 = "a", batch2 = "b", n_samples = 60, seed = 1)$z
    seeds <- split_seed(1, 9)[7:9]
    z <- which(label_of(post) == "z")
    genes <- gene_names(post@gene_dataset)
    expect_equal(within[genes, "scale1"], mean_scale(z[states[z]], "a", seeds[1]), tolerance = 1e-6)
    expect_equal(within[genes, "scale2"], mean_scale(z[!states[z]], "b", seeds[2]), tolerance = 1e-6)
})

test_that("all others weigh as their numbers of cells", {
    post <- de_posterior()
    y <- which(label_of(post) == "y")[1:12]
    z <- which(label_of(post) == "z")
    subset <- c(which(label_of(post) == "x"), y, z)
    others <- one_vs_all_degenes(post, subset = subset, n_samples = 8000, seed = 1)$x[paste0("g", 1:3), "scale2"]
    mean_of <- function(cells) colMeans(scale_sampler(post, cells, n_samples = 8000, seed = 2)$scale)[1:3]
    by_cells <- (12 * mean_of(y) + 50 * mean_of(z)) / 62
    by_cluster <- (mean_of(y) + mean_of(z)) / 2
    expect_true(all(abs(others - by_cells) < abs(by_cluster - by_cells) / 5))
})

test_that("functions of the user's see blocks of genes, and give what the default gives", {
    post <- de_posterior()
    ask <- function(...) {
        get_bayes_factors(post, 1:20, 60:80, mode = "change", n_samples = 100, use_permutation = TRUE,
            M_permutation = 3e5, seed = 1, ...)
    }
    seen <- 0L
    custom <- ask(change_fn = function(a, b) {
        seen <<- max(seen, ncol(a))
        log2(a) - log2(b)
    })
    expect_identical(seen, 13L)  # of 20 genes: 3e5 pairs of so many are 2^22 numbers
    # Up to the rounding of the decoder's single precision, which depends on how many genes are decoded at once.
    expect_lt(max(abs(as.matrix(custom) - as.matrix(ask()))), 1e-3)
})

test_that("spreadsheets that cannot be written are refused before anything is computed", {
    skip_if_not_installed("openxlsx")
    post <- de_posterior()
    dir <- withr::local_tempdir()
    write <- function(filename) one_vs_all_degenes(post, output_file = TRUE, save_dir = dir, filename = filename)
    expect_error(write("no/such"), "filename.*slash", class = "rscvi_invalid_argument")
    expect_error(write(""), "filename", class = "rscvi_invalid_argument")
    dir.create(file.path(dir, "differential_expression.here.xlsx"))
    expect_error(write("here"), "is a folder", class = "rscvi_unwritable_file")
    expect_identical(list.files(file.path(dir, "differential_expression.here.xlsx")), character(0))
})

test_that("a mask that picks no batch is an error, not all batches", {
    post <- de_posterior()
    none <- c(FALSE, FALSE)
    for (call in list(function() scale_sampler(post, 1:10, batchid = none),
        function() get_sample_scale(post, transform_batch = none),
        function() get_bayes_factors(post, 1:10, 60:70, batchid1 = none))) {
        expect_error(call(), "names no batch", class = "rscvi_invalid_argument")
    }
})

test_that("genes with next to no counts do not top the list with an automatic pseudocount", {
    withr::with_seed(1, {
        n <- 150
        z <- rep(c(FALSE, TRUE), each = n / 2)
        mu <- matrix(rep(c(rexp(20, 0.2) + 2, rep(c(0.03, 0), c(60, 10))), n), 90)
        mu[1:3, z] <- mu[1:3, z] * 8
        dataset <- GeneExpressionDataset(matrix(rpois(90 * n, mu), 90, dimnames = list(paste0("g", 1:90), NULL)))
    })
    vae <- VAE(dataset, n_hidden = 32, n_latent = 3, reconstruction_loss = "nb", library = "observed", seed = 1)
    trainer <- UnsupervisedTrainer(vae, dataset, n_epochs_kl_warmup = NULL, train_size = 1)
    post <- create_posterior(train(trainer, n_epochs = 150, lr = 1e-2, seed = 1))
    ask <- function(...) {
        differential_expression_score(post, z, !z, mode = "change", n_samples = 1000, fdr_target = 0.05, seed = 1, ...)
    }
    low <- paste0("g", 21:90)
    plain <- ask()
    expect_gt(sum(plain[low, "is_de_fdr_0.05"]), 10)
    mended <- ask(pseudocounts = "auto")
    expect_identical(sum(mended[low, "is_de_fdr_0.05"]), 0L)
    expect_setequal(rownames(mended)[1:3], c("g1", "g2", "g3"))
    # It takes from changes of genes that are hardly there, and next to nothing from the others'.
    kept <- function(genes) abs(mended[genes, "lfc_median"] / plain[genes, "lfc_median"])
    expect_true(all(kept(low) < 0.75))
    expect_true(all(kept(c("g1", "g2", "g3")) > 0.95))
})
