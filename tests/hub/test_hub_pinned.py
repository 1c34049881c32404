"""A revision is a commit: named as one, or led to by a tag or branch when the build was made."""

import json

import pytest

from hub_upload.build import build
from hub_upload.recipe import load_recipe
from modeling_ecso import ECSOConfigError
from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.loading.models import TINY_FOLDER
from modeling_ecso.sources_ecso import checked_source
from tests.support.loopback_hub import Repository, StoredFile


@pytest.fixture
def commits(hub):
    """The two commits of a stock model on the Hub; its tag and one branch stay at the first."""
    repository = hub.repositories["tester/stock"] = Repository("tester/stock", is_private=False)
    files = {
        path.name: StoredFile(path.read_bytes(), path.suffix == ".safetensors")
        for path in TINY_FOLDER.iterdir()
        if path.is_file()
    }
    first = repository.commit("main", files)
    repository.heads["v1"] = repository.heads["trunk"] = first
    return first, repository.commit("main", files)


@pytest.mark.parametrize("revision", ["v1", "trunk"])
def test_a_tag_or_branch_is_stored_as_the_commit_it_leads_to(commits, tmp_path, revision):
    build(load_recipe("tiny-thin"), tmp_path / "thin", f"tester/stock@{revision}")
    stored = json.loads((tmp_path / "thin" / "config.json").read_text("utf-8"))
    assert stored["weights_from"] == {"repo_id": "tester/stock", "revision": commits[0]}
    assert f"at revision `{commits[0]}`" in (tmp_path / "thin" / "README.md").read_text("utf-8")
    build(load_recipe("custom-generate"), tmp_path / "method", f"tester/stock@{revision}")
    card = (tmp_path / "method" / "README.md").read_text("utf-8")
    assert f'base, base_revision = "tester/stock", "{commits[0]}"' in card


def test_a_recipe_that_names_a_tag_is_built_at_its_commit(commits, tmp_path):
    text = load_recipe("tiny-thin").path.read_text("utf-8")
    base = "repo_id: tester/stock\n  revision: v1"
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace("repo_id: embedded\n  revision: null", base), "utf-8")
    assert build(load_recipe(str(file)), tmp_path / "thin").base.revision == commits[0]


def test_without_a_revision_it_is_the_commit_of_the_main_branch(commits, tmp_path):
    model = build(load_recipe("tiny"), tmp_path / "out", "tester/stock")
    assert model.base.revision == commits[1]
    method = build(load_recipe("custom-generate"), tmp_path / "method", "tester/stock")
    assert method.base.revision == commits[1]


def test_a_revision_that_leads_nowhere_is_one_line(commits, tmp_path):
    with pytest.raises(ECSOInputError, match="the base tester/stock: no such revision"):
        build(load_recipe("tiny-thin"), tmp_path / "thin", "tester/stock@v9")


@pytest.mark.parametrize(
    "revision", ["main", "trunk", "latest", "v1", "a" * 39, "a" * 41, "A" * 40, "g" * 40, "", None]
)
def test_weights_are_taken_from_nothing_but_a_commit(revision):
    with pytest.raises(ECSOConfigError, match="weights_from.revision must be a commit, 40 hex"):
        checked_source({"repo_id": "tester/stock", "revision": revision})
    checked_source({"repo_id": "tester/stock", "revision": "a" * 40})
