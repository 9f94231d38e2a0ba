"""Times Fovea and its peers back to back: alternating runs, medians, the load of others beside them.

    PEER_PYTHON=VENV/bin/python python3 bench/compare.py --fovea build/bin/fovea --sd15 DIR
        [--sdxl-unet DIR] [--cases unet-512,vae-512] [--dtypes f32,bf16] [--rounds 3]
        [--sd-cli PATH] [--json FILE] [--markdown FILE]

DIR is a pipeline folder of full size (tools/full_size.py writes one with random weights). PEER_PYTHON
is a Python with torch, diffusers and transformers; without it, or without --sd-cli, that peer is left
out. PyTorch builds the same networks from the same config.json files with random weights of its own:
times do not depend on values.

Every run is a process of its own: one pass to warm up (packing, allocation), then one that counts.
GFLOP are those of the plain algorithm for everybody, so a share of the peak above 100 % says that an
algorithm with fewer multiplications is at work.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

# name -> component, picture side
CASES = {"unet-512": ("unet", 512), "unet-768": ("unet", 768), "sdxl-unet-1024": ("sdxl", 1024),
         "vae-512": ("vae", 512), "vae-1024": ("vae", 1024), "clip": ("text_encoder", 0)}


def cpu_seconds():
    """Seconds of all processors since boot: busy, stolen."""
    ticks = [int(t) for t in open("/proc/stat").readline().split()[1:9]]
    per_second = os.sysconf("SC_CLK_TCK")
    user, nice, system, _idle, _wait, irq, softirq, stolen = ticks
    return (user + nice + system + irq + softirq) / per_second, stolen / per_second


def run(command, env=None):
    """Standard output of a command, and how many processors others kept busy meanwhile."""
    begin, before = time.monotonic(), cpu_seconds()
    own_before = os.times()
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    own = os.times()
    after, seconds = cpu_seconds(), time.monotonic() - begin
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {result.stderr.strip()[-2000:]}")
    mine = (own.children_user - own_before.children_user +
            own.children_system - own_before.children_system)
    busy = after[0] - before[0] - mine + after[1] - before[1]
    return result.stdout + result.stderr, max(0.0, busy / seconds)


def run_fovea(args, component, side, dtype):
    folder = args.sdxl_unet if component == "sdxl" else args.sd15
    command = [args.fovea, "bench", "model", "-m", folder, "--dtype", dtype, "--repeat", "1", "--json"]
    if component != "sdxl":
        command += ["--component", component]
    if side:
        command += ["-W", str(side), "-H", str(side)]
    text, load = run(command)
    figures = json.loads(text[text.index("{"):])
    return {"seconds": figures["seconds"], "memory_mb": figures["peak_memory_mb"], "load": load,
            "gflop": figures["gflop"], "peak": figures["peak_gflops"]}


def run_torch(args, component, side, dtype):
    folder = args.sdxl_unet if component == "sdxl" else os.path.join(args.sd15, component)
    environment = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    text, load = run([os.environ["PEER_PYTHON"], __file__, "--peer", component, str(side), dtype,
                      folder], environment)
    figures = [line for line in text.splitlines() if line.startswith("{")][-1]
    return dict(json.loads(figures), load=load)


def run_sd_cli(args, component, side, dtype):
    """stable-diffusion.cpp: seconds of one U-Net pass or of the VAE, as it prints them."""
    if component not in ("unet", "vae") or dtype != "f32":
        return None
    with tempfile.TemporaryDirectory() as folder:
        text, load = run([args.sd_cli, "-m", args.sd_cli_model, "-p", "a", "--cfg-scale", "1",
                          "--steps", "2", "-W", str(side), "-H", str(side), "-t", str(args.threads),
                          "-v", "-o", os.path.join(folder, "out.png")])
    pattern = (r"([\d.]+)s/it" if component == "unet" else
               r"(?:decode_first_stage|latent 1 decoded).*?taking ([\d.]+)s")
    found = re.findall(pattern, text)
    return {"seconds": float(found[-1]), "load": load} if found else None


def peer(component, side, dtype, folder):
    """In PEER_PYTHON: one network of PyTorch's, timed."""
    import resource

    import torch
    torch.manual_seed(0)
    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    config = json.loads((pathlib.Path(folder) / "config.json").read_text())
    with torch.device("meta"):
        if component == "text_encoder":
            from transformers import CLIPTextConfig, CLIPTextModel
            model = CLIPTextModel(CLIPTextConfig(**config))
        else:
            import diffusers
            model = getattr(diffusers, config["_class_name"]).from_config(config)
    model = model.to(kind).to_empty(device="cpu").eval()
    with torch.no_grad():
        for name, value in list(model.named_parameters()) + list(model.named_buffers()):
            if not value.is_floating_point():
                value.copy_(torch.arange(value.numel()).view(value.shape))
                continue
            fan_in = max(1, value.numel() // value.shape[0]) if value.dim() > 1 else 1
            value.uniform_(-1, 1).mul_(fan_in ** -0.5) if value.dim() > 1 else value.fill_(1)
    latent = side // 8
    if component == "text_encoder":
        call = lambda: model(torch.arange(77).view(1, 77) % config["vocab_size"])
    elif component == "vae":
        z = torch.randn(1, config["latent_channels"], latent, latent, dtype=kind)
        call = lambda: model.decode(z)
    else:
        x = torch.randn(1, config["in_channels"], latent, latent, dtype=kind)
        states = torch.randn(1, 77, config["cross_attention_dim"], dtype=kind)
        more = {}
        if config.get("addition_embed_type") == "text_time":
            ids = torch.tensor([[side, side, 0, 0, side, side]], dtype=kind)
            more = {"added_cond_kwargs": {"text_embeds": torch.randn(1, 1280, dtype=kind),
                                          "time_ids": ids}}
        call = lambda: model(x, 500, encoder_hidden_states=states, **more)
    with torch.inference_mode():
        call()
        begin = time.monotonic()
        call()
        seconds = time.monotonic() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"seconds": seconds, "memory_mb": memory}))


def compare(args, name, dtype):
    component, side = CASES[name]
    engines = {"fovea": run_fovea}
    if os.environ.get("PEER_PYTHON"):
        engines["pytorch"] = run_torch
    if args.sd_cli:
        engines["stable-diffusion.cpp"] = run_sd_cli
    runs = {engine: [] for engine in engines}
    for _ in range(args.rounds):
        for engine, function in engines.items():
            result = function(args, component, side, dtype)
            if result is None:
                continue
            runs[engine].append(result)
            print(f"{name} {dtype} {engine}: {result['seconds']:.3f} s, "
                  f"others {result['load']:.2f} processors", file=sys.stderr, flush=True)
    return {"case": name, "dtype": dtype, "runs": {k: v for k, v in runs.items() if v}}


def markdown(results):
    lines = ["| case | dtype | Fovea s | GFLOP/s | share of peak | MB | PyTorch s | MB | ratio | "
             "load of others |", "|---|---|---|---|---|---|---|---|---|---|"]
    for each in results:
        median = {engine: statistics.median(r["seconds"] for r in runs)
                  for engine, runs in each["runs"].items()}
        ours = each["runs"]["fovea"]
        theirs = each["runs"].get("pytorch", [])
        rate = ours[0]["gflop"] / median["fovea"]
        peak = max(r["peak"] for r in ours)
        load = max(r["load"] for runs in each["runs"].values() for r in runs)
        other = (f"{median['pytorch']:.2f} | {max(r['memory_mb'] for r in theirs):.0f} | "
                 f"{median['pytorch'] / median['fovea']:.2f}" if theirs else "- | - | -")
        lines.append(f"| {each['case']} | {each['dtype']} | {median['fovea']:.2f} | {rate:.0f} | "
                     f"{100 * rate / peak:.0f} % | {max(r['memory_mb'] for r in ours):.0f} | {other} | "
                     f"{load:.2f} |")
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--peer":
        peer(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
        return
    parser = argparse.ArgumentParser(description="Times Fovea and its peers back to back.")
    parser.add_argument("--fovea", required=True)
    parser.add_argument("--sd15", required=True, help="pipeline folder of Stable Diffusion 1.5's size")
    parser.add_argument("--sdxl-unet", help="folder of a U-Net of SDXL's size")
    parser.add_argument("--cases", default="unet-512,unet-768,vae-512,vae-1024,clip")
    parser.add_argument("--dtypes", default="f32,bf16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--sd-cli", help="stable-diffusion.cpp's program")
    parser.add_argument("--sd-cli-model", help="its single-file model")
    parser.add_argument("--json", help="write all runs here")
    parser.add_argument("--markdown", help="write the table here")
    args = parser.parse_args()
    results = []
    for name in args.cases.split(","):
        if name not in CASES:
            parser.error(f"--cases: '{name}' is not one of {', '.join(CASES)}")
        for dtype in args.dtypes.split(","):
            results.append(compare(args, name, dtype))
            if args.json:
                pathlib.Path(args.json).write_text(json.dumps(results, indent=1) + "\n")
    table = markdown(results)
    if args.markdown:
        pathlib.Path(args.markdown).write_text(table)
    print(table, end="")


if __name__ == "__main__":
    main()
