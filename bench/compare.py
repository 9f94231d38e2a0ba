"""Times Fovea and its peers back to back: alternating runs, medians, the load of others beside them.

    PEER_PYTHON=VENV/bin/python python3 bench/compare.py --fovea build/bin/fovea --sd15 DIR
        [--sdxl-unet DIR] [--flux DIR] [--sd3 DIR] [--cases unet-512,vae-512] [--dtypes f32,bf16]
        [--rounds 3]
        [--sd-cli PATH --sd-cli-model FILE] [--json FILE] [--markdown FILE] [--budget SECONDS]

DIR is a pipeline folder of full size (tools/full_size.py writes one with random weights, SDXL's
U-Net, and transformers of FLUX's and SD3.5's width; tools/ldm_file.py makes the single file that stable-diffusion.cpp reads). PEER_PYTHON is a
Python with torch, diffusers and transformers; without it, or without --sd-cli, that peer is left
out. PyTorch builds the same networks from the same config.json files with random weights of its own:
times do not depend on values.

Every run is a process of its own: one pass to warm up (packing, allocation; PyTorch's at half the
size where it takes a minute), then one that counts; of stable-diffusion.cpp the last of two steps
counts, and its only VAE decoding. All cases run once, then all again. Runs already in --json are not
made again, and none is begun that would not end within --budget as it did before: a comparison can
be made in pieces. A run beside others that kept more than --max-load processors busy does not count
and is made again.

GFLOP are those of the plain algorithm for everybody, so a share of the peak above 100 % says that an
algorithm with fewer multiplications is at work. The peak is the highest of those that Fovea's runs
measured.
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
         "flux-512": ("flux", 512), "flux-1024": ("flux", 1024), "sd3-512": ("sd3", 512),
         "sd3-1024": ("sd3", 1024), "vae-512": ("vae", 512), "vae-1024": ("vae", 1024), "clip": ("text_encoder", 0)}
PASSES = {"text_encoder": 20}  # timed ones, of which the median counts; else one
ALONE = {"sdxl": "sdxl_unet", "flux": "flux", "sd3": "sd3"}  # denoisers in folders of their own
SD_CPP = "stable-diffusion.cpp"


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
    folder = getattr(args, ALONE[component]) if component in ALONE else args.sd15
    command = [args.fovea, "bench", "model", "-m", folder, "--dtype", dtype, "--json", "--repeat",
               str(PASSES.get(component, 1))]
    if component not in ALONE:
        command += ["--component", component]
    if side:
        command += ["-W", str(side), "-H", str(side)]
    text, load = run(command)
    figures = json.loads(text[text.index("{"):])
    return {"seconds": figures["seconds"], "memory_mb": figures["peak_memory_mb"], "load": load,
            "gflop": figures["gflop"], "peak": figures["peak_gflops"]}


def run_torch(args, component, side, dtype):
    folder = (getattr(args, ALONE[component]) if component in ALONE
              else os.path.join(args.sd15, component))
    environment = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    text, load = run([os.environ["PEER_PYTHON"], __file__, "--peer", component, str(side), dtype,
                      folder], environment)
    figures = [line for line in text.splitlines() if line.startswith("{")][-1]
    return dict(json.loads(figures), load=load)


def run_sd_cli(args, side):
    """stable-diffusion.cpp: one U-Net pass and one VAE decoding, as it prints them."""
    with tempfile.TemporaryDirectory() as folder:
        text, load = run([args.sd_cli, "-m", args.sd_cli_model, "-p", "a", "--cfg-scale", "1",
                          "--steps", "2", "-W", str(side), "-H", str(side), "-t", str(args.threads),
                          "-v", "-o", os.path.join(folder, "out.png")])
    means = [float(seconds) for seconds in re.findall(r"/2 - ([\d.]+)s/it", text)]
    decoded = re.search(r"decode_first_stage completed, taking ([\d.]+)s", text)
    if len(means) < 2 or not decoded:
        raise SystemExit(f"{args.sd_cli}: prints its times in another way")
    return {"unet": 2 * means[-1] - means[0], "vae": float(decoded[1]), "load": load}


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
    noise = torch.empty(1 << 20, dtype=kind).uniform_(-1, 1)
    with torch.no_grad():
        for value in list(model.parameters()) + list(model.buffers()):
            if not value.is_floating_point():
                value.copy_(torch.arange(value.numel()).view(value.shape))
            elif value.dim() < 2:
                value.fill_(1)
            else:
                scale = (value.numel() // value.shape[0]) ** -0.5
                for part in value.view(-1).split(noise.numel()):
                    torch.mul(noise[:part.numel()], scale, out=part)

    def inputs(latent):
        if component == "text_encoder":
            return (torch.arange(77).view(1, 77) % config["vocab_size"],), {}
        if component == "vae":
            return (torch.randn(1, config["latent_channels"], latent, latent, dtype=kind),), {}
        if component == "flux":
            rows = latent // 2
            ids = torch.zeros(rows, rows, 3)
            ids[..., 1] += torch.arange(rows)[:, None]
            ids[..., 2] += torch.arange(rows)[None]
            return (torch.randn(1, rows * rows, config["in_channels"], dtype=kind),
                    torch.randn(1, 512, config["joint_attention_dim"], dtype=kind),
                    torch.randn(1, config["pooled_projection_dim"], dtype=kind),
                    torch.tensor([0.5], dtype=kind), ids.view(-1, 3), torch.zeros(512, 3),
                    torch.tensor([3.5], dtype=kind)), {}
        if component == "sd3":
            return (torch.randn(1, config["in_channels"], latent, latent, dtype=kind),
                    torch.randn(1, 333, config["joint_attention_dim"], dtype=kind),
                    torch.randn(1, config["pooled_projection_dim"], dtype=kind),
                    torch.tensor([500.0])), {}
        more = {"encoder_hidden_states": torch.randn(1, 77, config["cross_attention_dim"],
                                                     dtype=kind)}
        if config.get("addition_embed_type") == "text_time":
            ids = torch.tensor([[side, side, 0, 0, side, side]], dtype=kind)
            more["added_cond_kwargs"] = {"text_embeds": torch.randn(1, 1280, dtype=kind),
                                         "time_ids": ids}
        return (torch.randn(1, config["in_channels"], latent, latent, dtype=kind), 500), more

    call = model.decode if component == "vae" else model
    with torch.inference_mode():
        warm, more = inputs((side if side <= 768 else side // 2) // 8)
        call(*warm, **more)
        timed, more = inputs(side // 8)
        seconds = []
        for _ in range(PASSES.get(component, 1)):
            begin = time.monotonic()
            call(*timed, **more)
            seconds.append(time.monotonic() - begin)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"seconds": statistics.median(seconds), "memory_mb": memory}))


def runs_of(results, case, dtype, engine):
    return [r for r in results if (r["case"], r["dtype"], r["engine"]) == (case, dtype, engine)]


def quiet(args, results):
    return [r for r in results if r["load"] <= args.max_load]


def plan(args):
    """What one round runs, in order: (case, dtype, [(engine, function)])."""
    engines = [("fovea", run_fovea)]
    if os.environ.get("PEER_PYTHON"):
        engines.append(("pytorch", run_torch))
    for case in args.cases:
        component, side = CASES[case]
        if not (getattr(args, ALONE[component]) if component in ALONE else args.sd15):
            continue
        for dtype in args.dtypes:
            yield case, dtype, [(engine, lambda f=function: f(args, component, side, dtype))
                                for engine, function in engines]
    if args.sd_cli:
        yield SD_CPP, "f16", [(SD_CPP, lambda: run_sd_cli(args, 512))]


def measure(args, results, save):
    begin = time.monotonic()
    for round_number in range(args.rounds):
        for case, dtype, engines in plan(args):
            for engine, function in engines:
                before = runs_of(quiet(args, results), case, dtype, engine)
                if len(before) > round_number:
                    continue
                start = time.monotonic()
                expected = max((r["wall"] for r in before), default=0)
                if start - begin + expected > args.budget:
                    continue
                result = dict(case=case, dtype=dtype, engine=engine, **function())
                result["wall"] = time.monotonic() - start
                results.append(result)
                save()
                seconds = ", ".join(f"{key} {result[key]:.3f} s"
                                    for key in ("seconds", "unet", "vae") if key in result)
                print(f"{case} {dtype} {engine}: {seconds}, others {result['load']:.2f} processors",
                      file=sys.stderr, flush=True)


def median(runs, key="seconds"):
    return statistics.median(r[key] for r in runs)


def speed(runs, gflop, peak):
    """Columns of one engine: seconds, GFLOP/s, share of the peak, MB."""
    if not runs:
        return "- | - | - | -"
    seconds = median(runs)
    rate = gflop / seconds
    return (f"{seconds:.3g} | {rate:.0f} | {100 * rate / peak:.0f} % | "
            f"{max(r['memory_mb'] for r in runs):.0f}")


def markdown(args, results):
    results = quiet(args, results)
    peaks = {dtype: max((r["peak"] for r in results
                         if r["engine"] == "fovea" and r["dtype"] == dtype), default=0)
             for dtype in args.dtypes}
    lines = ["| case | dtype | runs | Fovea s | GFLOP/s | of peak | MB | PyTorch s | GFLOP/s | of peak | "
             "MB | ratio | load of others |", "|" + "---|" * 13]
    for case in args.cases:
        for dtype in args.dtypes:
            ours = runs_of(results, case, dtype, "fovea")
            theirs = runs_of(results, case, dtype, "pytorch")
            if not ours:  # no peak and no GFLOP without
                continue
            gflop, peak = ours[0]["gflop"], peaks[dtype]
            ratio = f"{median(theirs) / median(ours):.2f}" if theirs else "-"
            load = max(r["load"] for r in ours + theirs)
            lines.append(f"| {case} | {dtype} | {len(ours)} | {speed(ours, gflop, peak)} | "
                         f"{speed(theirs, gflop, peak)} | {ratio} | {load:.2f} |")
    peers = runs_of(results, SD_CPP, "f16", SD_CPP)
    if peers:
        lines += ["", "| stable-diffusion.cpp, f16 | runs | s | Fovea f32 is faster by | bf16 by | "
                  "load of others |", "|---|---|---|---|---|---|"]
        for part, case in (("unet", "unet-512"), ("vae", "vae-512")):
            seconds = median(peers, part)
            ratios = []
            for dtype in ("f32", "bf16"):
                ours = runs_of(results, case, dtype, "fovea")
                ratios.append(f"{seconds / median(ours):.2f}" if ours else "-")
            lines.append(f"| {case} | {len(peers)} | {seconds:.3g} | {ratios[0]} | {ratios[1]} | "
                         f"{max(r['load'] for r in peers):.2f} |")
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--peer":
        peer(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
        return
    parser = argparse.ArgumentParser(description="Times Fovea and its peers back to back.")
    parser.add_argument("--fovea", required=True)
    parser.add_argument("--sd15", help="pipeline folder of Stable Diffusion 1.5's size")
    parser.add_argument("--sdxl-unet", help="folder of a U-Net of SDXL's size")
    parser.add_argument("--flux", help="folder of a transformer of FLUX's width")
    parser.add_argument("--sd3", help="folder of a transformer of SD3's width")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--dtypes", default="f32,bf16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--sd-cli", help="stable-diffusion.cpp's program")
    parser.add_argument("--sd-cli-model", help="its single-file model")
    parser.add_argument("--json", help="keep all runs here, and go on from them")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds")
    parser.add_argument("--max-load", type=float, default=0.15, help="processors of others")
    parser.add_argument("--markdown", help="write the table here")
    args = parser.parse_args()
    args.cases, args.dtypes = args.cases.split(","), args.dtypes.split(",")
    for case in args.cases:
        if case not in CASES:
            parser.error(f"--cases: '{case}' is not one of {', '.join(CASES)}")
    results = []
    if args.json and os.path.exists(args.json):
        results = json.loads(pathlib.Path(args.json).read_text())

    def save():
        if args.json:
            pathlib.Path(args.json).write_text(json.dumps(results, indent=1) + "\n")

    measure(args, results, save)
    table = markdown(args, results)
    if args.markdown:
        pathlib.Path(args.markdown).write_text(table)
    print(table, end="")


if __name__ == "__main__":
    main()
