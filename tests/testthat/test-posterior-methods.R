# The help page that says where each method of scvi's Posterior is.

# What scvi 0.6.8's class Posterior has that does not begin with an underscore.
methods_of_068 <- c(
    "model", "gene_dataset", "indices", "nb_cells", "posterior_type", "to_monitor", "raw_data", "sequential",
    "update", "update_sampler_indices", "corrupted", "uncorrupted", "to_cuda", "save_posterior", "get_latent",
    "get_stats", "elbo", "reconstruction_error", "marginal_ll", "get_sample_scale", "imputation", "imputation_list",
    "imputation_score", "imputation_benchmark", "generate", "generate_denoised_samples",
    "generate_feature_correlation_matrix", "generate_parameters", "scale_sampler", "get_bayes_factors",
    "differential_expression_score", "one_vs_all_degenes", "within_cluster_degenes", "differential_expression_stats",
    "entropy_batch_mixing", "knn_purity", "clustering_scores", "nn_overlap_score", "accuracy", "show_t_sne",
    "apply_t_sne"
)

# All parts of parsed help that bear a tag, at any depth.
parts_of_help <- function(rd, tag) {
    if (identical(attr(rd, "Rd_tag"), tag)) return(list(rd))
    if (is.list(rd)) unlist(lapply(rd, parts_of_help, tag), recursive = FALSE) else NULL
}
text_of_help <- function(rd) paste(unlist(rd), collapse = "")

test_that("the table of methods has all of scvi 0.6.8, and what it names is there", {
    pages <- tools::Rd_db("rscvi")
    skip_if(length(pages) == 0L, "installed without help pages")
    tables <- parts_of_help(pages[["posterior-methods.Rd"]], "\\tabular")
    expect_length(tables, 6)
    named <- gsub("[()]", "", vapply(parts_of_help(tables, "\\code"), text_of_help, ""))
    expect_identical(setdiff(methods_of_068, named), character())

    linked <- gsub("[()]", "", vapply(parts_of_help(tables, "\\link"), text_of_help, ""))
    expect_identical(setdiff(linked, getNamespaceExports("rscvi")), character())
    expect_identical(setdiff(methods_of_068, c(linked, "gene_dataset", "to_monitor")), character())
    # And each can be asked of a posterior.
    is_generic <- function(name) methods::isGeneric(name, getNamespace("rscvi"))
    generics <- Filter(is_generic, intersect(methods_of_068, linked))
    missing_methods <- Filter(function(name) !methods::existsMethod(name, "Posterior"), generics)
    expect_identical(missing_methods, character())
    expect_gt(length(generics), 30)
})
