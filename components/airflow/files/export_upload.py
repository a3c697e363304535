"""Puts a file into a bucket of Google Cloud Storage: python export_upload.py FILE BUCKET PREFIX

Under a name with the time in it, so that nothing that is there is replaced; the library compares checksums.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from google.cloud import storage

file, bucket, prefix = sys.argv[1:]
name = f"{prefix}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"
blob = storage.Client().bucket(bucket).blob(name)
blob.upload_from_filename(file, if_generation_match=0, checksum="crc32c", timeout=600)
print(f"gs://{bucket}/{name}: {Path(file).stat().st_size} bytes")
