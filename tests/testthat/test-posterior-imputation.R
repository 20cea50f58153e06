# imputation_list(), imputation_score(), imputation_benchmark().

# The data set of a reference folder with the corrupted counts that 0.6.8 was given.
corrupted_reference <- function(ref) {
    dataset <- reference_dataset(ref)
    dense <- as.matrix(counts(dataset))
    dense[cbind(ref$corrupted$gene, ref$corrupted$cell) + 1L] <- ref$corrupted$corrupted
    stored <- cbind(counts(dataset)@i + 1L, rep(seq_len(ncol(dense)), diff(counts(dataset)@p)))
    dataset@corrupted <- dense[stored]
    dataset
}

nothing <- function(n_cells, n_latent) list(z = matrix(0, n_cells, n_latent), library = matrix(0, n_cells, 1))

dataset <- corrupt(small_dataset(), 0.4, "binomial", seed = 2)
model <- small_model(dataset)
post <- Posterior(model, dataset, data_loader_kwargs = list(batch_size = 13))
n <- nb_cells(dataset)
noise <- withr::with_seed(1, list(z = array(stats::rnorm(3 * n * 3), c(3, n, 3)),
    library = array(stats::rnorm(3 * n), c(3, n, 1))))

for (folder in c("p1_vae_zinb_gene", "p2_vae_nb_genebatch_2layers", "p3_vae_poisson_ln_nobatch")) {
    test_that(paste(folder, "imputes corrupted entries as 0.6.8 does"), {
        ref <- reference(folder)
        expected <- ref$expected
        damaged <- corrupted_reference(ref)
        for (batch_size in c(32, 1000)) {
            some <- Posterior(reference_model(ref), damaged, data_loader_kwargs = list(batch_size = batch_size))
            none <- nothing(nb_cells(damaged), ref$config$n_latent)
            table <- imputation_list(some, noise = none)
            expect_identical(names(table), c("cell", "gene", "sample", "original", "imputed"))
            expect_identical(table$cell, cell_names(damaged)[expected$imputation_list.cell + 1L])
            expect_identical(table$gene, gene_names(damaged)[ref$corrupted$gene + 1L])
            expect_identical(table$sample, rep(1L, nrow(table)))
            expect_identical(table$original, as.numeric(expected$imputation_list.original))
            expect_close(table$imputed, expected$imputation_list.imputed)
            expect_close(imputation_score(table), expected$imputation_score)
            expect_close(imputation_score(some, noise = none), expected$imputation_score)
            benchmark <- imputation_benchmark(some, n_samples = 1, show_plot = FALSE, noise = none)
            expect_identical(benchmark$table, table)
            expect_close(benchmark$score, expected$imputation_score)
            expect_close(benchmark$mean_of_cell_medians, expected$imputation_mean_of_cell_medians)
        }
    })
}

test_that("rows are by cell, draw and gene, with the rate that the corrupted counts give", {
    cells <- c(9, 3, 44, 3)
    some <- update_sampler_indices(post, cells)
    those <- lapply(noise, function(x) x[, seq_along(cells), , drop = FALSE])
    table <- imputation_list(some, n_samples = 3, noise = those)
    rates <- imputation(corrupted(some), n_samples = 3, noise = those)
    before <- t(as.matrix(counts(dataset)))[cells, ]
    after <- t(as.matrix(corrupted_counts(dataset)))[cells, ]
    wanted <- do.call(rbind, lapply(seq_along(cells), function(cell) {
        changed <- which(before[cell, ] != after[cell, ])
        expand.grid(gene = changed, sample = 1:3, cell = cell)
    }))
    expect_gt(nrow(wanted), 20)
    expect_identical(table$cell, make.unique(cell_names(dataset)[cells])[wanted$cell])
    expect_identical(table$gene, gene_names(dataset)[wanted$gene])
    expect_identical(table$sample, wanted$sample)
    expect_identical(table$original, unname(before[cbind(wanted$cell, wanted$gene)]))
    expect_equal(table$imputed, rates[cbind(wanted$sample, wanted$cell, wanted$gene)], tolerance = 1e-6)
    # Whichever counts the posterior reads.
    expect_identical(imputation_list(corrupted(some), n_samples = 3, noise = those), table)
})

test_that("the number of cells computed on at a time does not matter, and a seed decides the draws", {
    expect_equal(imputation_list(update(post, batch_size = 1000), 3, noise), imputation_list(post, 3, noise),
        tolerance = 1e-6)
    expect_identical(imputation_list(post, 2, seed = 5), imputation_list(post, 2, seed = 5))
    expect_false(identical(imputation_list(post, 2, seed = 5), imputation_list(post, 2, seed = 6)))
    withr::with_seed(3, first <- imputation_score(post))
    withr::with_seed(3, expect_identical(imputation_score(post), first))
})

test_that("the scores are medians of errors", {
    table <- imputation_list(post, 3, noise)
    error <- abs(table$original - table$imputed)
    expect_identical(imputation_score(table), stats::median(error))
    expect_identical(imputation_score(post, 3, noise), stats::median(error))
    benchmark <- imputation_benchmark(post, 3, show_plot = FALSE, noise = noise)
    medians <- tapply(error, factor(table$cell, cell_names(dataset)), stats::median)
    medians[is.na(medians)] <- 0
    expect_identical(sum(medians == 0) > 0, any(!cell_names(dataset) %in% table$cell))
    expect_equal(benchmark$mean_of_cell_medians, mean(medians))
    expect_identical(imputation_score(data.frame(original = c(1, 5, 2), imputed = c(2, 1, 2))), 1)
})

test_that("with nothing to impute the table is empty, the scores are 0 and the picture says so", {
    whole <- Posterior(model, corrupt(small_dataset(), rate = 0))
    table <- imputation_list(whole, seed = 1)
    expect_identical(dim(table), c(0L, 5L))
    expect_identical(vapply(table, typeof, ""),
        c(cell = "character", gene = "character", sample = "integer", original = "double", imputed = "double"))
    expect_identical(imputation_score(whole, seed = 1), 0)
    benchmark <- imputation_benchmark(whole, show_plot = FALSE, seed = 1)
    expect_identical(benchmark[c("score", "mean_of_cell_medians")], list(score = 0, mean_of_cell_medians = 0))
    built <- ggplot2::ggplot_build(benchmark$plot)
    expect_match(built$data[[1]]$label, "no corrupted entries")
})

test_that("the picture shows the density of entries below 10, and the two lines", {
    table <- data.frame(original = c(1, 1, 2, 3, 15), imputed = c(0.5, 1.5, 1, 12, 3))
    x <- c(1, 1, 2)
    y <- c(0.5, 1.5, 1)
    plot <- plot_imputation(table, "a title", "a subtitle")
    data <- ggplot2::ggplot_build(plot)$data
    density <- plot$layers[[1]]$data
    # A density: it sums to 1, and its means are those of the three points, but for what bounces off the borders.
    weight <- density$density * 0.1^2
    expect_equal(sum(weight), 1)
    expect_equal(sum(weight * density$original), mean(x), tolerance = 0.1)
    expect_equal(sum(weight * density$imputed), mean(y), tolerance = 0.1)
    expect_identical(data[[2]]$slope, 1)
    expect_equal(data[[3]]$slope, sum(x * y) / sum(x^2))
    expect_identical(unname(unlist(plot$labels[c("title", "subtitle", "x", "y")])),
        c("a title", "a subtitle", "Original count", "Imputed count"))
    # All originals the same, and a single entry, have a density too.
    for (few in list(data.frame(original = c(1, 1), imputed = c(1, 1)), data.frame(original = 4, imputed = 0))) {
        expect_equal(sum(plot_imputation(few, "", "")$layers[[1]]$data$density) * 0.01, 1)
    }
    # Nothing below 10.
    expect_length(plot_imputation(data.frame(original = 20, imputed = 1), "", "")$layers, 1L)
})

test_that("the picture is printed and saved where that is asked for", {
    dir <- withr::local_tempdir()
    withr::local_pdf(file.path(dir, "printed.pdf"))
    expect_identical(list.files(dir, "png$"), character(0))
    result <- withVisible(imputation_benchmark(post, 2, FALSE, title_plot = "counts", save_path = dir, seed = 1))
    expect_false(result$visible)
    expect_identical(names(result$value), c("table", "score", "mean_of_cell_medians", "plot"))
    expect_identical(list.files(dir, "png$"), "counts.png")
    expect_gt(file.size(file.path(dir, "counts.png")), 5000)
    expect_identical(readBin(file.path(dir, "counts.png"), "raw", 4), as.raw(c(0x89, 0x50, 0x4e, 0x47)))
    pages <- grDevices::dev.cur()
    imputation_benchmark(post, 2, seed = 1)
    expect_identical(grDevices::dev.cur(), pages)
    grDevices::dev.off()
    expect_gt(file.size(file.path(dir, "printed.pdf")), 5000)
})

test_that("bad input is an error that names the argument", {
    bad <- function(call, pattern) expect_error(call, pattern, class = "rscvi_invalid_argument")
    whole <- Posterior(model, small_dataset())
    for (method in list(imputation_list, imputation_score, imputation_benchmark)) {
        bad(method(whole), "no corrupted counts")
        for (n_samples in list(0, 1.5, NA, "a")) bad(method(post, n_samples), "n_samples")
        bad(method(post, 2, noise = list(z = matrix(0, n, 3))), "noise\\$z")
        bad(method(post, 2, seed = "a"), "seed")
        expect_error(method(update_sampler_indices(post, integer(0))), class = "rscvi_empty_posterior")
    }
    bad(imputation_score(data.frame(original = 1)), "imputed")
    bad(imputation_score(data.frame(original = 1, imputed = NA_real_)), "imputed")
    bad(imputation_score(data.frame(original = "a", imputed = 1)), "original")
    bad(imputation_benchmark(post, show_plot = NA), "show_plot")
    bad(imputation_benchmark(post, title_plot = 1), "title_plot")
    bad(imputation_benchmark(post, title_plot = "a/b", save_path = tempdir()), "title_plot")
    expect_error(imputation_benchmark(post, save_path = file.path(tempdir(), "nowhere")), "save_path",
        class = "rscvi_unwritable_file")
})
