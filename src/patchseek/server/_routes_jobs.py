"""Routes of jobs: start indexing an allowed folder, watch a job, cancel it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path as Folder
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path

from .._progress import OnProgress
from ..encode import AddReport, find_new
from ..errors import PatchseekError, StoreError
from ..store import Settings
from ._jobs import Job
from ._responses import PROBLEMS, Events, told
from ._services import Services
from ._shapes import MOST_ID, FolderLook, JobShape

FolderId = Annotated[int, Path(ge=0, le=MOST_ID)]
JobId = Annotated[str, Path(max_length=100)]
_LOOK_SECONDS = 0.15


def job_routes(services: Services) -> APIRouter:
    """The routes, for one server."""
    router = APIRouter(prefix="/api", responses=PROBLEMS, tags=["jobs"])
    folders = services.settings.allow_dirs

    def folder_of(folder_id: int) -> Folder:
        if folder_id >= len(folders):
            raise HTTPException(404, "no such folder; the owner allows folders with --allow-dir")
        return folders[folder_id].resolve()

    @router.get("/folders/{folder_id}", response_model=FolderLook)
    async def look_into_folder(folder_id: FolderId) -> Any:
        """How many pictures are in one of the folders that the owner allowed, and how many of them are not indexed."""
        folder, store = folder_of(folder_id), services.collection.store
        try:
            n_pictures, n_new = await services.catalogue.run(find_new, store, folder)
        except StoreError:
            raise
        except PatchseekError as error:  # gone, or it cannot be looked at
            raise HTTPException(503, services.discreet(str(error))) from error
        return {
            "folder_id": folder_id,
            "name": told(folder.name or "/"),
            "n_pictures": n_pictures,
            "n_new": n_new,
            "bytes_new": n_new * bytes_each(store.settings),
        }

    @router.post("/folders/{folder_id}/index", status_code=202, response_model=JobShape)
    async def index_folder(folder_id: FolderId) -> Any:
        """Index one of the folders that the owner allowed at the start; only what is new or changed is encoded."""
        folder = folder_of(folder_id)

        def work(on_progress: OnProgress) -> AddReport:
            services.begin()
            report = services.collection.add(folder, on_progress=on_progress)
            services.look_for_saved(report)
            return report

        return services.jobs.start("folder", told(folder.name or "/"), work).record()

    @router.get("/jobs", response_model=list[JobShape])
    async def list_jobs() -> Any:
        """The latest jobs, newest first."""
        return [job.record() for job in services.jobs.all()]

    @router.get("/jobs/{job_id}", response_model=JobShape)
    async def show_job(job_id: JobId) -> Any:
        """How far a job has come."""
        return _job(services, job_id).record()

    @router.delete("/jobs/{job_id}", response_model=JobShape)
    async def cancel_job(job_id: JobId) -> Any:
        """Cancel a job. What it has finished stays."""
        job = _job(services, job_id)
        job.cancelled.set()
        return job.record()

    @router.get("/jobs/{job_id}/events", response_class=Events)
    async def watch_job(job_id: JobId) -> Events:
        """Progress as server-sent events: `progress` with the job as JSON, and `end` with its last state."""
        return Events(_events(_job(services, job_id)), headers={"cache-control": "no-store", "x-accel-buffering": "no"})

    return router


def bytes_each(settings: Settings) -> int:
    """What a picture takes in a collection, if it is not long: features of its regions, and all points it may have."""
    features = 2 * settings.pyramid.n_regions * settings.encoder.dim
    return features + (settings.points.n_most * settings.points.n_bytes if settings.points else 0)


def _job(services: Services, job_id: str) -> Job:
    job = services.jobs.get(job_id)
    if job is None:
        raise HTTPException(404, "there is no such job any more")
    return job


async def _events(job: Job) -> AsyncIterator[str]:
    """An event for every change that is seen, and a comment now and then, so that no proxy thinks the line dead."""
    last, quiet = None, 0
    while not job.is_over:
        seen = (job.state, job.doing, job.done, job.total)
        if seen != last:
            last, quiet = seen, 0
            yield f"event: progress\ndata: {json.dumps(job.record())}\n\n"
        elif (quiet := quiet + 1) * _LOOK_SECONDS > 15:
            quiet = 0
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK_SECONDS)
    yield f"event: end\ndata: {json.dumps(job.record())}\n\n"
