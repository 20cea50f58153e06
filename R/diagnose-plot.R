# The picture of a diagnosis.

#' @rdname diagnose
#' @export
plot.rscvi_diagnosis <- function(x, ...) {
    pictured <- attr(x, "pictured")
    if (is.null(pictured)) {
        abort_rscvi(c("This diagnosis has lost what it was made from.",
            i = "Plot what {.fn diagnose} returned itself."))
    }
    panels <- Filter(Negate(is.null), list(curve_panel(pictured$history, x), library_panel(pictured$library, x),
        latent_panel(pictured$latent, x), gene_panel(pictured$genes, "zeros", x), gene_panel(pictured$genes, "mean", x),
        gene_panel(pictured$genes, "variance", x)))
    if (length(panels) == 0L) abort_rscvi("Nothing of this diagnosis could be computed: there is nothing to plot.")
    titles <- vapply(panels, function(panel) panel$title, "")
    points <- do.call(rbind, lapply(panels, function(panel) {
        size <- if (nrow(panel$points) > 100L) 0.7 else 2
        cbind(panel$points, panel = panel$title, as_line = panel$as_line, size = size)
    }))
    points$panel <- factor(points$panel, levels = titles)
    lines <- do.call(rbind, lapply(panels, function(panel) data.frame(panel = panel$title, panel$reference)))
    lines$panel <- factor(lines$panel, levels = titles)
    shown <- lines[is.finite(lines$intercept) & lines$slope %in% 0, , drop = FALSE]
    shown <- data.frame(x = rep(1, nrow(shown)), y = shown$intercept, panel = shown$panel)
    curve <- points[points$as_line, , drop = FALSE]
    ggplot2::ggplot(points, ggplot2::aes(x = .data$x, y = .data$y)) +
        ggplot2::geom_point(ggplot2::aes(size = .data$size), points[!points$as_line, , drop = FALSE],
            colour = plain_colour, alpha = 0.5, shape = 16) +
        # A dashed line alone would not widen its panel.
        ggplot2::geom_blank(data = shown) +
        ggplot2::geom_line(data = curve, colour = plain_colour, linewidth = 0.7) +
        ggplot2::geom_abline(ggplot2::aes(slope = .data$slope, intercept = .data$intercept), lines, na.rm = TRUE,
            linetype = 2, colour = distinct_colours[5L]) +
        ggplot2::scale_size_identity() +
        ggplot2::scale_x_continuous(breaks = function(limits) pretty(limits, 4)) +
        ggplot2::facet_wrap(ggplot2::vars(.data$panel), scales = "free", nrow = 2L) +
        ggplot2::labs(x = NULL, y = NULL) + ggplot2::theme_bw(base_size = 11) +
        ggplot2::theme(panel.grid.minor = ggplot2::element_blank(), strip.background = ggplot2::element_blank(),
            strip.text = ggplot2::element_text(hjust = 0))
}

# One panel: points of x and y, a dashed line to hold them against, and a title that says how the check went and what
# the axes are.
diagnosis_panel <- function(check, table, x, y, of_y, of_x, slope = NA_real_, intercept = NA_real_, as_line = FALSE) {
    verdict <- table$verdict[match(check, table$check)]
    list(title = sprintf("%s: %s\ny: %s\nx: %s", check, if (is.na(verdict)) "unknown" else verdict, of_y, of_x),
        points = data.frame(x = x, y = y), reference = data.frame(slope = slope, intercept = intercept),
        as_line = as_line)
}

curve_panel <- function(history, table) {
    curve <- if (!is.null(history)) training_curve(history)
    if (is.null(curve)) return(NULL)
    what <- if (curve$of[1L] == "loss") "training loss" else
        sprintf("-ELBO, %s", chartr("_", " ", sub("^elbo_", "", curve$of[1L])))
    # The first fall would flatten the rest.
    curve <- curve[curve$epoch > max(curve$epoch) / 10, , drop = FALSE]
    diagnosis_panel("convergence", table, curve$epoch, curve$y, what, "epoch", as_line = TRUE)
}

library_panel <- function(library, table) {
    library <- library[is.finite(library$library), , drop = FALSE]
    if (NROW(library) == 0L) return(NULL)
    diagnosis_panel("library noise", table, library$log_total, library$library, "log total of the model",
        "log total of the counts", slope = 1, intercept = 0)
}

latent_panel <- function(variance, table) {
    variance <- variance[is.finite(variance)]
    if (length(variance) == 0L) return(NULL)
    variance <- pmax(sort(variance, decreasing = TRUE), 1e-8)
    diagnosis_panel("active dimensions", table, seq_along(variance), log10(variance),
        "log10 variance", "rank of the dimension", slope = 0, intercept = log10(least_active_variance))
}

# Genes: what the model draws against what was counted.
gene_panel <- function(genes, what, table) {
    if (is.null(genes)) return(NULL)
    data <- genes[[paste0("data.", what)]]
    model <- genes[[paste0("model.", what)]]
    if (what == "zeros") {
        shown <- is.finite(model)
        data <- data[shown]
        model <- model[shown]
        if (!any(shown)) return(NULL)
        return(diagnosis_panel("predictive zeros", table, data, model, "share drawn", "share counted",
            slope = 1, intercept = 0))
    }
    shown <- which(data > 0 & model > 0 & is.finite(model))
    if (length(shown) == 0L) return(NULL)
    diagnosis_panel(paste("predictive", what), table, log10(data[shown]), log10(model[shown]),
        "log10, drawn", "log10, counted", slope = 1, intercept = 0)
}
