"""One Tidegate process that renews a login: `renewing_process.py DATA_DIR TOKEN_URL TIMES`. Not a test."""

import asyncio
import sys
import time
from pathlib import Path

import httpx

from core.files import Paths
from core.model import AccountId, Endpoints
from core.tokens import Tokens
from core.vault import open_vault

PASSPHRASE = "open sesame"


async def main(root: str, url: str, times: int) -> None:
    paths = Paths(Path(root))
    vault = open_vault("file", paths, "install", {"TIDEGATE_VAULT_KEY": PASSPHRASE})
    async with httpx.AsyncClient(trust_env=False) as http:
        tokens = Tokens(vault, paths, lambda: Endpoints(anthropic_token_url=url), lambda: http, time.time)
        secret = await tokens.secret(AccountId("anna"))
        for _ in range(times):
            secret = await tokens.renew(AccountId("anna"), secret)
        await tokens.close()
    await vault.close()
    print(secret)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
