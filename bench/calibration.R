# Are genes that differential expression calls at an expected false discovery rate of 5 % false in 5 % of cases, and how
# many of the true ones does it find, next to a Wilcoxon test?
#
#   Rscript bench/calibration.R [seeds 1,2,3] [depth_ratio 1] [n_epochs 60]
#
# Zero-inflated negative binomial counts of two groups of 500 cells and 1,000 genes, the counts of a shallow droplet
# experiment: 500 counts a cell (log-normal, spread 0.35), most genes far below one, inverse dispersion about 1, a tenth
# of the counts dropped. 15 % of the genes differ, by 2^1.5 to 2^3.5, up or down. depth_ratio: counts of a cell of the
# first group over those of one of the second, as cells of two types differ.
#
# Truth is about what a model's px_scale stands for, a gene's share of all counts. Shares sum to one: what some genes
# gain the others lose, which moves each of them by the same small amount (column `shift`, log2). A gene is truly
# differential if its shares differ by at least delta = 0.5 in log2, which the shift alone does not reach; a call of
# any other gene is false.
#
# The model sees all cells, but never the groups. 60 epochs, warm-up of 20, all else by default: the ELBO of held-out
# cells hardly falls after that. Then two populations are compared: all 500 cells of each group, and the first 100 and
# 50 of each. The Wilcoxon test (normal approximation, corrected for ties and continuity; Benjamini-Hochberg at 5 %)
# gets the logarithm of counts per 10,000 of the same populations. Per method: genes called, false discovery proportion
# and power; and the power where the false discovery proportion is 5 % if genes are taken in the method's own order,
# which is the same level for both, whatever they claim.
#
# With equal depths and all 500 cells the Wilcoxon test finds more: one gene's counts say all there is to know, and a
# gene's P(DE) is that of pairs of cells, whose scales spread. The model is ahead where a population is small, because
# it has learnt from the other cells, and where depths differ, which the Wilcoxon test takes for differences.

delta <- 0.5
target <- 0.05
n_group <- 500L
population_sizes <- c(500L, 100L, 50L)

simulate_groups <- function(seed, depth_ratio = 1, n_genes = 1000L, depth = 500) {
    set.seed(seed)
    n_cells <- 2L * n_group
    group <- rep(1:2, each = n_group)
    base <- stats::rlnorm(n_genes, sdlog = 1.5)
    change <- numeric(n_genes)
    differs <- sample(n_genes, 0.15 * n_genes)
    change[differs] <- sample(c(-1, 1), length(differs), TRUE) * stats::runif(length(differs), 1.5, 3.5)
    share <- rbind(base * 2^(change / 2), base * 2^(-change / 2))
    share <- share / rowSums(share)
    theta <- stats::rlnorm(n_genes, sdlog = 0.5)
    dropout <- stats::rbeta(n_genes, 1, 9)
    size <- stats::rlnorm(n_cells, log(depth), 0.35) * depth_ratio^(ifelse(group == 1L, 0.5, -0.5))
    counts <- matrix(stats::rnbinom(n_cells * n_genes, mu = share[group, ] * size, size = rep(theta, each = n_cells)),
        n_cells, dimnames = list(paste0("cell", seq_len(n_cells)), paste0("gene", seq_len(n_genes))))
    counts[stats::runif(length(counts)) < rep(dropout, each = n_cells)] <- 0
    seen <- colSums(counts > 0) >= 3
    lfc <- log2(share[1L, ] / share[2L, ])[seen]
    list(counts = counts[, seen], group = group, lfc = lfc, differs = abs(lfc) >= delta,
        shift = log2(sum(base * 2^(-change / 2)) / sum(base * 2^(change / 2))))
}

# Two-sided p-values of the columns of x.
wilcoxon <- function(x, first, second) {
    n1 <- length(first)
    n2 <- length(second)
    n <- n1 + n2
    vapply(seq_len(ncol(x)), function(g) {
        rank <- rank(x[c(first, second), g])
        ties <- table(rank)
        sd <- sqrt(n1 * n2 / 12 * (n + 1 - sum(ties^3 - ties) / (n * (n - 1))))
        if (sd == 0) return(1)
        excess <- abs(sum(rank[seq_len(n1)]) - n1 * (n + 1) / 2)
        2 * stats::pnorm(-max(excess - 0.5, 0) / sd)
    }, numeric(1L))
}

score_calls <- function(method, called, order, differs) {
    fdp_so_far <- cumsum(!differs[order]) / seq_along(order)
    taken <- order[seq_len(max(0L, which(fdp_so_far <= target)))]
    data.frame(method = method, calls = sum(called), fdp = sum(called & !differs) / max(1L, sum(called)),
        power = mean(called[differs]), power_at_fdp_5 = sum(differs[taken]) / sum(differs))
}

train_on <- function(counts, seed, n_epochs) {
    dataset <- rscvi::GeneExpressionDataset(t(counts))
    vae <- rscvi::VAE(dataset, seed = seed)
    trainer <- rscvi::UnsupervisedTrainer(vae, dataset, seed = seed, n_epochs_kl_warmup = 20)
    rscvi::create_posterior(rscvi::train(trainer, n_epochs = n_epochs, seed = seed, verbose = FALSE))
}

# One row a population size and method.
calibrate <- function(seed, depth_ratio = 1, n_epochs = 60) {
    data <- simulate_groups(seed, depth_ratio)
    post <- train_on(data$counts, seed, n_epochs)
    x <- log1p(data$counts / rowSums(data$counts) * 1e4)
    rows <- lapply(population_sizes, function(n) {
        first <- which(data$group == 1L)[seq_len(n)]
        second <- which(data$group == 2L)[seq_len(n)]
        de <- rscvi::get_bayes_factors(post, first, second, mode = "change", delta = delta, M_permutation = Inf,
            fdr_target = target, seed = seed)
        p <- wilcoxon(x, first, second)
        scores <- rbind(
            score_calls("rscvi", de[[paste0("is_de_fdr_", target)]], order(-de$proba_de), data$differs),
            score_calls("wilcoxon", stats::p.adjust(p, "BH") <= target, order(p), data$differs)
        )
        cbind(seed = seed, depth_ratio = depth_ratio, shift = data$shift, cells = n, scores)
    })
    do.call(rbind, rows)
}

main <- function() {
    arguments <- commandArgs(trailingOnly = TRUE)
    seeds <- if (length(arguments) > 0L) as.integer(strsplit(arguments[1L], ",")[[1L]]) else 1:3
    depth_ratio <- if (length(arguments) > 1L) as.numeric(arguments[2L]) else 1
    n_epochs <- if (length(arguments) > 2L) as.integer(arguments[3L]) else 60L
    scores <- do.call(rbind, lapply(seeds, calibrate, depth_ratio, n_epochs))
    print(format(scores, digits = 3L), row.names = FALSE)
    cat("\nMeans over seeds\n")
    means <- stats::aggregate(cbind(calls, fdp, power, power_at_fdp_5) ~ cells + method, scores, mean)
    print(format(means, digits = 3L), row.names = FALSE)
}

# Not when somebody sources this file for its functions, as the tests do.
if (sys.nframe() == 0L) main()
