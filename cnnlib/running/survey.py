"""Asks the machines of a Ray cluster: each of them the same question, or one that has a GPU."""

import logging
import os
from collections.abc import Callable
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cnnlib.system.surroundings import knock

PATIENCE = 300  # seconds that a machine may take: it may have to fetch the photographs


def on_every_machine(
    question: Callable[..., Any], *arguments: Any
) -> list[tuple[Any, dict[str, float]]]:
    """The answers, one a machine, from a process on each, and what Ray has there for trials.

    Raises ConnectionError where there is no cluster or it refuses, RuntimeError where a machine
    does not answer.
    """
    address = os.environ["RAY_ADDRESS"]
    began = not ray.is_initialized()
    try:
        if began:
            knock(address)  # ray.init tries for minutes
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as error:  # no cluster there, or another token, or other versions
        raise ConnectionError(
            f"{address} does not take us: {error}; is it up (ray status), is RAY_AUTH_MODE=token "
            "set and the token the cluster's?"
        ) from error
    try:
        alive = [node for node in ray.nodes() if node["Alive"]]
        ask = ray.remote(num_cpus=0)(_asked)
        asked = [
            ask.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(question, arguments)
            for node in alive
        ]
        return [
            (_answer(node["NodeManagerHostname"], reference), node["Resources"])
            for node, reference in zip(alive, asked, strict=True)
        ]
    finally:
        if began:
            ray.shutdown()


def _asked(question: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return question(*arguments)


def on_a_gpu(question: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """The answer of a process that has a whole GPU, where one is free or can be started."""
    return ray.get(ray.remote(num_gpus=1, num_cpus=1)(question).remote(*arguments, **named))


def _answer(name: str, reference: Any) -> Any:
    try:
        return ray.get(reference, timeout=PATIENCE)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise RuntimeError(
            f"{name} does not answer ({lines[-1]}); is cnnlib installed there, and can it reach "
            "the photographs?"
        ) from error
