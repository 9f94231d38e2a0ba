"""The runs of perturbation.py. Models are those of pipeline, pipeline_classes, transformer_pipelines.

`by`: "pag", diffusers' own PAG pipeline with `layers`; "slg", its skip_guidance_layers; "maps", whole
maps of each head in double precision (perturbation.py), with `sites`: index of the attention call ->
(heads, or None for all; strength).
"""

import pipeline_cases
import pipeline_classes_cases
import transformer_pipelines_cases

DDIM = pipeline_cases.sd15("DDIMScheduler")
EULER = pipeline_cases.sd15("EulerDiscreteScheduler")
SDXL = pipeline_classes_cases.SDXL
FLOW = transformer_pipelines_cases.FLOW

# Beside those of the models' own runs: what Fovea is asked for, in its words.
DEFAULTS = dict(perturb="m0", perturb_kind="identity", perturb_scope="all", perturb_scale=3.0,
                perturb_steps="", steps=10, batch=2, cfg=5.0, prompt_2="", negative_2="",
                prompt_3="", negative_3="", max_sequence_length=-1)
DIT = dict(max_sequence_length=20, width=80, height=48)
ALONE = dict(cfg=1.0, negative=None)


def pag(model, scheduler, layers, **changes):
    return dict(model=model, scheduler=scheduler, by="pag", layers=layers, settings=changes)


def maps(model, scheduler, sites, **changes):
    return dict(model=model, scheduler=scheduler, by="maps", sites=sites, settings=changes)


RENORM = dict(DIT, perturb="1", perturb_scope="img-renorm")
# Calls of the U-Net of pipeline: d0 0, d1 2, m0 4, u0 6, u1 8, u2 10, u3 12; the others cross.
RUNS = {
    "sd15": pag("sd15", DDIM, ["mid"]),
    "sd15_alone": pag("sd15", DDIM, ["mid"], **ALONE),
    "sd15_every_layer": pag("sd15", EULER, ["mid", "up", "down"], perturb="*", perturb_scale=0.9,
                            batch=1),
    "sd15_rescaled": pag("sd15", DDIM, ["mid"], cfg_rescale=0.7),
    "sdxl": pag("sdxl", SDXL, ["mid"]),
    "sdxl_alone": pag("sdxl", SDXL, ["mid"], **ALONE),
    "sd3": pag("sd3", FLOW, ["blocks.1"], **RENORM),
    "sd3_alone": pag("sd3", FLOW, ["blocks.1"], **{**RENORM, **ALONE}),
    "sd35_skip": dict(model="sd35", scheduler=FLOW, by="slg", layers=[1],
                      settings=dict(DIT, perturb="1", perturb_kind="skip", perturb_scale=2.8,
                                    perturb_steps="1%-50%", width=40, height=56, batch=1)),
    # One head, and two heads of two layers, of which one only to some degree.
    "sd15_heads": maps("sd15", DDIM, {2: ([1], 1.0), 12: ([0], 0.3)}, perturb="d1.1,u3.0@0.3"),
    "sd15_uniform": maps("sd15", DDIM, {0: (None, 0.6)}, perturb="d0@0.6", perturb_kind="uniform",
                         batch=1),
    "sd15_zero": maps("sd15", DDIM, {8: ([0], 1.0)}, perturb="u1/0.[0]", perturb_kind="zero",
                      batch=1, **ALONE),
    "sd15_mean_query": maps("sd15", DDIM, {4: (None, 0.5)}, perturb="m0@0.5",
                            perturb_kind="meanq", batch=1),
    "sd15_blur": maps("sd15", DDIM, {2: (None, 1.0), 4: ([1], 1.0)}, perturb="d1,m0.1",
                      perturb_kind="blur:1", batch=1),
    "sd15_blur_whole": maps("sd15", DDIM, {2: (None, 1.0)}, perturb="d1", perturb_kind="blur:inf",
                            batch=1, **ALONE),
    "sd15_window": maps("sd15", DDIM, {4: (None, 1.0)}, window=(2, 5), perturb_steps="2-5", batch=1),
    "sd3_heads": maps("sd3", FLOW, {0: ([2], 0.5), 2: ([0, 1], 1.0)}, **DIT,
                      perturb="0.2@0.5,2.[0-1]"),
    "sd3_image": maps("sd3", FLOW, {1: ([1], 0.7)}, **DIT, perturb="1.1@0.7",
                      perturb_scope="img-pure", batch=1),
    # Layers count through double and single blocks.
    "flux_heads": maps("flux_dev", transformer_pipelines_cases.DYNAMIC, {1: ([0], 1.0), 3: (None, 0.4)},
                       **DIT, perturb="1.0,3@0.4", batch=1, cfg=3.5, negative=None),
}
