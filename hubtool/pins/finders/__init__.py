"""What in a file is a pin, and why what looks like one is not."""
