"""Chunks of host data that are sent before they are needed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

from jaxnn.train.devices.placement import Placement, send
from jaxnn.train.loop.feed.batching import DataChunk

__all__ = ["AHEAD", "ahead"]

AHEAD = 2  # chunks that are ready before they are needed


def ahead(chunks: Iterator[DataChunk], placement: Placement | None) -> Iterator[DataChunk]:
    """Send chunks to the device by a thread, while those before them are used."""
    ready: queue.Queue[Any] = queue.Queue(AHEAD)
    stop = threading.Event()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for chunk in chunks:
                if not put(chunk._replace(data=send(chunk.data, placement))):
                    return
        except BaseException as error:  # handed to the thread that waits, and raised there
            put(error)
        else:
            put(None)

    thread = threading.Thread(target=work, name="jaxnn-feed", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
