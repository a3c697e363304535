"""The storage that images are built in, apart from the tests of the images, which hold its lock."""

import tarfile
from pathlib import Path

import pytest

from testbed.images.buildah import buildah
from testbed.progress import Progress

pytestmark = pytest.mark.cluster


def test_a_storage_in_which_a_file_was_changed_is_emptied_and_filled_again(tmp_path: Path) -> None:
    # Tools that add an authority to every certificate bundle on a machine do this to the storage.
    context = tmp_path / "context"
    context.mkdir()
    (context / "Containerfile").write_text("FROM scratch\nCOPY bundle.pem /bundle.pem\n")
    (context / "bundle.pem").write_text("one authority\n")
    reference, archive = "localhost/airflow-platform/altered:1", tmp_path / "image.tar"
    runs: list[int] = []
    with buildah(Progress()) as shared:
        builder = shared.elsewhere(tmp_path / "storage")

        def make() -> None:
            runs.append(1)
            builder.build(context / "Containerfile", context, reference, {})
            archive.unlink(missing_ok=True)
            builder.save(reference, archive)

        builder.whole(make)
        assert len(runs) == 1
        (stored,) = [path for path in (tmp_path / "storage").rglob("bundle.pem") if "diff" in path.parts]
        stored.write_text("one authority, and another\n")
        builder.whole(make)
    assert len(runs) == 3
    with tarfile.open(archive) as saved:
        assert "manifest.json" in saved.getnames()
