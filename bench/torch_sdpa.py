"""Times PyTorch's scaled_dot_product_attention on grids of tokens, as `fovea bench attention` does.

python bench/torch_sdpa.py --grid 64x64,128x128 --heads 8 --dim 40,64 [--dtype f32] [--repeat 5]
Prints a JSON list of operator, grid, heads, dim, dtype, threads, seconds (the median).
"""
import argparse
import json
import os
import statistics
import time

import torch


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--grid", default="64x64")
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--dim", default="64")
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[args.dtype]
    timings = []
    for grid in args.grid.split(","):
        rows, columns = map(int, grid.split("x"))
        for dim in map(int, args.dim.split(",")):
            # (batch, tokens, heads, dim) in memory, as projections leave it.
            q, k, v = (torch.randn(1, rows * columns, args.heads, dim).to(dtype).transpose(1, 2) for _ in range(3))
            seconds = []
            with torch.no_grad():
                for _ in range(args.repeat + 1):
                    begin = time.perf_counter()
                    torch.nn.functional.scaled_dot_product_attention(q, k, v)
                    seconds.append(time.perf_counter() - begin)
            timings.append({"operator": "torch sdpa", "grid": grid, "heads": args.heads, "dim": dim,
                            "dtype": args.dtype, "threads": args.threads, "seconds": statistics.median(seconds[1:])})
    print(json.dumps(timings, indent=2))


if __name__ == "__main__":
    main()
