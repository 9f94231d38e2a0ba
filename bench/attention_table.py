"""Markdown tables of docs/attention_speed.md from the JSON of `fovea bench attention` and torch_sdpa.py.

python bench/attention_table.py OURS.json... --torch TORCH.json...
"""
import argparse
import json


def load(paths):
    return [timing for path in paths for timing in json.load(open(path))]


def ms(seconds):
    value = 1e3 * seconds
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ours", nargs="+")
    parser.add_argument("--torch", nargs="*", default=[])
    args = parser.parse_args()
    ours = {(t["grid"], t["dim"], t["operator"]): t for t in load(args.ours)}
    torch = {(t["grid"], t["dim"]): t["seconds"] for t in load(args.torch)}
    grids = sorted({key[0] for key in ours}, key=lambda grid: int(grid.split("x")[0]))
    dims = sorted({key[1] for key in ours})
    operators = list(dict.fromkeys(key[2] for key in ours))
    for grid in grids:
        any_timing = next(t for key, t in ours.items() if key[0] == grid)
        print(f"\n### {grid}, {any_timing['heads']} head{'s' * (any_timing['heads'] > 1)}\n")
        print("| operator | visited | " + " | ".join(f"d = {d}: ms | bound | ratio" for d in dims) + " |")
        print("|---|" + "---|" * (1 + 3 * len(dims)))
        for operator in operators:
            cells = []
            for dim in dims:
                timing, dense = ours.get((grid, dim, operator)), ours.get((grid, dim, "dense"))
                if timing is None:
                    cells += ["", "", ""]
                    continue
                share = timing["visited_tiles"] / dense["visited_tiles"]
                ratio = timing["seconds"] / dense["seconds"] / share
                shown = "" if operator == "dense" or operator.startswith("agent") else f"{ratio:.2f}"
                cells += [ms(timing["seconds"]), ms(timing["bound_seconds"]), shown]
            print(f"| `{operator}` | {100 * share:.1f} % | " + " | ".join(cells) + " |")
        row = [f"{ms(torch[grid, d])} | | {torch[grid, d] / ours[grid, d, 'dense']['seconds']:.2f} x ours"
               if (grid, d) in torch else " | | " for d in dims]
        if any(cell.strip(" |") for cell in row):
            print("| PyTorch, dense | | " + " | ".join(row) + " |")
    if "128x128" in grids and "256x256" in grids:
        print("\n| time of a head at 256x256 over 128x128 | " + " | ".join(f"d = {d}" for d in dims) + " |")
        print("|---|" + "---|" * len(dims))
        for operator in operators:
            cells = []
            for dim in dims:
                pair = [ours.get((grid, dim, operator)) for grid in ("128x128", "256x256")]
                a_head = [t and t["seconds"] / t["heads"] for t in pair]
                cells.append(f"{a_head[1] / a_head[0]:.2f}" if all(a_head) else "")
            print(f"| `{operator}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
