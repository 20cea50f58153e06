# Pictures: what is drawn where, in which colour, and what legends call it.

drawn <- function(plot, layer = 1L) ggplot2::layer_data(plot, layer)
scale_of <- function(plot, aesthetic) ggplot2::ggplot_build(plot)$plot$scales$get_scales(aesthetic)
legend_names <- function(plot, aesthetic = "colour") as.character(scale_of(plot, aesthetic)$get_labels())
legend_title <- function(plot, aesthetic = "colour") scale_of(plot, aesthetic)$name
colour_of <- function(plot, groups, aesthetic = "colour") {
    unname(scale_of(plot, aesthetic)$map(as.character(groups)))
}

# Small, but with every kind of column.
plotted_posterior <- function(n_latent = 2, ...) {
    dataset <- small_dataset(n_cells = 80)
    dataset@cell_data$depth <- as.numeric(1:80)
    dataset@cell_data$donor <- rep(c("d1", "d2", "d3", "d4"), 20)
    dataset@cell_data$dead <- rep(c(TRUE, FALSE), 40)
    dataset@cell_data$x <- factor(rep(c("p", "q"), 40), levels = c("q", "p", "r"))
    dataset@cell_data$runs <- S4Vectors::Rle(c("first", "second"), c(30, 50))
    dataset@cell_data$partly <- c(NA, rep(c("k", "l"), length.out = 79))
    dataset@cell_data$many <- paste("state", seq_len(80))
    Posterior(VAE(dataset, n_hidden = 8, n_latent = n_latent, seed = 1), dataset, ...)
}

test_that("two dimensions are drawn as they are: one draw of z for each cell", {
    post <- plotted_posterior()
    plot <- show_t_sne(post, seed = 3)
    expect_s3_class(plot, "ggplot")
    data <- plot$data
    expect_setequal(data$cell, 1:80)
    expect_false(identical(data$cell, 1:80))
    z <- latent_matrix(update_sampler_indices(post, data$cell), give_mean = FALSE, seed = 3)
    expect_identical(cbind(data$x, data$y), unname(z))
    expect_identical(drawn(plot)$x, data$x)
    expect_identical(unique(drawn(plot)$colour), plain_colour)
    expect_identical(plot$labels$x, "latent 1")
    # The seed decides; without one, the session's does.
    expect_identical(show_t_sne(post, seed = 3)$data, data)
    expect_false(identical(show_t_sne(post, seed = 4)$data, data))
    set.seed(1)
    one <- show_t_sne(post)$data
    set.seed(1)
    expect_identical(show_t_sne(post)$data, one)
})

test_that("more dimensions are laid out by t-SNE, and similar cells stay together", {
    withr::local_seed(1)
    groups <- rep(1:3, each = 40)
    far <- matrix(stats::rnorm(120 * 5), 120) + 30 * (groups == 2) - 30 * (groups == 3)
    rownames(far) <- paste0("c", 1:120)
    out <- apply_t_sne(far, seed = 1)
    expect_named(out, c("latent", "idx_t_sne"))
    expect_setequal(out$idx_t_sne, 1:120)
    expect_identical(rownames(out$latent), paste0("c", out$idx_t_sne))
    expect_equal(knn_purity(out$latent, groups[out$idx_t_sne], 20), 1)
    expect_identical(apply_t_sne(far, seed = 1), out)
    expect_identical(dim(apply_t_sne(far, n_samples = 30, seed = 1)$latent), c(30L, 2L))
    expect_identical(nrow(apply_t_sne(far[1:50, ], n_samples = NULL, perplexity = 500, seed = 1)$latent), 50L)
    # Two dimensions: the chosen rows and no others.
    flat <- apply_t_sne(far[, 1:2], n_samples = 7, seed = 1)
    expect_identical(flat$latent, far[flat$idx_t_sne, 1:2])
    # Few cells, the same cell many times, and one dimension.
    expect_identical(dim(apply_t_sne(far[1:4, ], seed = 1)$latent), c(4L, 2L))
    expect_true(all(is.finite(apply_t_sne(far[rep(1:2, 10), ], seed = 1)$latent)))
    expect_identical(dim(apply_t_sne(far[, 1, drop = FALSE], seed = 1)$latent), c(120L, 2L))
    plot <- show_t_sne(plotted_posterior(n_latent = 4), n_samples = 50, seed = 1)
    expect_identical(plot$labels$x, "t-SNE 1")
    expect_identical(nrow(drawn(plot)), 50L)
})

test_that("labels and batches get a colour each, and legends name them", {
    post <- plotted_posterior()
    dataset <- post@gene_dataset
    plot <- show_t_sne(post, color_by = "labels", seed = 1)
    cells <- plot$data$cell
    expect_identical(plot$data$colour, labels(dataset)[cells])
    expect_identical(legend_names(plot), cell_types(dataset))
    expect_identical(legend_title(plot), "label")
    expect_identical(drawn(plot)$colour, distinct_colours[as.integer(labels(dataset))[cells]])
    plot <- show_t_sne(post, color_by = "batches", seed = 1)
    expect_identical(legend_names(plot), c("a", "b"))
    expect_identical(drawn(plot)$colour, distinct_colours[as.integer(batch_indices(dataset))[plot$data$cell]])
    # A colour belongs to a name, also where another group has no cell.
    only_y <- show_t_sne(update_sampler_indices(post, labels(dataset) == "y"), color_by = "labels", seed = 1)
    expect_identical(unique(drawn(only_y)$colour), distinct_colours[2])
    expect_identical(legend_names(only_y), "y")
})

test_that("batches and labels stand side by side, each with its own legend", {
    post <- plotted_posterior()
    dataset <- post@gene_dataset
    plot <- show_t_sne(post, color_by = "batches and labels", seed = 1)
    cells <- plot$data$cell
    left <- drawn(plot, 1L)
    right <- drawn(plot, 2L)
    expect_identical(c(nrow(left), nrow(right)), c(80L, 80L))
    expect_identical(unique(as.integer(left$PANEL)), 1L)
    expect_identical(unique(as.integer(right$PANEL)), 2L)
    expect_identical(left$fill, distinct_colours[as.integer(batch_indices(dataset))[cells]])
    expect_identical(right$colour, distinct_colours[as.integer(labels(dataset))[cells]])
    expect_identical(left[c("x", "y")], right[c("x", "y")])
    expect_identical(legend_names(plot, "fill"), c("a", "b"))
    expect_identical(legend_names(plot, "colour"), c("x", "y"))
    expect_identical(c(legend_title(plot, "fill"), legend_title(plot, "colour")), c("batch", "label"))
    panels <- ggplot2::ggplot_build(plot)$layout$layout
    expect_identical(as.character(panels$panel), c("batches", "labels"))
})

test_that("columns, genes and numbers of one's own colour cells", {
    post <- plotted_posterior(indices = c(80:41, 1:10))
    dataset <- post@gene_dataset
    show <- function(color_by, ...) show_t_sne(post, color_by = color_by, seed = 1, ...)
    at <- function(plot) indices(post)[plot$data$cell]

    depth <- show("depth")
    expect_identical(depth$data$colour, as.numeric(at(depth)))
    expect_identical(legend_title(depth), "depth")
    expect_identical(drawn(depth)$colour[which.min(depth$data$colour)], "#DBDBDB")  # grey86
    expect_identical(drawn(depth)$colour[which.max(depth$data$colour)], "#081D58")
    donor <- show("donor")
    expect_identical(as.character(donor$data$colour), c("d1", "d2", "d3", "d4")[(at(donor) - 1) %% 4 + 1])
    expect_identical(legend_names(donor), c("d1", "d2", "d3", "d4"))
    expect_identical(legend_names(show("dead")), c("FALSE", "TRUE"))
    # A column may be called as the picture's own are.
    named_x <- show("x")
    expect_identical(legend_names(named_x), c("q", "p"))
    expect_type(named_x$data$x, "double")
    expect_identical(legend_names(show("runs")), c("first", "second"))
    # A missing value is grey, and has no colour of a group.
    partly <- show("partly")
    expect_identical(drawn(partly)$colour[at(partly) == 1], missing_colour)

    gene <- show("gene3")
    expect_equal(gene$data$colour, log1p(unname(counts(dataset)["gene3", at(gene)])), tolerance = 1e-15)
    expect_match(legend_title(gene), "gene3")
    corrupt_post <- Posterior(post@model, corrupt(dataset, rate = 0.9, seed = 1))
    noisy <- show_t_sne(corrupted(corrupt_post), color_by = "gene3", seed = 1)
    expect_equal(noisy$data$colour,
        log1p(unname(corrupted_counts(corrupt_post@gene_dataset)["gene3", noisy$data$cell])), tolerance = 1e-15)
    # A column goes before a gene of its name.
    dataset@cell_data$gene3 <- rep(c("yes", "no"), 40)
    expect_identical(legend_names(show_t_sne(Posterior(post@model, dataset), color_by = "gene3", seed = 1)),
        c("no", "yes"))

    values <- withr::with_seed(1, stats::rnorm(50))
    scalar <- show("scalar", labels = values)
    expect_identical(scalar$data$colour, values[scalar$data$cell])
})

test_that("other coordinates, batches and labels can be given, as in 0.6.8", {
    post <- plotted_posterior()
    xy <- cbind(1:30, 30:1) / 7
    types <- rep(c("u", "v", "w"), 10)
    plot <- show_t_sne(post, latent = xy, labels = types, color_by = "labels", seed = 1)
    expect_identical(cbind(plot$data$x, plot$data$y), xy[plot$data$cell, ])
    expect_identical(as.character(plot$data$colour), types[plot$data$cell])
    few <- show_t_sne(post, n_samples = 5, latent = xy, batch_indices = rep(1:3, 10), color_by = "batches", seed = 1)
    expect_identical(nrow(few$data), 5L)
    # Only cells of the first batches.
    first <- show_t_sne(post, latent = xy, batch_indices = rep(1:3, 10), n_batch = 2, color_by = "batches", seed = 1)
    expect_setequal(first$data$cell, which(rep(1:3, 10) <= 2))
    expect_identical(legend_names(first), c("1", "2"))
    # Coordinates of the posterior's own cells keep their labels and columns.
    own <- show_t_sne(post, latent = cbind(1:80, 1), color_by = "donor", seed = 1)
    expect_identical(own$data$x, as.numeric(own$data$cell))
    expect_identical(as.character(own$data$colour), post@gene_dataset@cell_data$donor[own$data$cell])
})

test_that("many groups: twenty colours, and names or numbers where they lie", {
    post <- plotted_posterior()
    xy <- cbind(rep(1:20, each = 4) * 10 + rep(c(-0.2, 0, 0, 5), 20), rep(1:20, each = 4) + rep(c(-0.2, 0, 0, 5), 20))
    short <- paste0("c", rep(10:29, each = 4))
    plot <- show_t_sne(post, latent = xy, labels = short, color_by = "labels", seed = 1)
    expect_identical(length(unique(drawn(plot)$colour)), 20L)
    expect_identical(legend_names(plot), paste0("c", 10:29))
    names <- drawn(plot, 2L)
    expect_identical(names$label, paste0("c", 10:29))
    expect_identical(names$x, 1:20 * 10)  # at the cells in the middle of each group
    expect_identical(names$y, as.numeric(1:20))

    long <- paste("cell state", rep(10:29, each = 4))
    plot <- show_t_sne(post, latent = xy, labels = long, color_by = "labels", seed = 1)
    expect_identical(legend_names(plot), paste0(1:20, "  cell state ", 10:29))
    expect_identical(drawn(plot, 2L)$label, as.character(1:20))
    expect_identical(colour_of(plot, paste("cell state", 10:29)), distinct_colours[1:20])

    # A group that is not drawn takes nobody's colour, number or name.
    few <- show_t_sne(post, latent = xy[-(1:4), ], labels = factor(long, unique(long))[-(1:4)], color_by = "labels",
        seed = 1)
    expect_identical(legend_names(few), paste0(2:20, "  cell state ", 11:29))
    expect_identical(drawn(few, 2L)$label, as.character(2:20))
    expect_identical(colour_of(few, "cell state 11"), distinct_colours[2])

    # Up to eight the legend is enough; a hundred cannot be named.
    eight <- show_t_sne(post, latent = xy[1:32, ], labels = long[1:32], color_by = "labels", seed = 1)
    expect_identical(length(eight$layers), 1L)
    expect_identical(legend_names(eight), paste("cell state", 10:17))
    many <- show_t_sne(post, color_by = "many", seed = 1)
    expect_identical(length(many$layers), 1L)
    expect_identical(scale_of(many, "colour")$guide, "none")
    expect_identical(anyDuplicated(drawn(many)$colour), 0L)
})

test_that("colours can be told apart, also without telling red from green", {
    # Machado, Oliveira & Fernandes (2009), IEEE TVCG 15:1291, for linear RGB.
    visions <- list(
        normal = diag(3),
        protanopia = rbind(c(0.152286, 1.052583, -0.204868), c(0.114503, 0.786281, 0.099216),
            c(-0.003882, -0.048116, 1.051998)),
        deuteranopia = rbind(c(0.367322, 0.860646, -0.227968), c(0.280085, 0.672501, 0.047413),
            c(-0.011820, 0.042940, 0.968881))
    )
    linear <- function(s) ifelse(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055)^2.4)
    curved <- function(l) ifelse(l <= 0.0031308, 12.92 * l, 1.055 * l^(1 / 2.4) - 0.055)
    least <- function(colours, vision) {
        seen <- linear(t(grDevices::col2rgb(colours)) / 255) %*% t(vision)
        seen[] <- curved(pmin(1, pmax(0, seen)))
        min(stats::dist(grDevices::convertColor(seen, "sRGB", "Lab")))
    }
    for (vision in visions) {
        expect_gt(least(group_colours(6), vision), 17)
        expect_gt(least(group_colours(20), vision), 17)
        expect_gt(least(group_colours(24), vision), 15)
    }
    for (n in c(0, 1, 24, 25, 60, 200)) {
        expect_length(group_colours(n), n)
        expect_identical(anyDuplicated(group_colours(n)), 0L)
    }
})

test_that("points shrink as cells grow many, and 100,000 can be drawn", {
    expect_identical(point_size(20), 2.5)
    expect_equal(point_size(1728), 1)
    expect_identical(point_size(1e6), 0.15)
    sizes <- vapply(c(50, 1000, 5000, 100000), point_size, 0)
    expect_true(all(diff(sizes) < 0))
    xy <- matrix(stats::rnorm(2e5), ncol = 2)
    plot <- show_t_sne(plotted_posterior(), n_samples = NULL, latent = xy, labels = rep_len(letters[1:4], 1e5),
        color_by = "labels", seed = 1)
    expect_identical(nrow(plot$data), 100000L)
    expect_identical(plot$layers[[1]]$aes_params$size, point_size(1e5))
})

test_that("pictures are saved in the format that the file's name says", {
    folder <- withr::local_tempdir()
    post <- plotted_posterior()
    first_bytes <- function(file, n = 8L) readBin(file, "raw", n)
    png <- as.raw(c(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a))
    file <- file.path(folder, "one.png")
    expect_invisible(plot <- show_t_sne(post, save_name = file, seed = 1))
    expect_s3_class(plot, "ggplot")
    expect_identical(first_bytes(file), png)
    show_t_sne(post, color_by = "batches and labels", save_name = file.path(folder, "two"), seed = 1)
    expect_identical(first_bytes(file.path(folder, "two.png")), png)
    # As wide as two panels need: pixels, from the header.
    width <- function(file) sum(as.integer(readBin(file, "raw", 24L)[17:20]) * 256^(3:0))
    expect_gt(width(file.path(folder, "two.png")), 1.5 * width(file))
    show_t_sne(post, save_name = file.path(folder, "three.pdf"), seed = 1)
    expect_identical(rawToChar(first_bytes(file.path(folder, "three.pdf"), 4L)), "%PDF")
    expect_visible(show_t_sne(post, seed = 1))
})

test_that("pictures that cannot be made are refused before any work", {
    post <- plotted_posterior()
    refuse <- function(call, message, class = "rscvi_invalid_argument") expect_error(call, message, class = class)
    refuse(show_t_sne(post, color_by = "celltype"), "\"celltype\".*neither.*\"donor\"")
    refuse(show_t_sne(post, color_by = c("a", "b")), "`color_by`")
    refuse(show_t_sne(post, color_by = NA), "`color_by`")
    refuse(show_t_sne(post, color_by = "scalar"), "scalar.*numbers.*labels")
    refuse(show_t_sne(post, color_by = "scalar", labels = 1:79), "`labels`.*80")
    refuse(show_t_sne(post, color_by = "scalar", labels = rep("a", 80)), "numeric")
    refuse(show_t_sne(post, color_by = "labels", labels = c(NA, rep("a", 79))), "`labels`.*NA.*1 of 80")
    refuse(show_t_sne(post, color_by = "batches", batch_indices = 1:3), "`batch_indices`.*80.*3")
    refuse(show_t_sne(post, n_samples = 0), "`n_samples`.*0")
    refuse(show_t_sne(post, n_batch = 0), "`n_batch`.*0")
    refuse(show_t_sne(post, latent = cbind(1:4, 1), batch_indices = factor(rep("b", 4), c("a", "b")), n_batch = 1),
        "0 cells", "rscvi_too_few_cells")
    refuse(show_t_sne(post, seed = -1), "`seed`")
    refuse(show_t_sne(post, latent = matrix(NA_real_, 80, 2)), "`latent`")
    refuse(show_t_sne(post, latent = diag(5), color_by = "labels"), "5 rows.*80 cells.*`labels`")
    refuse(show_t_sne(post, latent = diag(5), color_by = "donor"), "5 rows.*column")
    refuse(show_t_sne(post, latent = diag(5), color_by = "gene3"), "5 rows.*gene")
    refuse(show_t_sne(plotted_posterior(n_latent = 3, indices = 1:3)), "3 cells are too few.*4", "rscvi_too_few_cells")
    refuse(show_t_sne(update_sampler_indices(post, integer())), "no cells", "rscvi_empty_posterior")
    refuse(show_t_sne(post, save_name = "picture.docx"), "`save_name`.*\"docx\".*\"png\"")
    refuse(show_t_sne(post, save_name = NA), "`save_name`")
    refuse(show_t_sne(post, save_name = "no/such/folder/a.png"), "no folder", "rscvi_unwritable_file")
    refuse(show_t_sne(post, save_name = file.path(withr::local_tempdir("taken", fileext = ".png"))), "cannot be saved",
        "rscvi_unwritable_file")
    dataset <- post@gene_dataset
    dataset@cell_data$nested <- S4Vectors::DataFrame(a = 1:80)
    refuse(show_t_sne(Posterior(post@model, dataset), color_by = "nested"), "\"nested\".*no values")
    refuse(apply_t_sne(diag(3)), "3 cells are too few.*4", "rscvi_too_few_cells")
    refuse(apply_t_sne(matrix("a", 5, 5)), "`latent`.*numeric")
    refuse(apply_t_sne(diag(10), perplexity = 0), "`perplexity`")
})

test_that("the training curve shows what was recorded, after training began", {
    dataset <- small_dataset(n_cells = 80)
    trainer <- UnsupervisedTrainer(small_model(dataset), dataset, frequency = 2,
        metrics_to_monitor = "reconstruction_error")
    expect_error(plot_history(trainer), class = "rscvi_not_trained")
    expect_error(plot_history(dataset), class = "rscvi_invalid_argument")
    train(trainer, n_epochs = 5, seed = 1)
    curve <- history(trainer)
    plot <- plot_history(trainer)
    there <- curve$epoch > 0 & !is.na(curve$elbo_train_set)
    expect_identical(plot$data$epoch, rep(curve$epoch[there], 2))
    expect_identical(plot$data$value, c(curve$elbo_train_set[there], curve$elbo_test_set[there]))
    expect_identical(levels(plot$data$set), c("train set", "test set"))
    expect_match(plot$labels$y, "negative ELBO.*nats")
    expect_identical(nrow(drawn(plot)), nrow(plot$data))
    error <- plot_history(trainer, "reconstruction_error")
    expect_identical(error$data$value[error$data$set == "test set"], curve$reconstruction_error_test_set[there])
    expect_identical(plot_history(trainer, "loss")$data$value, curve$loss[curve$epoch > 0])
    expect_error(plot_history(trainer, "accuracy"), "elbo.*accuracy", class = "rscvi_invalid_argument")
    # Nothing recorded: the loss.
    plain <- UnsupervisedTrainer(small_model(dataset), dataset)
    train(plain, n_epochs = 3, seed = 1)
    expect_identical(plot_history(plain)$data$value, history(plain)$loss[history(plain)$epoch > 0])
})

test_that("the training curve of a SingleCellExperiment is that of its fit", {
    dataset <- small_dataset(n_cells = 80)
    sce <- SingleCellExperiment::SingleCellExperiment(list(counts = counts(dataset)))
    done <- runSCVI(sce, n_epochs = 3, n_hidden = 4, n_latent = 2, frequency = 1, seed = 1)
    curve <- history(done)
    expect_equal(curve$epoch, 0:3)
    expect_identical(plot_history(done)$data$value, c(curve$elbo_train_set[-1], curve$elbo_test_set[-1]))
    done <- runSCVI(done, n_epochs = 2, n_hidden = 4, n_latent = 2, seed = 1, name = "short")
    expect_identical(plot_history(done, name = "short")$data$value, history(done, name = "short")$loss[-1])
    expect_identical(nrow(history(done)), 4L)
    expect_error(plot_history(sce), "holds no fit", class = "rscvi_no_fit")
    expect_error(history(done, name = "other"), "SCVI.*short", class = "rscvi_no_fit")
})
