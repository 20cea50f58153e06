# Plain R values through descriptions and tensors.

round_trip <- function(x, shared = list()) {
    tensors <- new_tensors(shared)
    description <- pack(x, "x", tensors)
    file <- withr::local_tempfile()
    write_tensors(tensors, file)
    text <- to_json_text(list(value = description))
    unpack(from_json_text(text)$value, list(file = file, shared = shared))
}

expect_round_trip <- function(x, ...) expect_identical(round_trip(x, ...), x)

test_that("vectors of every type come back", {
    logical <- list(TRUE, NA, c(NA, TRUE, FALSE), logical(0))
    integer <- list(1L, NA_integer_, -3:3, integer(0), 255:256, 65535:65536)
    double <- list(1, -0, NA_real_, NaN, Inf, 0.1, 1e300, numeric(0), c(5e-324, -5e-324), 2^31)
    text <- list("a", NA_character_, "NA", "null", "", character(0), c("\u00e9", "\u4e2d", "\U0001F9EC"),
        "\"\\/\b\f\n\r\t\001", strrep("x", 1e5), "1", "http://a.b/c", "[1]", "true")
    for (x in c(list(NULL), logical, integer, double, text)) expect_round_trip(x)
})

test_that("the bits of doubles come back where identical() does not look", {
    for (x in list(c(-0, 1), c(NA, NaN, 1), c(-0, 0.1), c(NA, 0.1))) {
        expect_identical(writeBin(round_trip(x), raw()), writeBin(x, raw()))
    }
})

test_that("text comes back the same in any encoding", {
    latin1 <- "\xe9"
    Encoding(latin1) <- "latin1"
    expect_round_trip(latin1)
    expect_round_trip(c("a", latin1, NA))
})

test_that("attributes and classes come back", {
    expect_round_trip(c(a = 1L, b = 2L))
    expect_round_trip(matrix(1:6, 2))
    expect_round_trip(matrix(c(0.5, 1:5), 2, dimnames = list(NULL, c("x", "y", "z"))))
    expect_round_trip(matrix(letters[1:6], 2))
    expect_round_trip(array(seq_len(24) / 7, 2:4))
    expect_round_trip(array(1:3, 3))
    expect_round_trip(matrix(numeric(0), 0, 3))
    expect_round_trip(structure(1:3, note = "mine", "strange name" = list(1, "b")))
    expect_round_trip(factor(c("b", NA, "a"), levels = c("c", "b", "a")))
    expect_round_trip(factor(c("b", "a"), ordered = TRUE))
    expect_round_trip(factor(character(0)))
    expect_round_trip(addNA(factor(c("x", NA))))
    expect_round_trip(Sys.Date())
    expect_round_trip(as.POSIXct("2024-05-06 07:08:09.5", tz = "UTC"))
    expect_round_trip(as.difftime(1.5, units = "days"))
    expect_round_trip(I(c("x", "y")))
})

test_that("lists and tables come back", {
    expect_round_trip(list())
    expect_round_trip(list(1, NULL, "a", list(TRUE, list())))
    expect_round_trip(list(a = 1, b = NULL))
    expect_round_trip(data.frame(x = 1:3, y = c("a", NA, "c")))
    expect_round_trip(data.frame(x = c(r1 = 1, r2 = 2), y = factor(1:2)))
    expect_round_trip(data.frame())
    expect_round_trip(S4Vectors::Rle(factor(c("a", "a", "b"))))
    expect_round_trip(S4Vectors::Rle(c(1.5, 1.5, NA)))
    expect_round_trip(S4Vectors::DataFrame())
    expect_round_trip(S4Vectors::make_zero_col_DFrame(5))
    expect_round_trip(S4Vectors::DataFrame(x = 1:2, row.names = c("a", "b")))
    twice <- S4Vectors::DataFrame(x = 1:2, y = 3:4, check.names = FALSE)
    names(twice) <- c("x", "x")
    expect_round_trip(twice)
})

test_that("text that is shared is written once", {
    cells <- c("c1", "c2", NA)
    tensors <- new_tensors(list(cells = cells))
    expect_identical(pack(cells, "x", tensors), list(type = "character", strings_of = "cells"))
    expect_round_trip(stats::setNames(1:3, c("c1", "c2", "c3")), list(cells = c("c1", "c2", "c3")))
    expect_round_trip(list(cells, rev(cells)), list(cells = cells))
})

test_that("tensors whose names would clash get others", {
    x <- S4Vectors::DataFrame(1:2, 3:4, c(0.5, 1), check.names = FALSE)
    names(x) <- c("a", "a", "a.1")
    expect_round_trip(x)
    expect_round_trip(stats::setNames(list(structure(1:2, names = 5:6), 7:8), c("1@names", "1")))
})

test_that("what is no plain data is told apart, with the reason", {
    good <- list(1, "a", NULL, list(NULL, list(1)), factor("a"), Sys.time(), data.frame(x = 1), S4Vectors::Rle(1),
        S4Vectors::DataFrame(x = 1), matrix("a"))
    for (x in good) expect_null(unsavable(x))
    expect_match(unsavable(sum), "type builtin")
    expect_match(unsavable(function() 1), "type closure")
    expect_match(unsavable(quote(a + b)), "type language")
    expect_match(unsavable(y ~ x), "type language")
    expect_match(unsavable(new.env()), "type environment")
    expect_match(unsavable(1i), "type complex")
    expect_match(unsavable(S4Vectors::SimpleList(1)), "class SimpleList")
    expect_match(unsavable(list(1, list(sum))), "with parts with parts of type builtin")
    expect_match(unsavable(structure(1, extra = quote(x))), "with parts of type symbol")
    expect_match(unsavable(structure(1, class = "mine")), "class mine")
    expect_match(unsavable(as.POSIXlt(Sys.time())), "class POSIXlt")
    expect_match(unsavable("\xff"), "encoding")
    expect_match(unsavable(list("a", "\xff")), "encoding")
})

test_that("numbers in JSON have all their digits, and strings stay strings", {
    for (x in list(0.1, 1 / 3, 0.1 + 0.2, 1e-300, 2^53 + 2, 5e-324, -1.5)) {
        expect_identical(as.numeric(from_json_text(to_json_text(list(x = json_exactly(x))))$x), x)
    }
    strings <- c("NA", NA, "NaN", "Inf", "1", "", "null")
    expect_identical(json_strings(from_json_text(to_json_text(list(x = json_array(strings))))$x), strings)
    for (x in list(character(0), "a", 3L, 1:5)) {
        expect_match(json_array(x), "^\\[.*\\]$")
    }
})

test_that("JSON is text, and never an address or a file to read", {
    file <- withr::local_tempfile(lines = '{"a": 1}')
    expect_error(from_json_text(file))
    expect_error(from_json_text("https://localhost/x"))
    expect_error(from_json_text("[1]"), class = "rscvi_error")
    expect_error(from_json_text("\xff{}"), class = "rscvi_error")
})
