# Installs the packages that a file lists, one a line. install.packages() only warns where one can't be had.
lines <- trimws(sub("#.*", "", readLines(commandArgs(trailingOnly = TRUE)[1])))
packages <- lines[nzchar(lines)]
install.packages(packages, lib = "/opt/r-packages", Ncpus = parallel::detectCores())
missing <- setdiff(packages, rownames(installed.packages()))
if (length(missing)) stop("not installed: ", paste(missing, collapse = ", "))
