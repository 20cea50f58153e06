# Checks of diagnose() by what the model predicts: counts that it draws, beside those of the same cells.

n_predictive_draws <- 3L
# Numbers of counts drawn at a time: of cells x genes x draws.
predictive_block_size <- 2^21
least_predictive_mean <- 0.1

# Of each gene: mean, variance and share of zeros of the counts, and of counts that the model draws for the same cells.
predictive_statistics <- function(post, seed, block_size = predictive_block_size) {
    n <- nb_cells(post)
    step <- max(1L, as.integer(block_size %/% (nb_genes(post@gene_dataset) * (n_predictive_draws + 2))))
    blocks <- split(post@indices, (seq_len(n) - 1L) %/% step)
    sums <- Reduce(`+`, lapply(seq_along(blocks), function(b) {
        drawn <- generate(update_sampler_indices(post, blocks[[b]]), n_samples = n_predictive_draws, batch_size = step,
            seed = seed + b)
        x <- drawn$x_new
        # Cells and draws of a gene lie apart: they are summed over in turn.
        over <- function(x) rowSums(colSums(x, dims = 1L))
        # Integers overflow when squared; a square of doubles keeps the dimensions.
        cbind(colSums(drawn$x_old), colSums(drawn$x_old^2), colSums(drawn$x_old == 0), over(x), over((x + 0)^2),
            over(x == 0))
    }))
    of <- function(first, n) {
        mean <- sums[, first] / n
        data.frame(mean = mean, variance = pmax(0, sums[, first + 1L] / n - mean^2), zeros = sums[, first + 2L] / n)
    }
    table <- cbind(data = of(1L, n), model = of(4L, n * n_predictive_draws))
    rownames(table) <- gene_names(post@gene_dataset)
    attr(table, "n_cells") <- n
    table
}

least_cells_drawn <- 30L
predictive_checks <- c("predictive zeros", "predictive mean", "genes off", "predictive variance")

check_predictive <- function(genes, post) {
    n <- attr(genes, "n_cells")
    used <- genes$data.mean >= least_predictive_mean & genes$data.variance > 0
    reason <- if (n < least_cells_drawn) sprintf("there are %d cells, and %d are needed", n, least_cells_drawn) else
        if (sum(used) < 10L) "fewer than 10 genes have a mean count of at least 0.1"
    if (!is.null(reason)) return(do.call(rbind, lapply(predictive_checks, not_known, reason = reason)))
    genes <- genes[used, , drop = FALSE]
    # A count and S drawn ones for each cell.
    per_cell <- (1 + 1 / n_predictive_draws) / n
    zeros <- mean(abs(genes$model.zeros - genes$data.zeros))
    by_chance <- mean(sqrt(2 / pi * genes$data.zeros * (1 - genes$data.zeros) * per_cell))
    more <- mean(genes$model.zeros - genes$data.zeros) > 0
    fold <- stats::median(abs(log2(genes$model.mean / genes$data.mean)))
    relative_error <- sqrt(genes$data.variance * per_cell) / genes$data.mean
    fold_by_chance <- stats::qnorm(0.75) * stats::median(relative_error) / log(2)
    ratio <- stats::median(log2(genes$model.variance / genes$data.variance))
    rbind(
        finding(predictive_checks[1L], zeros, by_chance, verdict_by(zeros - by_chance, 0.02, 0.05),
            sprintf(paste("The share of zeros of a gene is off by %.3f on average, chance alone gives %.3f; the model",
                "draws too %s zeros (%d genes)."), zeros, by_chance, if (more) "many" else "few", sum(used)),
            paste0("See the library; train for longer", other_likelihood(post, more), ".")),
        finding(predictive_checks[2L], fold, fold_by_chance, verdict_by(fold - fold_by_chance, 0.25, 0.75),
            sprintf(paste("The mean of drawn counts is off by a factor of %.2f for half of the genes, chance alone",
                "gives %.2f."), 2^fold, 2^fold_by_chance),
            "Do not interpret denoised expression yet: see the library, and train for longer."),
        check_genes_off(genes, n, relative_error),
        finding(predictive_checks[4L], ratio, 0, verdict_by(abs(ratio), 0.5, 1.5),
            sprintf("Drawn counts of a gene vary %s times as much as the counts (median of %d genes).",
                format(2^ratio, digits = 3), sum(used)),
            paste(if (ratio > 0) "The model's dispersions are too large, or its library sizes too noisy" else
                "The model's dispersions are too small", "(see the library). Train for longer, or with a larger lr."))
    )
}

# Most genes can be right, and a few, whose expression the fit never found, wrong by orders of magnitude.
check_genes_off <- function(genes, n_cells, relative_error) {
    # Chance is that of the data alone: with the model's own variance a gene whose dispersion is wrong, too, would hide.
    # A gene that the model never draws counts as drawn once.
    drawn <- pmax(genes$model.mean, 1 / (n_cells * n_predictive_draws))
    fold <- log2(drawn / genes$data.mean)
    off <- which(!(abs(fold) <= 1 + 4 * relative_error / log(2)))
    worst <- utils::head(off[order(-abs(fold[off]))], 5L)
    named <- toString(c(sprintf("%s (%s)", rownames(genes)[worst], format_fold(2^fold[worst])),
        if (length(off) > 5L) "..."))
    what <- paste(if (length(off) > 1L) "have" else "has",
        "a mean of drawn counts that is off by more than a factor of 2 and chance")
    finding(predictive_checks[3L], length(off), 0, verdict_by(length(off) / nrow(genes), 0, 0.02),
        if (length(off) == 0L) sprintf("None of %d genes %s.", nrow(genes), what) else
            sprintf("%d of %d genes %s: %s.", length(off), nrow(genes), what, named),
        "Do not interpret these genes. Train for longer; VAE(scale_start = \"shares\") starts from the data.")
}

# "1/12" or "x 3.4".
format_fold <- function(fold) {
    vapply(fold, function(f) {
        if (!is.finite(f)) return("not finite")
        if (f < 1) paste0("1/", format(1 / f, digits = 2)) else paste("x", format(f, digits = 2))
    }, "")
}

# What a likelihood with more, or with fewer, zeros would be.
other_likelihood <- function(post, too_many) {
    now <- post@model@options$reconstruction_loss
    try <- if (too_many) c(zinb = "nb")[now] else c(poisson = "nb", nb = "zinb")[now]
    if (is.na(try)) "" else sprintf(", or try reconstruction_loss = \"%s\"", try)
}
