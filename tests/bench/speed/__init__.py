"""How fast Tidegate is, beside nginx, other proxies and no proxy at all: `make bench`. Prints, judges nothing."""
