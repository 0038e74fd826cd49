"""One module per kind of document; targets put them together."""
