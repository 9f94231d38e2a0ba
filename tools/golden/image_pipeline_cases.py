"""The runs of image_pipeline.py."""

from pipeline_cases import SD15, VP, sd15

# Every run starts from these settings. `kind`: img2img, or inpaint with a U-Net of 4 or of 9
# channels; `size`: of the run, the given picture's (cut to multiples of 8) if null.
DEFAULTS = dict(kind="img2img", prompt="a red cube on the table, and a blue one", negative="blurry",
                size=[72, 56], steps=10, strength=0.6, cfg=5.0, eta=0.0, seed=7, batch=1,
                clip_skip=0, tile=0)

SCHEDULERS = {
    "ddim": sd15("DDIMScheduler"), "pndm": SD15, "euler": sd15("EulerDiscreteScheduler"),
    "euler_a": sd15("EulerAncestralDiscreteScheduler"), "heun": sd15("HeunDiscreteScheduler"),
    "dpmpp_2m": sd15("DPMSolverMultistepScheduler"),
    "dpmpp_2m_sde": sd15("DPMSolverMultistepScheduler", algorithm_type="sde-dpmsolver++"),
    "unipc": sd15("UniPCMultistepScheduler"), "lcm": sd15("LCMScheduler"),
}

RUNS = {}
for name, scheduler in SCHEDULERS.items():
    RUNS[f"img2img_{name}"] = (scheduler, {})
    RUNS[f"inpaint4_{name}"] = (scheduler, dict(kind="inpaint4", strength=0.75, batch=2))
    RUNS[f"inpaint9_{name}"] = (scheduler, dict(kind="inpaint9", strength=0.5))

RUNS |= {
    "img2img_whole": (SCHEDULERS["euler"], dict(strength=1.0)),
    "img2img_one_step": (SCHEDULERS["euler"], dict(strength=0.1)),
    "img2img_heun_two_steps": (SCHEDULERS["heun"], dict(strength=0.2)),
    "img2img_pndm_whole": (SD15, dict(strength=1.0)),
    "img2img_pndm_second": (SD15, dict(strength=0.9)),
    "img2img_pndm_late": (SD15, dict(strength=0.3)),
    "img2img_pndm_prk": (sd15("PNDMScheduler", skip_prk_steps=False), dict(strength=0.7)),
    "img2img_batch": (SCHEDULERS["euler_a"], dict(batch=3, seed=2**33 + 1)),
    "img2img_odd": (SCHEDULERS["dpmpp_2m"], dict(size=None)),
    "img2img_larger": (SCHEDULERS["ddim"], dict(size=[96, 136], eta=0.6)),
    "img2img_v": (sd15("DDIMScheduler", timestep_spacing="trailing", rescale_betas_zero_snr=True,
                       **VP), dict(strength=0.55)),
    "img2img_karras": (sd15("DPMSolverMultistepScheduler", use_karras_sigmas=True),
                       dict(steps=17, strength=0.83)),
    "img2img_leading": (sd15("EulerDiscreteScheduler", timestep_spacing="leading"), {}),
    "img2img_no_guidance": (SCHEDULERS["unipc"], dict(cfg=1.0, clip_skip=1)),
    "img2img_tiled": (SCHEDULERS["euler"], dict(size=[88, 72], tile=32)),
    "inpaint4_whole": (SCHEDULERS["euler_a"], dict(kind="inpaint4", strength=1.0)),
    "inpaint4_leading": (sd15("EulerDiscreteScheduler", timestep_spacing="leading"),
                         dict(kind="inpaint4", strength=1.0, cfg=1.0)),
    "inpaint4_one_step": (SCHEDULERS["ddim"], dict(kind="inpaint4", strength=0.1)),
    "inpaint4_pndm_prk": (sd15("PNDMScheduler", skip_prk_steps=False), dict(kind="inpaint4")),
    "inpaint4_small": (SCHEDULERS["euler"], dict(kind="inpaint4", size=[24, 40])),
    "inpaint9_whole": (SD15, dict(kind="inpaint9", strength=1.0, batch=2)),
    "inpaint9_ancestral": (SCHEDULERS["euler_a"], dict(kind="inpaint9", strength=0.999, batch=2)),
    "inpaint9_tiled": (SCHEDULERS["ddim"], dict(kind="inpaint9", size=[56, 96], tile=32, eta=1.0)),
}
