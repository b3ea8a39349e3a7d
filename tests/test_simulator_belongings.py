"""Files, batches and containers are there for the organisation that made them, and for nobody else."""

from typing import Any

import httpx
import pytest

from tests.fakes import ASK, VERSION, SimulatedAccount, SimulatedProvider, events, signed

pytestmark = pytest.mark.anyio

FILE = {"file": ("tide.txt", b"high at noon", "text/plain")}
CODE = [{"type": "code_execution_20250825", "name": "code_execution"}]
BATCH = {"requests": [{"custom_id": "one", "params": ASK}, {"custom_id": "two", "params": ASK}]}


def key_of(account: SimulatedAccount) -> dict[str, str]:
    return {**VERSION, "x-api-key": account.key}


def naming(id_: str) -> dict[str, Any]:
    document = {"type": "document", "source": {"type": "file", "file_id": id_}}
    return {**ASK, "messages": [{"role": "user", "content": [document, {"type": "text", "text": "hello"}]}]}


async def test_a_file_is_there_for_all_keys_of_its_organisation_and_for_no_other(
    sim: SimulatedProvider, http: httpx.AsyncClient
) -> None:
    mine, ours, other = (sim.add_api_key(name, organization_uuid=org) for name, org in zip("mos", "112", strict=True))
    file = (await http.post("/v1/files", headers=key_of(mine), files=FILE)).json()
    path = f"/v1/files/{file['id']}"

    assert file["id"].startswith("file_011C")
    assert (file["filename"], file["mime_type"], file["size_bytes"]) == ("tide.txt", "text/plain", 12)
    for account, status in ((mine, 200), (ours, 200), (other, 404)):
        assert (await http.get(path, headers=key_of(account))).status_code == status
        assert (await http.post("/v1/messages", headers=key_of(account), json=naming(file["id"]))).status_code == status
    assert [f["id"] for f in (await http.get("/v1/files", headers=key_of(ours))).json()["data"]] == [file["id"]]
    assert (await http.get("/v1/files", headers=key_of(other))).json()["data"] == []
    assert (await http.get(f"{path}/content", headers=key_of(mine))).status_code == 400
    assert (await http.delete(path, headers=key_of(mine))).json() == {"id": file["id"], "type": "file_deleted"}
    assert (await http.get(path, headers=key_of(mine))).status_code == 404


@pytest.mark.parametrize(
    "sent", [{"json": {"file": "no form"}}, {"files": {"other": ("a", b"b")}}], ids=["no form", "no file in it"]
)
async def test_an_upload_without_a_file_is_refused(
    sim: SimulatedProvider, http: httpx.AsyncClient, sent: dict[str, Any]
) -> None:
    answer = await http.post("/v1/files", headers=key_of(sim.add_api_key("Team")), **sent)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_a_batch_is_made_looked_at_read_and_deleted(http: httpx.AsyncClient, work: SimulatedAccount) -> None:
    made = (await http.post("/v1/messages/batches", headers={**VERSION, **signed(work)}, json=BATCH)).json()
    path = f"/v1/messages/batches/{made['id']}"
    assert (made["type"], made["processing_status"], made["results_url"]) == ("message_batch", "in_progress", None)
    assert made["request_counts"]["processing"] == 2

    ended = (await http.get(path, headers=signed(work))).json()
    assert (ended["processing_status"], ended["request_counts"]["succeeded"]) == ("ended", 2)
    assert ended["results_url"].endswith(f"{path}/results")
    results = await http.get(f"{path}/results", headers=signed(work))
    assert results.headers["content-type"] == "application/x-jsonl"
    assert [line.count('"type":"succeeded"') for line in results.text.splitlines()] == [1, 1]

    assert (await http.post(f"{path}/cancel", headers=signed(work))).json()["processing_status"] == "canceling"
    assert (await http.get("/v1/messages/batches", headers=signed(work))).json()["first_id"] == made["id"]
    assert (await http.delete(path, headers=signed(work))).json()["type"] == "message_batch_deleted"
    assert (await http.get(path, headers=signed(work))).status_code == 404


@pytest.mark.parametrize("requests", [None, [], [{"custom_id": "one"}], [{"custom_id": "one", "params": {}}]])
async def test_a_batch_that_cannot_be_read_is_refused(
    http: httpx.AsyncClient, work: SimulatedAccount, requests: object
) -> None:
    answer = await http.post("/v1/messages/batches", headers=signed(work), json={"requests": requests})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_code_runs_in_a_container_that_its_maker_can_go_on_with(
    sim: SimulatedProvider, http: httpx.AsyncClient, work: SimulatedAccount
) -> None:
    headers = {**VERSION, **signed(work)}
    whole = (await http.post("/v1/messages", headers=headers, json={**ASK, "tools": CODE})).json()
    again = {**ASK, "tools": CODE, "container": whole["container"]["id"]}
    streamed = await http.post("/v1/messages", headers=headers, json={**again, "stream": True})
    elsewhere = await http.post("/v1/messages", headers=key_of(sim.add_api_key("Team")), json=again)

    assert whole["container"]["id"].startswith("container_011C")
    deltas = [data for name, data in events(streamed.text) if name == "message_delta"]
    assert deltas[0]["delta"]["container"] == whole["container"]
    assert elsewhere.status_code == 404


async def test_a_request_that_runs_no_code_has_no_container(http: httpx.AsyncClient, work: SimulatedAccount) -> None:
    answer = await http.post("/v1/messages", headers={**VERSION, **signed(work)}, json=ASK)
    assert "container" not in answer.json()


async def test_a_path_below_them_that_is_nothing_is_not_found(http: httpx.AsyncClient, work: SimulatedAccount) -> None:
    assert (await http.get("/v1/files/a/b/c", headers=signed(work))).status_code == 404
    assert (await http.get("/v1/files")).status_code == 401
