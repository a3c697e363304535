"""DAGs that are baked into the image."""

import os

import structlog
from airflow.dag_processing.bundles.base import BundleVersion
from airflow.dag_processing.bundles.local import LocalDagBundle

log = structlog.get_logger(__name__)


class ImageDagBundle(LocalDagBundle):
    """A folder of the image, whose version (`$DAGS_VERSION`) Airflow records with each DAG's version, for people.

    An image can't bring an earlier one back: whatever version is asked for, what is there is what runs, and the task's
    log says so. It counts as versioned only because Airflow records nothing otherwise; it goes together with
    `[dag_processor] disable_bundle_versioning = True`, which keeps runs from being tied to a version.
    """

    supports_versioning = True

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.image_version = os.environ.get("DAGS_VERSION") or "unversioned"

    def initialize(self) -> None:
        log.info("DAGs are those of the image", image_version=self.image_version, bundle=self.name)
        if self.version and self.version != self.image_version:
            log.warning(
                "The run is tied to another version of the DAGs, which this image can't bring back: it goes on with "
                "what is in the image",
                asked_for=self.version,
                image_version=self.image_version,
            )
        super().initialize()

    def get_current_version(self) -> BundleVersion:
        """The image's, whatever version was asked for."""
        return BundleVersion(version=self.image_version)
