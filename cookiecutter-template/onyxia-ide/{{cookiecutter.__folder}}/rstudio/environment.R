# What the container was started with, for RStudio's sessions, which begin with an empty environment.
local({
  file <- "/run/onyxia/environment"
  if (!nzchar(Sys.getenv("RSTUDIO")) || file.access(file, 4) != 0) return(invisible())
  bytes <- readBin(file, "raw", file.size(file))
  start <- 1
  for (end in which(bytes == 0)) {
    entry <- rawToChar(bytes[seq(start, length.out = end - start)])
    start <- end + 1
    at <- regexpr("=", entry, fixed = TRUE)
    name <- substr(entry, 1, at - 1)
    value <- list(substr(entry, at + 1, nchar(entry)))
    names(value) <- name
    if (name == "PATH" || is.na(Sys.getenv(name, NA))) do.call(Sys.setenv, value)
  }
})
