# How pictures of cells look. What they show is decided elsewhere.

# ggplot2's word for the data, which it knows where aes() is evaluated; the checker of R code does not.
utils::globalVariables(".data")

# Points: `x`, `y` and `cell`. Colours: a list by panel of `values` and `legend`; empty for one colour.
cell_picture <- function(points, colours, axes) {
    panels <- names(colours)
    for (panel in panels) points[[panel]] <- colours[[panel]]$values
    picture <- ggplot2::ggplot(points, ggplot2::aes(x = .data$x, y = .data$y)) +
        ggplot2::labs(x = axes[1L], y = axes[2L]) + picture_theme()
    size <- point_size(nrow(points))
    if (length(panels) == 0L) {
        return(picture + ggplot2::geom_point(colour = plain_colour, size = size, alpha = 0.8, shape = 16))
    }
    if (length(panels) == 1L) {
        return(picture + colour_layers(points, panels, colours[[1L]], size, "colour"))
    }
    # Two panels with a legend each: one maps to colour, the other to fill. Each layer knows its panel.
    points$panel <- factor(panels[1L], levels = panels)
    first <- points
    points$panel[] <- panels[2L]
    picture + colour_layers(first, panels[1L], colours[[1L]], size, "fill") +
        colour_layers(points, panels[2L], colours[[2L]], size, "colour") +
        ggplot2::facet_wrap(ggplot2::vars(.data$panel))
}

# The points of one panel with their scale, and names where legends alone would not do.
colour_layers <- function(points, column, colour, size, aesthetic) {
    values <- points[[column]]
    if (is.numeric(values)) {
        return(list(point_layer(points, column, size, aesthetic), number_scale(colour$legend)))
    }
    list(
        point_layer(points, column, size, aesthetic),
        group_scale(levels(values), colour$legend, aesthetic),
        if (are_named(levels(values))) name_layer(points, column)
    )
}

point_layer <- function(points, column, size, aesthetic) {
    # A circle with a fill has an outline, which would hide the fill of a small one.
    if (aesthetic == "fill") {
        ggplot2::geom_point(ggplot2::aes(fill = .data[[column]]), points, size = size * outlined_circle, alpha = 0.8,
            shape = 21, stroke = 0)
    } else {
        ggplot2::geom_point(ggplot2::aes(colour = .data[[column]]), points, size = size, alpha = 0.8, shape = 16)
    }
}

# Shape 21 without its stroke is smaller than shape 16 of the same size.
outlined_circle <- 1.25

# Grey for little, dark for much: most cells have none of most genes, and should not stand out.
number_colours <- c("grey86", "#7FCDBB", "#1D91C0", "#253494", "#081D58")

number_scale <- function(legend) {
    ggplot2::scale_colour_gradientn(name = legend, colours = number_colours, na.value = missing_colour)
}

legend_rows <- 20L

group_scale <- function(levels, legend, aesthetic) {
    is_fill <- aesthetic == "fill"
    guide <- if (length(levels) > most_groups_named) "none" else {
        ggplot2::guide_legend(ncol = ceiling(length(levels) / legend_rows), order = if (is_fill) 1L else 2L,
            override.aes = list(size = if (is_fill) 3 * outlined_circle else 3, alpha = 1))
    }
    colours <- stats::setNames(group_colours(length(levels)), levels)
    scale <- if (is_fill) ggplot2::scale_fill_manual else ggplot2::scale_colour_manual
    scale(name = legend, values = colours, labels = legend_labels(levels), na.value = missing_colour, guide = guide)
}

# Beyond this, colours alone are hard to find in a legend; beyond that, there is no room for a legend.
groups_by_legend_alone <- 8L
most_groups_named <- 60L
shortest_long_name <- 8L

are_named <- function(levels) length(levels) > groups_by_legend_alone && length(levels) <= most_groups_named
are_numbered <- function(levels) are_named(levels) && any(nchar(levels) >= shortest_long_name)

# Names of groups as legends give them: with the number that stands for a long name in the picture.
legend_labels <- function(levels) {
    if (!are_numbered(levels)) return(ggplot2::waiver())
    stats::setNames(paste(seq_along(levels), levels, sep = "  "), levels)
}

# The name or number of each group, at the cell of it that is nearest to its median.
name_layer <- function(points, column) {
    middle <- function(cells) {
        cells[which.min((cells$x - stats::median(cells$x))^2 + (cells$y - stats::median(cells$y))^2), ]
    }
    names <- do.call(rbind, lapply(split(points, points[[column]], drop = TRUE), middle))
    groups <- names[[column]]
    names$name <- if (are_numbered(levels(groups))) as.character(as.integer(groups)) else as.character(groups)
    ggplot2::geom_label(ggplot2::aes(label = .data$name), names, size = 3, alpha = 0.75,
        label.padding = ggplot2::unit(0.12, "lines"))
}

# Millimetres: many cells need small points, and few large ones.
point_size <- function(n) min(2.5, max(0.15, 12 / n^(1 / 3)))

picture_theme <- function() {
    ggplot2::theme_bw(base_size = 12) + ggplot2::theme(
        panel.grid = ggplot2::element_blank(), axis.text = ggplot2::element_blank(),
        axis.ticks = ggplot2::element_blank(), aspect.ratio = 1,
        strip.background = ggplot2::element_blank(), strip.text = ggplot2::element_text(size = 12)
    )
}

# Files ----------------------------------------------------------------------------------------------------------------

picture_formats <- c("png", "pdf", "svg", "jpeg", "jpg", "tiff", "bmp", "eps", "ps")

# NULL for no file; otherwise its name with an extension, in a folder that is there. Asked before the work is done.
check_save_name <- function(name, arg = "save_name") {
    check_string(name, arg)
    if (!nzchar(name)) return(NULL)
    extension <- tolower(sub("^.*\\.", "", basename(name)))
    if (!grepl(".", basename(name), fixed = TRUE)) {
        name <- paste0(name, ".png")
    } else if (!extension %in% picture_formats) {
        abort_rscvi("{.arg {arg}} ends in {.val {extension}}; pictures can be saved as {.or {.val {picture_formats}}}.")
    }
    if (!dir.exists(dirname(name))) {
        abort_rscvi("{.arg {arg}} is {.file {name}}, but there is no folder {.file {dirname(name)}}.",
            class = "unwritable_file")
    }
    name
}

save_picture <- function(picture, file, width, height) {
    failed <- function(e) {
        reason <- conditionMessage(e)
        abort_rscvi("The picture cannot be saved to {.file {file}}: {reason}", class = "unwritable_file")
    }
    # Some devices, such as ragg's, only warn.
    warned <- function(w) if (grepl("could not write", conditionMessage(w), fixed = TRUE)) failed(w)
    tryCatch(withCallingHandlers(
        suppressMessages(ggplot2::ggsave(file, picture, width = width, height = height, dpi = 150)), warning = warned
    ), error = function(e) if (inherits(e, "rscvi_error")) stop(e) else failed(e))
    invisible(file)
}
