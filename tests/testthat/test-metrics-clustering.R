# Clusters against labels: scvi 0.6.8, brute force, and closed forms.

folders <- c("p1_vae_zinb_gene", "p2_vae_nb_genebatch_2layers", "p3_vae_poisson_ln_nobatch")

for (folder in folders) {
    u <- reference(folder)$utils

    test_that(paste(folder, "scores clusters as 0.6.8 does"), {
        # The silhouette and the inertia were computed in single precision.
        expect_equal(mean_silhouette(unname(u$latent), factor(u$label)), u$silhouette, tolerance = 1e-6)
        for (prediction in c("kmeans.labels", "random_pred")) {
            theirs <- function(score) u[[if (prediction == "kmeans.labels") score else paste0("random_pred.", score)]]
            y_pred <- u[[prediction]]
            expect_equal(normalised_mutual_information(u$label, y_pred), theirs("nmi"), tolerance = 1e-12)
            expect_equal(mclust::adjustedRandIndex(u$label, y_pred), theirs("ari"), tolerance = 1e-12)
            expect_equal(unsupervised_clustering_accuracy(u$label, y_pred)$accuracy, theirs("uca"), tolerance = 1e-12)
        }
        assignment <- unsupervised_clustering_accuracy(u$label, u$kmeans.labels)$assignment
        expect_identical(unname(as.matrix(assignment)), u$uca_assignments)
        expect_equal(entropy_from_indices(u$random_pred), u$entropy_from_indices, tolerance = 1e-12)
    })

    test_that(paste(folder, "has the clusters of 0.6.8"), {
        clusters <- with_r_seed(1, kmeans_clusters(u$latent, 3, n_init = 200))
        expect_equal(mclust::adjustedRandIndex(clusters, u$kmeans.labels), 1)
        inertia <- sum(vapply(split.data.frame(u$latent, clusters), function(x) sum(sweep(x, 2, colMeans(x))^2), 0))
        expect_equal(inertia, u$kmeans.inertia, tolerance = 1e-6)
        scores <- clustering_scores(u$latent, u$label, seed = 1)
        expect_s3_class(scores, "data.frame")
        expect_identical(dim(scores), c(1L, 4L))
        expect_equal(scores, data.frame(asw = u$silhouette, nmi = u$nmi, ari = u$ari, uca = u$uca), tolerance = 1e-6)
    })
}

test_that("the silhouette is that of all distances, whatever the blocks", {
    for (seed in 1:3) {
        d <- cloud(seed = seed)
        groups <- factor(d$labels)
        # From the definition.
        distances <- as.matrix(stats::dist(d$x))
        widths <- vapply(seq_len(nrow(d$x)), function(i) {
            others <- seq_len(nrow(d$x)) != i
            means <- tapply(distances[i, others], d$labels[others], mean)
            a <- means[[d$labels[i]]]
            b <- min(means[names(means) != d$labels[i]])
            (b - a) / max(a, b)
        }, 0)
        expect_equal(mean_silhouette(d$x, groups), mean(widths), tolerance = 1e-12)
        for (block in c(1, 100, 7000)) {
            expect_equal(mean_silhouette(d$x, groups, block = block), mean(widths), tolerance = 1e-12)
        }
        # Far from the origin nothing is lost to cancellation.
        expect_equal(mean_silhouette(d$x + 1e5, groups), mean(widths), tolerance = 1e-8)
    }
    skip_if_not_installed("cluster")
    d <- cloud(seed = 9)
    theirs <- cluster::silhouette(match(d$labels, unique(d$labels)), stats::dist(d$x))
    expect_equal(mean_silhouette(d$x, factor(d$labels)), mean(theirs[, "sil_width"]), tolerance = 1e-12)
})

test_that("silhouettes by hand: single cells count as 0, and so do cells at one place", {
    x <- cbind(c(0, 1, 10, 12, 50))
    groups <- factor(c("a", "a", "b", "b", "c"))
    widths <- c((11 - 1) / 11, (10 - 1) / 10, (9.5 - 2) / 9.5, (11.5 - 2) / 11.5, 0)
    expect_equal(mean_silhouette(x, groups), mean(widths), tolerance = 1e-12)
    expect_identical(mean_silhouette(matrix(3, 4, 2), factor(c(1, 1, 2, 2))), 0)
})

test_that("mutual information by hand", {
    expect_equal(normalised_mutual_information(c(1, 1, 2, 2), c("x", "x", "y", "y")), 1)
    expect_equal(normalised_mutual_information(c(1, 1, 2, 2), c("x", "y", "x", "y")), 0)
    expect_identical(normalised_mutual_information(rep(1, 4), rep("x", 4)), 1)
    # H(Y) = ln 2, H(C) = ln 4, I = ln 2: twice the information over the sum, which is not the geometric mean.
    expect_equal(normalised_mutual_information(c(1, 1, 2, 2), 1:4), 2 / 3)
})

test_that("clusters are assigned to labels one to one, in the best way", {
    # The pairs of 0.6.8's own test.
    first <- unsupervised_clustering_accuracy(c(0, 1, 0, 1, 0, 1, 1, 1), c(0, 0, 0, 0, 1, 1, 1, 1))
    expect_identical(first, list(accuracy = 0.625, assignment = data.frame(predicted = c(0, 1), true = c(0, 1))))
    second <- unsupervised_clustering_accuracy(c(1, 1, 2, 2, 0, 0, 3, 3), c(1, 1, 2, 2, 3, 3, 0, 0))
    expect_identical(second, list(accuracy = 1,
        assignment = data.frame(predicted = c(0, 1, 2, 3), true = c(3, 1, 2, 0))))
    # The greedy choice (2 for "b", 5 of 10) is not the best one (7 of 10).
    y <- rep(c("a", "b", "a", "b"), c(4, 5, 0, 1))
    y_pred <- c(2, 2, 2, 2, 2, 2, 2, 1, 1, 1)
    expect_identical(unsupervised_clustering_accuracy(y, y_pred)$accuracy, 0.7)
    # Every assignment, by trial.
    withr::local_seed(1)
    permutations <- function(v) {
        if (length(v) < 2) return(list(v))
        unlist(lapply(seq_along(v), function(i) lapply(permutations(v[-i]), function(p) c(v[i], p))), recursive = FALSE)
    }
    for (trial in 1:10) {
        y <- sample(4, 30, replace = TRUE)
        y_pred <- sample(4, 30, replace = TRUE)
        best <- max(vapply(permutations(1:4), function(p) mean(p[y_pred] == y), 0))
        expect_equal(unsupervised_clustering_accuracy(y, y_pred)$accuracy, best)
    }
    # More clusters than labels, factors and text: the names come back.
    mixed <- unsupervised_clustering_accuracy(factor(c("T", "T", "B"), levels = c("T", "B", "NK")), c(10, 10, 9))
    expect_identical(mixed$accuracy, 1)
    expect_identical(mixed$assignment$predicted, c("T", "B", "9", "10"))
    expect_identical(mixed$assignment$true[3:4], c("B", "T"))
})

test_that("entropies by hand", {
    expect_identical(entropy_from_indices(rep("x", 5)), 0)
    expect_equal(entropy_from_indices(1:8), log(8))
    expect_equal(entropy_from_indices(factor(c("a", "b", "b", "b"), levels = c("a", "b", "c"))),
        -(0.25 * log(0.25) + 0.75 * log(0.75)))
})

test_that("k-means and the mixture find what is there, and the seed decides", {
    withr::local_seed(1)
    labels <- rep(c("x", "y", "z"), each = 60)
    far <- matrix(stats::rnorm(360), 180) + 20 * match(labels, c("x", "y", "z"))
    for (algorithm in c("knn", "gmm")) {
        scores <- clustering_scores(far, labels, algorithm, seed = 1)
        expect_equal(unlist(scores[c("nmi", "ari", "uca")], use.names = FALSE), c(1, 1, 1))
    }
    # A tight cluster beside a wide one: the mixture sees how wide each is, k-means cuts half way.
    unlike <- rbind(matrix(stats::rnorm(400, sd = 4), 200), matrix(stats::rnorm(400, mean = 5, sd = 0.2), 200))
    width <- rep(c("wide", "tight"), each = 200)
    expect_gt(clustering_scores(unlike, width, "gmm", seed = 1)$uca, 0.98)
    expect_lt(clustering_scores(unlike, width, "knn", n_init = 5, seed = 1)$uca, 0.95)
    # As mclust fits it from the same start.
    d <- cloud(n = 200)
    start <- with_r_seed(3, kmeans_clusters(d$x, 3, n_init = 10))
    fit <- withr::with_package("mclust", mclust::me(d$x, modelName = "VVV", z = mclust::unmap(start)))
    expect_identical(with_r_seed(3, mixture_clusters(d$x, 3)), unname(apply(fit$z, 1, which.max)))

    score <- function(seed) clustering_scores(d$x, d$labels, "gmm", seed = seed)
    expect_identical(score(1), score(1))
    set.seed(5)
    before <- stats::runif(1)
    set.seed(5)
    score(1)
    expect_identical(stats::runif(1), before)
    set.seed(5)
    drawn <- score(NULL)
    set.seed(5)
    expect_identical(score(NULL), drawn)
})

test_that("a mixture with flat clusters is fitted with a prior, and one dimension is enough", {
    withr::local_seed(1)
    flat <- cbind(stats::rnorm(60), rep(c(0, 5), 30), 0)
    expect_identical(clustering_scores(flat, rep(c("a", "b"), 30), "gmm", seed = 1)$uca, 1)
    line <- cbind(c(stats::rnorm(40), stats::rnorm(40, 30)))
    expect_identical(clustering_scores(line, rep(c("a", "b"), each = 40), "gmm", seed = 1)$uca, 1)
})

test_that("a posterior is scored by its own cells' labels", {
    post <- update_sampler_indices(scored_posterior(), 11:70)
    z <- latent_matrix(post)
    of_matrix <- clustering_scores(z, labels(post@gene_dataset)[11:70], n_init = 5, seed = 2)
    expect_identical(clustering_scores(post, "knn", n_init = 5, seed = 2), of_matrix)
    expect_identical(clustering_scores(post, prediction_algorithm = "gmm", seed = 2),
        clustering_scores(z, labels(post@gene_dataset)[11:70], "gmm", seed = 2))
})

test_that("what cannot be clustered is refused", {
    d <- cloud(n = 30)
    refuse <- function(call, message, class = "rscvi_invalid_argument") expect_error(call, message, class = class)
    refuse(clustering_scores(d$x, d$labels, "spectral"), "prediction_algorithm.*spectral")
    refuse(clustering_scores(d$x, d$labels, n_init = 0), "n_init")
    refuse(clustering_scores(matrix(1, 30, 2), d$labels), "1 different place.*3", "rscvi_too_few_cells")
    refuse(clustering_scores(scored_posterior(), "kmeans"), "kmeans")
    refuse(unsupervised_clustering_accuracy(1:3, 1:4), "3 and 4")
    refuse(unsupervised_clustering_accuracy(c(1, NA), 1:2), "`y`.*1 missing")
    refuse(unsupervised_clustering_accuracy(1:2, list(1, 2)), "`y_pred`")
    refuse(entropy_from_indices(NULL), "`indices`")
    refuse(entropy_from_indices(c("a", NA)), "1 missing")
})

test_that("a plain posterior has no accuracy, and says what has", {
    expect_error(accuracy(scored_posterior()), "VAE.*classifier", class = "rscvi_no_classifier")
})
