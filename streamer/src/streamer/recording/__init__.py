"""The stereo recording of a media session: caller left, bot right, aligned as the caller heard it."""

from streamer.recording.disk import Disk
from streamer.recording.recorder import Recorder

__all__ = ["Disk", "Recorder"]
