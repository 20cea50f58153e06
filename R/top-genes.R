# The genes that differ most, of a table of differential expression.

#' The genes that differ most
#'
#' [differential_expression_score()] sorts genes by how sure the model is that they differ, and it is often equally sure
#' of many. Readers look for those that are called and differ by much: `top_genes()` puts the genes that are called
#' first, and of these, and of the others, the larger changes.
#'
#' A gene *is called* where it is on the table's list of a false discovery rate (`fdr_target`); without such a list,
#' where `proba_de` is at least .95, or, for `mode = "vanilla"`, \eqn{|bayes\_factor| > 3}. In the table of a
#' [scvi_ensemble()] genes go by `n_called`, the number of fits that call them. The change is \eqn{|lfc\_median|} (with
#' a custom `change_fn`, the median of its values); in vanilla mode the difference of `scale1` and `scale2`.
#'
#' Changes of genes that are next to not there are ratios of two guesses: use it with a pseudocount,
#' `pseudocounts = "detection"` of [differential_expression_score()] for one.
#'
#' @param table a data.frame that [differential_expression_score()], [get_bayes_factors()] or
#'   [bayes_factors_from_scales()] gave, or one of those of [one_vs_all_degenes()] and [within_cluster_degenes()].
#' @param n number of genes, `Inf` for all.
#' @return The first `n` rows of the table in that order; ties stay in the order of the table.
#' @section Errors: `rscvi_invalid_argument` for a table without the columns named above.
#' @section Evidence: `bench/QUALITY.md` in the source, "Contrasts": of CD14+ monocytes of [example_pbmc()], `ctrl`
#'   against `stim`, the first 30 genes have more of Wilcoxon's first 30 in this order than in that of the table.
#' @examples
#' dataset <- GeneExpressionDataset(example_pbmc(), labels = "cell_type")
#' dataset <- subsample_genes(dataset, new_n_genes = 100, mode = "variance")
#' trainer <- UnsupervisedTrainer(VAE(dataset, n_hidden = 32, seed = 1), dataset)
#' trainer <- train(trainer, n_epochs = 5, lr = 1e-2, seed = 1)
#' de <- differential_expression_score(create_posterior(trainer), group1 = "B cells", group2 = "CD4 T cells",
#'     mode = "change", pseudocounts = "detection", fdr_target = 0.05, n_samples = 200, seed = 1)
#' top_genes(de, 5)[c("proba_de", "lfc_median", "raw_mean1", "raw_mean2")]
#' @export
top_genes <- function(table, n = Inf) {
    check_class(table, "table", "data.frame")
    has <- function(columns) all(columns %in% names(table))
    if (!(has("proba_de") || has("bayes_factor")) || !(has("lfc_median") || has(c("scale1", "scale2")))) {
        abort_rscvi(c("{.arg table} must have a column {.field proba_de} or {.field bayes_factor}, and
            {.field lfc_median}, or {.field scale1} and {.field scale2}.",
            i = "Give a table of {.fn differential_expression_score}."))
    }
    if (!identical(n, Inf)) n <- check_count(n, "n", lower = 0L)
    change <- if (is.null(table$lfc_median)) table$scale1 - table$scale2 else table$lfc_median
    called <- if (is.null(table$n_called)) is_called(table) else table$n_called
    utils::head(table[order(-called, -abs(change), method = "radix"), , drop = FALSE], min(n, nrow(table)))
}

least_called_proba <- 0.95
least_called_bayes_factor <- 3

# One logical a gene.
is_called <- function(table) {
    of_fdr <- grep("^is_de_fdr_", names(table), value = TRUE)
    if (length(of_fdr)) return(table[[of_fdr[1L]]])
    if (!is.null(table$proba_de)) return(table$proba_de >= least_called_proba)
    abs(table$bayes_factor) > least_called_bayes_factor
}
