"""An image as data: reading archives and files, packing layers."""
