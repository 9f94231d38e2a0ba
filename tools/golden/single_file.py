"""Makes tests/golden/single_file: original ("ldm") checkpoints, converted and run by diffusers.

A case is a folder in the layout of a pipeline without weights, and:
  tensors.json     the single file: name -> shape; the values come from formula.py
  names.json       component -> its tensor after diffusers' conversion -> [name in the file, part,
                   parts, transposed], found by comparing values
  case.json        dtype of the file, components with inputs and outputs, f32 errors, versions
  io.safetensors   "COMPONENT.R.in.NAME" and "COMPONENT.R.out.NAME"; outputs in f64, stored in f32
"""

import argparse
import json
import os
import shutil

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as convert
from safetensors.numpy import save_file
from transformers import CLIPTextConfig

import forward
import formula
import ldm_layout
import reference
import single_file_cases


def values_of(shapes, dtype):
    return {name: torch.from_numpy(formula.weight(name, shape, dtype))
            for name, shape in shapes.items()}


def sources(converted, checkpoint):
    """Where each converted tensor lies in the checkpoint, by its values."""
    found = {}
    by_bytes = {}
    for name, tensor in checkpoint.items():
        by_bytes[tensor.numpy().tobytes()] = [name, 0, 1, False]
        if name.endswith("text_projection"):
            by_bytes[tensor.T.contiguous().numpy().tobytes()] = [name, 0, 1, True]
        if ".in_proj_" in name:
            rows = tensor.shape[0] // 3
            for part in range(3):
                piece = tensor[part * rows:(part + 1) * rows].contiguous()
                by_bytes[piece.numpy().tobytes()] = [name, part, 3, False]
    for name, tensor in converted.items():
        found[name] = by_bytes[tensor.contiguous().numpy().tobytes()]
    return found


def load(model, state):
    missing, surplus = model.load_state_dict(state, strict=False)
    assert all(k.endswith("position_ids") for k in [*missing, *surplus]), (missing, surplus)
    model.eval()


def make_case(root, name, case):
    folder = os.path.join(root, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    models, shapes = {}, {}
    models["unet"] = (UNet2DConditionModel.from_config(case["unet"]), [case["runs"]],
                      forward.unet_forward)
    models["vae"] = (AutoencoderKL.from_config(single_file_cases.VAE), single_file_cases.vae_runs(),
                     forward.vae_forward)
    shapes.update(ldm_layout.unet_names(models["unet"][0].state_dict(), case["unet"]))
    shapes.update(ldm_layout.vae_names(models["vae"][0].state_dict(), single_file_cases.VAE))
    for component, (kind, config, prefix, open_clip, layers) in case["texts"].items():
        model = forward.CLIP_CLASSES[kind](CLIPTextConfig(**config))
        models[component] = (model, [single_file_cases.text_run()], forward.clip_forward)
        shapes.update(ldm_layout.open_clip_names(model.state_dict(), prefix, layers) if open_clip
                      else ldm_layout.clip_names(model.state_dict(), prefix))
    checkpoint = values_of(shapes, case["dtype"])

    index, names, tensors, about = {"_class_name": case["pipeline"]}, {}, {}, {}
    for component, (model, specs, run_forward) in models.items():
        os.makedirs(os.path.join(folder, component))
        if component == "unet":
            state = convert.convert_ldm_unet_checkpoint(dict(checkpoint), model.config)
            config = json.loads(model.to_json_string())
        elif component == "vae":
            state = convert.convert_ldm_vae_checkpoint(dict(checkpoint), model.config)
            config = json.loads(model.to_json_string())
        else:
            kind, given, prefix, open_clip, _ = case["texts"][component]
            config = {"architectures": [kind], **given}
            if open_clip:
                usable = {k: v for k, v in checkpoint.items()
                          if f".resblocks.{given['num_hidden_layers']}." not in k}
                state = convert.convert_open_clip_checkpoint(model, usable, prefix)
                if "text_projection.weight" in state and kind == "CLIPTextModel":
                    del state["text_projection.weight"]
            else:
                state = convert.convert_ldm_clip_checkpoint(dict(checkpoint))
            # Since transformers 5.6 the class without projection has no "text_model." of its own.
            if not any(k.startswith("text_model.") for k in model.state_dict()):
                model_state = {k.removeprefix("text_model."): v for k, v in state.items()}
        names[component] = sources(state, checkpoint)
        bare = component not in ("unet", "vae") and not any(
            k.startswith("text_model.") for k in model.state_dict())
        load(model, model_state if bare else state)
        library = "diffusers" if component in ("unet", "vae") else "transformers"
        index[component] = [library, type(model).__name__]
        reference.write_json(os.path.join(folder, component, "config.json"), config)
        about[component] = []
        for r, spec in enumerate(specs):
            inputs = forward.make_inputs(spec, seed=1000 + r)
            torch_inputs = {k: torch.from_numpy(v) for k, v in inputs.items()}
            with torch.no_grad():
                single = run_forward(model.float(), torch_inputs)
                double = run_forward(model.double(), reference.as_f64(torch_inputs))
            errors = {k: float((single[k].double() - double[k]).abs().max()) for k in double}
            at = f"{component}.{r}."
            tensors.update({f"{at}in.{k}": v for k, v in inputs.items()})
            tensors.update({f"{at}out.{k}": v.float().numpy().copy() for k, v in double.items()})
            about[component].append({"reference_f32_error": errors})
            print(name, component, r, {k: float(v.pow(2).mean().sqrt()) for k, v in double.items()
                                       if not k.startswith("hidden")}, errors)
    for extra in case["extra"]:
        shapes[extra] = [2]
    reference.write_json(os.path.join(folder, "model_index.json"), index)
    reference.write_shapes(os.path.join(folder, "tensors.json"), shapes)
    with open(os.path.join(folder, "names.json"), "w", encoding="utf-8") as file:
        lines = [f"{json.dumps(c)}:{{\n" + ",\n".join(
            f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}"
            for k, v in sorted(entries.items())) + "\n}" for c, entries in sorted(names.items())]
        file.write("{\n" + ",\n".join(lines) + "\n}\n")
    reference.write_json(os.path.join(folder, "case.json"), {
        "dtype": case["dtype"].lower(), "components": about, "versions": reference.versions()})
    save_file(tensors, os.path.join(folder, "io.safetensors"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--out", default=os.path.join(here, "../../tests/golden"))
    args = parser.parse_args()
    for name, case in single_file_cases.CASES.items():
        make_case(os.path.join(args.out, "single_file"), name, case)


if __name__ == "__main__":
    main()
