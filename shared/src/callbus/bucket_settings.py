"""The settings of the bucket that holds the calls' files, for every service that uses it."""

from __future__ import annotations

import re
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from callbus.settings import ServiceSettings

_URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=-]+)*/?")


class BucketSettings(ServiceSettings):
    """Without `calls_bucket`, the files stay in CALLS_DIR."""

    calls_bucket: str | None = Field(
        None,
        description="Bucket that the calls' files go to: s3://bucket or s3://bucket/prefix; unset: they stay",
    )
    calls_bucket_endpoint: str | None = Field(
        None, description="URL of an S3-compatible server that has the bucket; unset: Amazon's"
    )
    aws_access_key_id: SecretStr | None = Field(
        None, description="Key id for the bucket; without it, the machine's or the pod's own role is used"
    )
    aws_secret_access_key: SecretStr | None = Field(None, description="The key that belongs to AWS_ACCESS_KEY_ID")
    aws_region: str | None = Field(None, description="Region of the bucket; unset: us-east-1")

    @field_validator("calls_bucket")
    @classmethod
    def _is_a_bucket(cls, url: str | None) -> str | None:
        if url is not None and not _URL.fullmatch(url):
            raise ValueError("expected s3://bucket or s3://bucket/prefix")
        return url

    @field_validator("calls_bucket_endpoint")
    @classmethod
    def _is_a_server(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in url:
                raise ValueError("expected a server like https://minio.example.com:9000")
            return url.rstrip("/")
        return url

    @model_validator(mode="after")
    def _keys_are_a_pair(self) -> Self:
        if self.calls_bucket and (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together; set both or none")
        return self
