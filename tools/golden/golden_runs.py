"""The loop over whole runs of tiny pipelines: pipeline_classes.py and transformer_pipelines.py."""

import argparse
import os
import shutil

from safetensors.torch import save_file

import reference

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/golden")


def make(group, about, cases, defaults, make_model, unit_noise, run):
    """Writes tests/golden/GROUP, or the folder of --out.

    make_model(folder, model, vocabulary) writes a pipeline folder and returns its parts;
    unit_noise(model, settings) is what a run with given latents starts from;
    run(model, parts, scheduler_config, settings, init, kept) returns the final latents, and adds
    text states to `kept` where that is no None.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--out", default=os.path.join(GOLDEN, group))
    out = parser.parse_args().out
    shutil.rmtree(out, ignore_errors=True)
    vocabulary = os.path.join(GOLDEN, "pipeline/model/tokenizer")
    parts, tensors, runs = {}, {}, []
    for name, model in cases.MODELS.items():
        os.makedirs(os.path.join(out, name))
        parts[name] = make_model(os.path.join(out, name), model, vocabulary)
    for name, (model, scheduler_config, changes) in cases.RUNS.items():
        settings = {**defaults, **changes}
        init = unit_noise(cases.MODELS[model], settings) if settings["latents"] else None
        kept = {} if settings.pop("text") else None
        latents = run(cases.MODELS[model], parts[model], scheduler_config, settings, init, kept)
        if init is not None:
            tensors[f"{name}.init"] = init
        tensors[f"{name}.latents"] = latents.clone().contiguous()
        tensors.update({f"{name}.{k}": v.detach().clone() for k, v in (kept or {}).items()})
        print(name, list(latents.shape), "rms", float(latents.pow(2).mean().sqrt()), flush=True)
        runs.append({"name": name, "model": model, "scheduler": scheduler_config,
                     "settings": settings})
    reference.write_json(os.path.join(out, "runs.json"),
                         {"versions": reference.versions(), "runs": runs})
    save_file(tensors, os.path.join(out, "runs.safetensors"))
