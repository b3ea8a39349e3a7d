"""The status page as HTML: its document, and one module for each of its views. Pure.

The words are made here, so that page, menu and terminal say the same; the scripts in `dashboard/` put them in place
and pass clicks on.
"""

from core.page.document import CONTENT_SECURITY_POLICY, DOCUMENT_POLICY, document, message

__all__ = ["CONTENT_SECURITY_POLICY", "DOCUMENT_POLICY", "document", "message"]
