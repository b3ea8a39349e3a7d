"""The core of Tidegate: choosing accounts, forwarding requests, keeping logins. Start with core/README.md."""

__version__ = "0.1.0"
