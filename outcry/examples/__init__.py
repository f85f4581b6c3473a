"""Short programs on the client library: each is started with a key file, as `outcry demo` writes them."""
