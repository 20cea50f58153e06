# Colours that can be told apart, also by those who see no difference between red and green.

# Six of Okabe & Ito's (black and yellow, too close to text and paper, left out). Each further colour is the one, among
# those neither too light nor too dark, whose least distance in CIELAB from all before it is largest, the least taken
# over normal vision, protanopia and deuteranopia (Machado et al. 2009). Any two of the first 20 are 17 units apart in
# each of the three; a test computes it.
distinct_colours <- c(
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#0000FF", "#87000F", "#6969FF", "#5A2D4B",
    "#78E187", "#3C1EA5", "#FFB4C3", "#F0004B", "#781E78", "#6996FF", "#2D783C", "#2D3CE1", "#F0965A", "#B41E00",
    "#3C5AC3", "#1E7878", "#96D2F0", "#5AC387"
)

# One colour a group. Beyond what can be told apart, at least no colour occurs twice.
group_colours <- function(n) {
    more <- max(0L, n - length(distinct_colours))
    turned <- seq(15, 375, length.out = more + 1L)[seq_len(more)]
    c(utils::head(distinct_colours, n), grDevices::hcl(turned, c = 60, l = rep_len(c(45, 65, 80), more)))
}

missing_colour <- "grey75"
plain_colour <- distinct_colours[1L]
