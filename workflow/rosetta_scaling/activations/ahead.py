"""Chunks on the device that works on them, read ahead in a thread while the one before is worked on."""

import queue
import threading
from collections.abc import Iterator

import torch

from rosetta_scaling.activations.chunks import SLOTS


def on_device(chunks: Iterator[torch.Tensor], device: torch.device | str) -> Iterator[torch.Tensor]:
    """Chunks on a device, each of which the next ones may overwrite; those that are there already pass as they are."""
    device = torch.device(device)
    for first in chunks:
        if first.device.type == device.type:
            yield first
            yield from chunks
        else:
            yield from ReadAhead(first, chunks, device)


class ReadAhead:
    """A thread reads chunks (rows, columns) into pinned memory and sends them on; the last may have fewer columns."""

    def __init__(self, first: torch.Tensor, rest: Iterator[torch.Tensor], device: torch.device):
        self.first, self.rest, self.device = first, rest, device
        self.is_cuda = device.type == "cuda"
        self.pinned, self.there = (
            [torch.empty(first.numel(), dtype=first.dtype, **where) for _ in range(SLOTS)]
            for where in ({"pin_memory": self.is_cuda}, {"device": device})
        )
        self.free: queue.Queue = queue.Queue()  # (slot, event after which it may be overwritten); None: stop
        self.ready: queue.Queue = queue.Queue()  # (chunk, slot, event after which it is whole), or an error
        for slot in range(SLOTS):
            self.free.put((slot, self._event()))  # its memory may still be in use

    def __iter__(self) -> Iterator[torch.Tensor]:
        thread = threading.Thread(target=self._read, daemon=True)
        thread.start()
        try:
            while (found := self.ready.get()) is not None:
                if isinstance(found, BaseException):
                    raise found
                chunk, slot, whole = found
                if self.is_cuda:
                    torch.cuda.current_stream(self.device).wait_event(whole)
                yield chunk
                self.free.put((slot, self._event()))
        finally:
            self.free.put(None)
            thread.join()

    def _event(self) -> torch.cuda.Event | None:
        """Marks what the device has been asked to do so far."""
        return torch.cuda.current_stream(self.device).record_event() if self.is_cuda else None

    def _read(self) -> None:
        try:
            if self.is_cuda:
                with torch.cuda.device(self.device), torch.cuda.stream(torch.cuda.Stream(self.device)):
                    self._send_all()
            else:
                self._send_all()
            self.ready.put(None)
        except BaseException as error:
            self.ready.put(error)

    def _send_all(self) -> None:
        chunk: torch.Tensor | None = self.first
        sent: dict[int, torch.cuda.Event] = {}
        while chunk is not None and (granted := self.free.get()) is not None:
            slot, worked_on = granted
            if slot in sent:
                sent[slot].synchronize()  # its pinned memory is still on the way
            pinned, there = (memory[slot][: chunk.numel()].view(chunk.shape) for memory in (self.pinned, self.there))
            pinned.copy_(chunk)
            if worked_on is not None:
                torch.cuda.current_stream(self.device).wait_event(worked_on)
            there.copy_(pinned, non_blocking=True)
            whole = self._event()
            if whole is not None:
                sent[slot] = whole
            self.ready.put((there, slot, whole))
            chunk = next(self.rest, None)
        for whole in sent.values():
            whole.synchronize()  # before the memory is given back
