"""What sweep.json says of how a sweep was run."""

import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cnnlib.networks.families import written_down
from cnnlib.photos.dataset import Dataset
from cnnlib.photos.source_text import SourceText
from cnnlib.planning.plan import Plan, num_photos
from cnnlib.system.redaction import command, without_secrets

VERSIONS = ("cnnlib", "torch", "torchvision", "pytorch-lightning", "ray", "hyperopt", "wandb")


def sweep_facts(plan: Plan) -> dict[str, Any]:
    """Space, flags, seeds, versions of the libraries, git commit, data, plan."""
    settings = plan.settings
    return {
        "name": plan.name,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command(sys.argv),
        **written_down(plan.family),
        "search": plan.search,
        "begun_with": str(plan.terms.experience) if plan.terms.experience else None,
        "trials": plan.trials,
        "max_epochs": plan.max_epochs,
        "image_size": plan.image_size,
        "seed": settings.seed,
        "patience": settings.patience,
        "metric": asdict(plan.terms.metric),
        "audit": settings.audit,
        "decode_seconds": plan.decode_seconds,
        "stopping": plan.terms.stopping if plan.halving else "never",
        "rungs": list(plan.halving.rungs) if plan.halving else [],
        "reduction_factor": plan.halving.reduction_factor if plan.halving else None,
        "last_share": plan.halving.last_share if plan.halving else None,
        "space": {name: asdict(values) for name, values in plan.space.items()},
        "names": dict(plan.terms.names),
        "rename": dict(plan.terms.rename),
        "finalists": plan.finalists,
        "seeds": plan.seeds,
        **provenance(settings.data, plan.dataset, settings.seed),
    }


def provenance(data: str | Path, dataset: Dataset, seed: int) -> dict[str, Any]:
    """The photographs and how they are split, the versions of the libraries, the git commit."""
    source = SourceText.parse(data).absolute
    public = without_secrets(source)
    return {
        "data": {
            "source": public,
            **({"address_withheld": True} if public != source else {}),
            "fingerprint": dataset.fingerprint,
            "classes": list(dataset.classes),
            **num_photos(dataset, seed),
        },
        "versions": {"python": platform.python_version()} | {v: version(v) for v in VERSIONS},
        "commit": _commit(),
    }


def _commit() -> str | None:
    """The git commit of this code, None outside a checkout."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return answer.stdout.strip() or None
