"""Pushing to a Hub on loopback, by the Hub's own client: every accident it can meet."""

import json
import re

import pytest
from huggingface_hub import HfApi

from hub_upload.command import main
from hub_upload.plan import as_published
from hub_upload.push import PushTarget, plan_push, push
from hub_upload.verify import verify
from modeling_ecso.errors_ecso import ECSOInputError
from tests.support.built_folder import CARD, SHARDS, make_folder, write_index, write_weights
from tests.support.loopback_hub import StoredFile


NAME = "tester/model"


@pytest.fixture
def folder(tmp_path):
    """A folder that looks built; nothing here loads it."""
    return make_folder(tmp_path / "built")


def send(folder, target=None, waits=None, **kwargs):
    target = target or PushTarget(NAME, **kwargs)
    head, plan = plan_push(folder, target, needs_token=True)
    wait = (waits if waits is not None else []).append
    return plan, push(folder, target, head, plan, wait)


def kinds(plan):
    return {change.path: change.what for change in plan.changes}


def files_at(hub, revision="main", name=NAME):
    repository = hub.repositories[name]
    return repository.commits[repository.commit_id(revision)]


def uploads(hub):
    return [line for line in hub.requests if line.startswith("PUT ")]


def test_a_new_repository_is_created_filled_in_one_commit_and_tagged(hub, folder):
    plan, pushed = send(folder)
    assert set(kinds(plan).values()) == {"new"}
    there = files_at(hub)
    assert there.keys() == {path.name for path in folder.iterdir()} | {".gitattributes"}
    assert there["README.md"].content.decode().endswith(f"# Try {NAME}\n")
    assert len(hub.repositories[NAME].commits) == 2  # the Hub's own and this one
    assert pushed.tag == "v1" and files_at(hub, "v1") is there
    assert not hub.repositories[NAME].is_private


def test_pushed_again_unchanged_nothing_is_sent(hub, folder):
    _, first = send(folder)
    hub.requests.clear()
    plan, second = send(folder)
    assert plan.is_empty and second.commit == first.commit and second.tag == "v1"
    assert not [line for line in hub.requests if not line.startswith("GET ")]


def test_a_change_is_sent_alone_and_a_release_stays_where_it_is(hub, folder):
    _, first = send(folder)
    hub.requests.clear()
    (folder / "modeling_ecso.py").write_text("'other code'\n", "utf-8")
    plan, second = send(folder)
    assert [file.path for file in plan.uploads] == ["modeling_ecso.py"]
    assert not uploads(hub)
    assert files_at(hub)["modeling_ecso.py"].content == b"'other code'\n"
    assert second.tag is None and f"v1 stays at {first.commit[:8]}" in second.tag_note
    assert files_at(hub, "v1")["modeling_ecso.py"].content == b"'code'\n"


def test_stale_code_and_weights_are_deleted_and_what_others_put_there_stays(hub, folder):
    send(folder)
    stored = StoredFile(b"x", is_large=False)
    others = {"image.jpg": stored, "custom_generate/generate.py": stored}
    hub.repositories[NAME].commit("main", {**files_at(hub), **others})
    (folder / SHARDS[1]).unlink()
    write_index(folder, SHARDS[:1])
    plan, _ = send(folder)
    found = kinds(plan)
    assert found[SHARDS[1]] == found["custom_generate/generate.py"] == "deleted"
    assert found["image.jpg"] == found[".gitattributes"] == "kept"
    assert {"image.jpg", ".gitattributes"} <= files_at(hub).keys()
    assert not {SHARDS[1], "custom_generate/generate.py"} & files_at(hub).keys()


def test_a_head_that_moves_meanwhile_stops_the_push(hub, folder):
    send(folder)
    target = PushTarget(NAME)
    (folder / "modeling_ecso.py").write_text("'other code'\n", "utf-8")
    head, plan = plan_push(folder, target, needs_token=True)
    hub.repositories[NAME].commit("main", {})
    with pytest.raises(ECSOInputError, match="somebody has committed"):
        push(folder, target, head, plan, [].append)
    assert files_at(hub) == {}


def test_a_broken_upload_is_resumed_and_nothing_is_sent_twice(hub, folder, monkeypatch):
    import huggingface_hub.lfs

    # The client's own patience is the same, only slower.
    impatient = huggingface_hub.lfs.http_backoff
    monkeypatch.setattr(
        huggingface_hub.lfs,
        "http_backoff",
        lambda *args, **kwargs: impatient(*args, max_retries=0, **kwargs),
    )
    hub.uploads_to_break = 1
    waits = []
    send(folder, waits=waits)
    assert waits == [1]
    assert len(uploads(hub)) == 3  # two files, one of them twice
    assert files_at(hub)[SHARDS[0]].content == (folder / SHARDS[0]).read_bytes()

    hub.uploads_to_break = 100
    write_weights(folder / SHARDS[0], 2)
    write_weights(folder / SHARDS[1], 3)
    with pytest.raises(ECSOInputError, match="the connection broke .* repeat the command"):
        send(folder)
    before = files_at(hub)
    assert len(hub.repositories[NAME].commits) == 2
    hub.uploads_to_break = 0
    send(folder)
    assert files_at(hub) != before


def test_a_commit_whose_answer_is_lost_is_recognised(hub, folder):
    hub.commit_answers_to_lose = 1
    _, pushed = send(folder)
    assert pushed.commit == hub.repositories[NAME].heads["main"]
    assert len(hub.repositories[NAME].commits) == 2


def test_a_pull_request_leaves_the_branch_alone_and_is_not_opened_twice(hub, folder):
    send(folder)
    (folder / "modeling_ecso.py").write_text("'other code'\n", "utf-8")
    _, pushed = send(folder, opens_request=True)
    assert "/discussions/1" in pushed.url and pushed.tag is None
    assert files_at(hub)["modeling_ecso.py"].content == b"'code'\n"
    assert files_at(hub, "refs/pr/1")["modeling_ecso.py"].content == b"'other code'\n"
    hub.commit_answers_to_lose = 1
    with pytest.raises(ECSOInputError, match="while the pull request was being opened"):
        send(folder, opens_request=True)
    assert "refs/pr/3" not in hub.repositories[NAME].heads


def test_a_pull_request_against_another_branch_is_refused(hub, folder):
    with pytest.raises(ECSOInputError, match="leave out --revision next"):
        send(folder, branch="next", opens_request=True)
    assert not hub.repositories


def test_a_commit_that_the_client_has_split_is_tagged_by_the_next_push(hub, folder, monkeypatch):
    upload_folder = HfApi.upload_folder

    def in_two_commits(self, **arguments):
        done = upload_folder(self, **arguments)
        done.oid = hub.repositories[NAME].commit("main", files_at(hub))
        return done

    monkeypatch.setattr(HfApi, "upload_folder", in_two_commits)
    _, pushed = send(folder)
    assert pushed.tag is None and "has split the commit" in pushed.tag_note
    assert "v1" not in hub.repositories[NAME].heads
    _, pushed = send(folder)
    assert pushed.tag == "v1" and pushed.commit == hub.repositories[NAME].heads["main"]


def test_a_tag_that_somebody_sets_meanwhile_stays_where_it_is(hub, folder, monkeypatch):
    create_tag = HfApi.create_tag

    def too_late(self, repo_id, **arguments):
        repository = hub.repositories[NAME]
        repository.heads["v1"] = repository.history("main")[-1]
        create_tag(self, repo_id, **arguments)

    monkeypatch.setattr(HfApi, "create_tag", too_late)
    _, pushed = send(folder)
    first = hub.repositories[NAME].history("main")[-1]
    assert hub.repositories[NAME].heads["v1"] == first
    assert pushed.tag is None and f"v1 stays at {first[:8]}" in pushed.tag_note


def test_another_branch_and_a_private_repository(hub, folder):
    send(folder, is_private=True)
    assert hub.repositories[NAME].is_private
    (folder / "config.json").write_text('{"a": 1}', "utf-8")
    _, pushed = send(folder, branch="next")
    assert files_at(hub, "next")["config.json"].content == b'{"a": 1}'
    assert files_at(hub)["config.json"].content == b"{}" and pushed.tag is None


def test_a_public_repository_is_not_taken_for_private(hub, folder):
    send(folder)
    with pytest.raises(ECSOInputError, match="is public already"):
        plan_push(folder, PushTarget(NAME, is_private=True), needs_token=True)


@pytest.mark.parametrize(
    ("token", "name", "says"),
    [
        ("", NAME, "there is no token; log in"),
        ("hf_wrong", NAME, "does not accept the token"),
        ("hf_reader", NAME, "may not write there"),
        ("hf_local", "model", "not OWNER/NAME"),
        ("hf_local", "tester/mo del", "not a valid name"),
        ("hf_local", "a/b/c", "not a valid name"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(
    hub, folder, monkeypatch, capsys, token, name, says
):
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ECSOInputError, match=says) as caught:
        send(folder, PushTarget(name))
    seen = capsys.readouterr()
    for text in (str(caught.value), seen.out, seen.err):
        assert not token or token not in text
    assert not hub.repositories


def test_a_hub_out_of_reach_is_one_line(hub, folder, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ECSOInputError, match="the connection broke"):
        send(folder)


def test_looking_needs_no_token_and_writes_nothing(hub, folder, monkeypatch):
    send(folder)
    monkeypatch.setenv("HF_TOKEN", "")
    hub.requests.clear()
    head, plan = plan_push(folder, PushTarget(NAME), needs_token=False)
    assert head.exists and plan.is_empty
    head, plan = plan_push(folder, PushTarget("tester/none"), needs_token=False)
    assert not head.exists and len(plan.uploads) == 6
    assert all(line.startswith("GET ") for line in hub.requests)


def test_a_folder_that_borrows_from_this_machine_is_not_published(hub, folder):
    source = {"weights_from": {"repo_id": "/somewhere", "revision": None}}
    (folder / "config.json").write_text(json.dumps(source), "utf-8")
    with pytest.raises(ECSOInputError, match="build again with --base OWNER/NAME"):
        plan_push(folder, PushTarget(NAME), needs_token=True)


def test_a_file_that_does_not_belong_there_is_not_published(hub, folder):
    (folder / ".env").write_text("", "utf-8")
    with pytest.raises(ECSOInputError, match="name is that of a secret"):
        plan_push(folder, PushTarget(NAME), needs_token=True)


def test_what_does_not_verify_is_not_pushed(hub, folder, capsys):
    assert main(["push", str(folder), "--repo-id", NAME]) == 2
    seen = capsys.readouterr()
    assert "not pushed, since a check has failed" in seen.err
    assert "FAILED" in seen.out and "not started" in seen.out
    assert not hub.repositories


@pytest.mark.parametrize(
    ("card", "says"),
    [
        (b"---\nlicense: \xff\n---\n", "its metadata cannot be read"),
        (b"---\nlicense: [\n---\n", "its metadata cannot be read"),
        (CARD.replace("ecso_release: v1\n", "").encode(), "has no .*ecso_release"),
    ],
)
def test_a_card_that_cannot_be_used_fails_its_check_in_one_line(folder, card, says):
    (folder / "README.md").write_bytes(card)
    checks = {check.name: check for check in verify(folder)}
    assert not checks["card"].passed and re.search(says, checks["card"].detail)


def test_what_goes_up_names_the_repository_in_the_card(folder):
    with as_published(folder, NAME) as published:
        assert NAME in (published / "README.md").read_text("utf-8")
