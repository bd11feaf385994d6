"""One module a verb, named after it: reads its arguments, calls the rooms below, prints."""
