"""Draws pictures with the exported demo model in plain torch: what every other program has to draw for the same seeds.

    python3 reference.py --model ../../public/models/demo --to ../../fixtures/demo-model

float32 arithmetic on the fp16 weights, on a CPU, noise of torch's CPU generator: what diffusers' StableDiffusionPipeline
does with `torch_dtype=torch.float32`. Writes reference.json and, for each case, its picture as PNG.
"""
import argparse
import json
import struct
from pathlib import Path

import torch
from PIL import Image

from model import AutoencoderKL, ClipText, UNet
from tokenizer import Tokenizer
from train import sample

CASES = [
    dict(prompt="cat face", seed=42, guidance=7.5, steps=20),
    dict(prompt="an emoji of a red apple", seed=7, guidance=5.0, steps=5),
    dict(prompt="a rocket on white", seed=1234, guidance=3.0, steps=8),
]


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    dtypes = dict(F16=torch.float16, F32=torch.float32)
    body = memoryview(bytearray(data[8 + length :]))
    return {
        name: torch.frombuffer(body[slice(*entry["data_offsets"])], dtype=dtypes[entry["dtype"]]).float().reshape(entry["shape"])
        for name, entry in header.items()
    }


def load(folder):
    """UNet, VAE, text encoder, tokenizer and scaling factor of a diffusers folder of the demo model's form."""
    vocab = json.loads((folder / "tokenizer/vocab.json").read_text())
    parts = UNet(), AutoencoderKL(), ClipText(len(vocab))
    files = "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"
    for part, file in zip(parts, files):
        part.load_state_dict(read_safetensors(folder / f"{file}.safetensors"))
        part.eval()
    scaling = json.loads((folder / "vae/config.json").read_text())["scaling_factor"]
    return *parts, Tokenizer(folder / "tokenizer"), scaling


@torch.no_grad()
def main(args):
    unet, vae, text, tokenizer, scaling = load(args.model)
    args.to.mkdir(parents=True, exist_ok=True)
    cases = []
    for case in CASES:
        latents = sample(unet, text, tokenizer, [case["prompt"]], case["guidance"], case["steps"], case["seed"])
        picture = vae.decode(latents / scaling)[0].clamp(-1, 1)
        file = f"{case['prompt'].replace(' ', '-')}.png"
        Image.fromarray(((picture + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()).save(args.to / file, optimize=True)
        cases.append({**case, "file": file})
    (args.to / "reference.json").write_text(json.dumps(cases, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    main(parser.parse_args())
