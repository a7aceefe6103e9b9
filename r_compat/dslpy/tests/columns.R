# Columns to bytes; needs no Python. With one, they come back as they were.
library(dslpy)

sent <- function(x) dslpy:::column_to_python(x, "x", length(x))
whole <- function(column) readBin(column$bytes, "integer", n = 100)

stopifnot(
  identical(sent(c(1.5, NA))$kind, "number"),
  identical(whole(sent(c(3L, NA))), c(3L, NA)),
  identical(whole(sent(c(TRUE, NA, FALSE))), c(1L, NA, 0L)),
  identical(whole(sent(c("b", NA, "a", "b"))), c(1L, NA, 2L, 1L)),
  identical(sent(c("b", NA, "a"))$levels, list("b", "a")),
  identical(sent(factor("a", levels = c("z", "a")))$levels, list("z", "a")),
  identical(sent(factor("a", ordered = TRUE))$kind, "ordered"),
  identical(sent(as.Date("2020-01-31"))$kind, "date"),
  identical(sent(as.POSIXct(0, origin = "1970-01-01", tz = "UTC"))$zone, "UTC"),
  identical(dslpy:::column_to_python(scale(1:3), "x", 3)$kind, "number"),
  identical(sent(list(1, 2))$kind, "none"),
  identical(sent(c(1i, 2i))$kind, "none")
)

read <- dslpy:::read_formula(y ~ factor(g) + I(x^2) | unit, data.frame(x = 1, y = 1, g = 1, unit = 1), NULL, NULL)
stopifnot(identical(read$text, "y ~ factor(g) + I(x^2) | unit"))
limit <- 3
read <- dslpy:::read_formula(y ~ I(x > limit), data.frame(x = 1, y = 1), NULL, NULL)
stopifnot(identical(read$values, list(limit = 3)))

if (dsl_available()) {
  posts <- dsl_data("linear", n = 1000, n_labels = 300, seed = 1)
  stopifnot(nrow(posts) == 1000, sum(!is.na(posts$Y)) == 300, is.integer(posts$X2))
  problem <- tryCatch(dsl(formula = Y ~ X9, predicted_var = "Y", prediction = "pred_Y", data = posts), error = identity)
  stopifnot(inherits(problem, "dsl_error"), inherits(problem, "MissingColumnError"))
}
