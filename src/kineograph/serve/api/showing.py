"""A job as its owner sees it: OpenAI's video object, and our own fields beside."""

import json
from collections.abc import Sequence
from typing import Any

from kineograph.serve.api import jobs
from kineograph.serve.api.jobs import Job
from kineograph.serve.api.service import Service

SOON_MS, MOST_MS = 100, 2000
POLLS = 20
"""A film is asked about so many times, if it takes as long as is thought."""


def shown(service: Service, owner: str, found: Sequence[Job]) -> list[dict[str, Any]]:
    """The video objects of some jobs of one owner."""
    places: dict[str, int] = {}
    if any(job.status == jobs.QUEUED for job in found):
        waiting = [job for job in jobs.in_hand(service.engine, owner) if job.status == jobs.QUEUED]
        places = {job.id: place for place, job in enumerate(waiting)}
    return [video(service, job, places.get(job.id)) for job in found]


def video(service: Service, job: Job, position: int | None) -> dict[str, Any]:
    """The video object of one job."""
    error = {"code": job.error_code, "message": job.error_message} if job.error_code else None
    return {
        "id": job.id,
        "object": "video",
        "status": job.status,
        "progress": progress(job),
        "model": job.model,
        "created_at": int(job.created_at),
        "completed_at": None if job.completed_at is None else int(job.completed_at),
        "expires_at": None if job.expires_at is None else int(job.expires_at),
        "error": error,
        "prompt": job.prompt,
        "remixed_from_video_id": job.remixed_from,
        "seconds": f"{job.seconds:.6g}",
        "size": f"{job.width}x{job.height}",
        "task": job.task,
        "question": json.loads(job.question),
        "inputs": job.given,
        "frames_done": job.done,
        "frames_total": job.total,
        "started_at": None if job.started_at is None else int(job.started_at),
        "paused": job.paused,
        "position": position,
        "estimated_seconds": estimate(service, job),
        "bytes": job.bytes,
        "fps": job.fps,
    }


def progress(job: Job) -> int:
    """Per cent of the frames that are made; 100 only when the film is there."""
    if job.status == jobs.COMPLETED:
        return 100
    return min(99, 100 * job.done // job.total) if job.total else 0


def estimate(service: Service, job: Job) -> float | None:
    """How many seconds it takes once it is begun, as far as earlier ones tell."""
    if job.completed_at is not None and job.started_at is not None:
        return round(job.completed_at - job.started_at, 3)
    found = jobs.seconds_for(service.engine, job.task, job.model, job.work_px)
    return None if found is None else round(found, 3)


def poll_after(job: Job) -> int:
    """After how many milliseconds to ask again."""
    if job.status not in (jobs.QUEUED, jobs.RUNNING) or job.paused:
        return MOST_MS
    if job.status == jobs.QUEUED or job.total is None or not job.done:
        return 2 * SOON_MS
    left = (job.total - job.done) / job.total
    return max(SOON_MS, min(MOST_MS, round(MOST_MS * left)))
