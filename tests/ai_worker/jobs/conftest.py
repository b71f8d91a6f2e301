"""The bucket of the tests of ai-jobs."""

from support.jobs_desk import desk
from support.s3 import s3, s3_server

__all__ = ["desk", "s3", "s3_server"]
