"""Attention of Fovea beside PyTorch's scaled_dot_product_attention, alternating, in one run.

python bench/attention_torch.py BUILD/bin/fovea-bench-attention [--shapes sd15|grids|local] ...
Times are medians and bests of several rounds; a round runs each once. Share is of the peak that
the same program measures for the dtype.
"""
import argparse
import os
import subprocess
import sys
import time

DENSE = {
    # batch, heads, head size, grid, kv
    "sd15": [(2, 8, 40, "64x64", 0), (2, 8, 80, "32x32", 0), (2, 8, 160, "16x16", 0), (2, 8, 160, "8x8", 0),
             (2, 8, 40, "64x64", 77), (2, 8, 80, "32x32", 77), (2, 8, 160, "16x16", 77), (2, 8, 160, "8x8", 77)],
    "grids": [(1, 8, d, "64x64", 0) for d in (40, 64, 128)] + [(1, 2, d, "128x128", 0) for d in (40, 64, 128)],
    "large": [(1, 1, d, "256x256", 0) for d in (40, 64, 128)],
    "vae": [(1, 1, 512, "64x64", 0)],
}
LOCAL = ["clear(r=16)", "clear(r=8)", "gna(window=24,stride=8)", "gna(window=32,stride=16)", "gna(window=16,stride=1)",
         "halo", "window", "radial(model=2d)", "agent"]


class Ours:
    def __init__(self, program, threads):
        env = dict(os.environ, OMP_WAIT_POLICY="passive", OMP_NUM_THREADS=str(threads))
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().split()


def torch_times(torch, batch, heads, d, tokens, kv, dtype, layout, runs):
    def make(n):
        x = torch.randn((batch, n, heads, d) if layout == "bthd" else (batch, heads, n, d)).to(dtype)
        return x.transpose(1, 2) if layout == "bthd" else x
    q, k, v = make(tokens), make(kv or tokens), make(kv or tokens)
    times = []
    with torch.no_grad():
        for i in range(runs + 1):
            begin = time.perf_counter()
            torch.nn.functional.scaled_dot_product_attention(q, k, v)
            times.append((time.perf_counter() - begin) * 1e3)
    return times[1:]


def dense(args, ours, torch):
    peaks = {}
    for dtype in args.dtypes:
        peaks[dtype] = max(float(ours.ask(f"peak {dtype}")[0]) for _ in range(5))
        print(f"peak {dtype}: {peaks[dtype]:.0f} GFLOP/s")
    print("dtype layout b h   d    grid  kv |  ours ms  best | GFLOP/s share | torch ms  best | torch/ours")
    for layout in args.layouts:
        for dtype in args.dtypes:
            for batch, heads, d, grid, kv in DENSE[args.shapes]:
                if args.dims and d not in args.dims:
                    continue
                rows, columns = map(int, grid.split("x"))
                tokens = rows * columns
                flops = 4.0 * batch * heads * d * tokens * (kv or tokens)
                runs = max(1, min(20, int(2e10 / flops)))
                mine, theirs = [], []
                for _ in range(args.rounds):
                    answer = ours.ask(f"{dtype} {layout} {batch} {heads} {d} {grid} {kv} {runs} dense")
                    mine.append((float(answer[0]), float(answer[1])))
                    if torch:
                        kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
                        theirs += torch_times(torch, batch, heads, d, tokens, kv, kind, layout, runs)
                median = sorted(m[0] for m in mine)[len(mine) // 2]
                best = min(m[1] for m in mine)
                gflops = flops / best * 1e-6
                text = (f"{dtype:5} {layout:6} {batch} {heads} {d:3} {grid:>8} {kv:3} | {median:8.3f} {best:8.3f} |"
                        f" {gflops:6.1f} {100 * gflops / peaks[dtype]:4.0f} % |")
                if theirs:
                    theirs.sort()
                    other = theirs[len(theirs) // 2]
                    text += f" {other:8.3f} {theirs[0]:8.3f} | {other / median:5.2f}"
                print(text, flush=True)


def local(args, ours):
    for d in args.dims or [64]:
        for dtype in args.dtypes:
            last = {}
            for side in args.sides:
                grid, heads = f"{side}x{side}", 4 if side < 256 else 2
                ask = lambda op, runs: [float(x) for x in ours.ask(f"{dtype} bthd 1 {heads} {d} {grid} 0 {runs} {op}")]
                whole = min(ask("dense", 2 if side < 256 else 1)[1] for _ in range(args.rounds if side < 256 else 1))
                print(f"{dtype} d={d} {grid} dense {whole / heads:.1f} ms a head")
                for op in LOCAL:
                    best = [ask(op, 5) for _ in range(args.rounds)]
                    ms, visited = min(b[1] for b in best), best[0][3]
                    growth = ms / heads / last[op] if op in last else 0
                    last[op] = ms / heads
                    over = ms / whole / visited if visited else 0
                    print(f"  {op:26} {ms / heads:9.3f} ms  visited {100 * visited:6.2f} %  time {100 * ms / whole:6.2f} %"
                          f"  ratio {over:5.3f}  growth {growth:5.2f}  prepare {best[0][4]:.0f} ms", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--shapes", default="sd15", choices=[*DENSE, "local"])
    parser.add_argument("--dtypes", nargs="+", default=["f32"])
    parser.add_argument("--layouts", nargs="+", default=["bthd"])
    parser.add_argument("--dims", nargs="+", type=int, help="only these head sizes; local operators: 64")
    parser.add_argument("--sides", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-torch", action="store_true")
    args = parser.parse_args()
    torch = None
    if not args.no_torch and args.shapes != "local":
        import torch
        torch.set_num_threads(args.threads)
    ours = Ours(args.program, args.threads)
    print("load average", *os.getloadavg())
    if args.shapes == "local":
        local(args, ours)
    else:
        dense(args, ours, torch)


if __name__ == "__main__":
    sys.exit(main())
