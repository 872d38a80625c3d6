"""The demo model's three parts in plain torch modules, named as diffusers and transformers name theirs.

state_dict() is thus the very file that diffusers loads. Sources: diffusers' UNet2DConditionModel and AutoencoderKL
(Rombach et al. 2022), OpenAI's CLIP text transformer (Radford et al. 2021).
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

from attention import attend

# Stable Diffusion 1.5's layout (the same blocks in the same order), narrower and with one resnet a block.
UNET = dict(
    block_out_channels=[64, 96, 128, 128],
    layers_per_block=1,
    cross_attention_dim=128,
    heads=8,
    groups=32,
    sample_size=16,
)
VAE = dict(block_out_channels=[16, 32, 64], layers_per_block=1, latent_channels=4, groups=8, sample_size=64)
TEXT = dict(hidden=128, layers=3, heads=4, intermediate=512, positions=77)
SCHEDULE = dict(beta_start=0.00085, beta_end=0.012, num_train_timesteps=1000)


class Resnet(nn.Module):
    def __init__(self, c_in, c_out, groups, eps, time=None):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, c_in, eps)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        if time is not None:
            self.time_emb_proj = nn.Linear(time, c_out)
        self.norm2 = nn.GroupNorm(groups, c_out, eps)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else None

    def forward(self, x, emb=None):
        h = self.conv1(F.silu(self.norm1(x)))
        if emb is not None:
            h = h + self.time_emb_proj(emb)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Resample(nn.Module):
    """`Downsample2D` or `Upsample2D`; the VAE pads right and bottom only."""

    def __init__(self, channels, kind):
        super().__init__()
        self.kind = kind
        down = kind != "up"
        self.conv = nn.Conv2d(channels, channels, 3, stride=2 if down else 1, padding=0 if kind == "vae_down" else 1)

    def forward(self, x):
        if self.kind == "up":
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        elif self.kind == "vae_down":
            x = F.pad(x, (0, 1, 0, 1))
        return self.conv(x)


class Attention(nn.Module):
    def __init__(self, dim, context, heads):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(context, dim, bias=False)
        self.to_v = nn.Linear(context, dim, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])

    def forward(self, x, context):
        return self.to_out[0](attend(self.to_q(x), self.to_k(context), self.to_v(context), self.heads))


class GEGLU(nn.Module):
    def __init__(self, dim, inner):
        super().__init__()
        self.proj = nn.Linear(dim, 2 * inner)

    def forward(self, x):
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.net = nn.ModuleList([GEGLU(dim, 4 * dim), nn.Dropout(0.0), nn.Linear(4 * dim, dim)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class TransformerBlock(nn.Module):
    def __init__(self, dim, context, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn1 = Attention(dim, dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.attn2 = Attention(dim, context, heads)
        self.norm3 = nn.LayerNorm(dim)
        self.ff = FeedForward(dim)

    def forward(self, x, context):
        h = self.norm1(x)
        x = x + self.attn1(h, h)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer2D(nn.Module):
    def __init__(self, channels, context, heads, groups):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, 1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, context, heads)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x, context):
        h = self.proj_in(self.norm(x))
        tokens = self.transformer_blocks[0](h.flatten(2).transpose(1, 2), context)
        return x + self.proj_out(tokens.transpose(1, 2).unflatten(2, x.shape[2:]))


class Block(nn.Module):
    """A level on the way down or up: resnets, each with a transformer where `attention`, then a change of size."""

    def __init__(self, config, pairs, attention, resample, time):
        super().__init__()
        c, g = pairs[-1][1], config["groups"]
        self.resnets = nn.ModuleList([Resnet(a, b, g, 1e-5, time) for a, b in pairs])
        self.attentions = nn.ModuleList(
            [Transformer2D(c, config["cross_attention_dim"], config["heads"], g) for _ in pairs] if attention else []
        )
        if resample == "down":
            self.downsamplers = nn.ModuleList([Resample(c, "down")])
        if resample == "up":
            self.upsamplers = nn.ModuleList([Resample(c, "up")])

    def layer(self, i, h, emb, context):
        h = self.resnets[i](h, emb)
        return self.attentions[i](h, context) if len(self.attentions) else h


class Mid(nn.Module):
    def __init__(self, config, c, time):
        super().__init__()
        g = config["groups"]
        self.attentions = nn.ModuleList([Transformer2D(c, config["cross_attention_dim"], config["heads"], g)])
        self.resnets = nn.ModuleList([Resnet(c, c, g, 1e-5, time), Resnet(c, c, g, 1e-5, time)])

    def forward(self, h, emb, context):
        return self.resnets[1](self.attentions[0](self.resnets[0](h, emb), context), emb)


class TimestepEmbedding(nn.Module):
    def __init__(self, c, time):
        super().__init__()
        self.linear_1 = nn.Linear(c, time)
        self.linear_2 = nn.Linear(time, time)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


class UNet(nn.Module):
    """Epsilon for noisy latents [N, 4, h, w], timesteps [N] and context [N, 77, cross_attention_dim]."""

    def __init__(self, config=UNET):
        super().__init__()
        widths, layers, g = config["block_out_channels"], config["layers_per_block"], config["groups"]
        time = 4 * widths[0]
        top = len(widths) - 1
        self.conv_in = nn.Conv2d(4, widths[0], 3, padding=1)
        self.time_embedding = TimestepEmbedding(widths[0], time)
        self.down_blocks = nn.ModuleList()
        skips, c = [widths[0]], widths[0]
        for i, w in enumerate(widths):
            pairs = [(c if j == 0 else w, w) for j in range(layers)]
            self.down_blocks.append(Block(config, pairs, i < top, "down" if i < top else None, time))
            skips += [w] * layers + ([w] if i < top else [])
            c = w
        self.up_blocks = nn.ModuleList()
        self.mid_block = Mid(config, c, time)
        for i, w in enumerate(reversed(widths)):
            pairs = []
            for _ in range(layers + 1):
                pairs.append((c + skips.pop(), w))
                c = w
            self.up_blocks.append(Block(config, pairs, i > 0, "up" if i < top else None, time))
        self.conv_norm_out = nn.GroupNorm(g, widths[0], 1e-5)
        self.conv_out = nn.Conv2d(widths[0], 4, 3, padding=1)

    def forward(self, x, t, context):
        half = self.conv_in.out_channels // 2
        angles = t.float()[:, None] * torch.exp(-math.log(10000) * torch.arange(half, device=x.device) / half)
        emb = F.silu(self.time_embedding(torch.cat([angles.cos(), angles.sin()], 1).to(x.dtype)))
        h = self.conv_in(x)
        skips = [h]
        for block in self.down_blocks:
            for i in range(len(block.resnets)):
                h = block.layer(i, h, emb, context)
                skips.append(h)
            if hasattr(block, "downsamplers"):
                h = block.downsamplers[0](h)
                skips.append(h)
        h = self.mid_block(h, emb, context)
        for block in self.up_blocks:
            for i in range(len(block.resnets)):
                h = block.layer(i, torch.cat([h, skips.pop()], 1), emb, context)
            if hasattr(block, "upsamplers"):
                h = block.upsamplers[0](h)
        return self.conv_out(F.silu(self.conv_norm_out(h)))


class VaeAttention(nn.Module):
    def __init__(self, c, groups):
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, c, 1e-6)
        self.to_q, self.to_k, self.to_v = nn.Linear(c, c), nn.Linear(c, c), nn.Linear(c, c)
        self.to_out = nn.ModuleList([nn.Linear(c, c)])

    def forward(self, x):
        h = self.group_norm(x).flatten(2).transpose(1, 2)
        h = attend(self.to_q(h), self.to_k(h), self.to_v(h))
        return x + self.to_out[0](h).transpose(1, 2).unflatten(2, x.shape[2:])


class VaeMid(nn.Module):
    def __init__(self, c, groups):
        super().__init__()
        self.attentions = nn.ModuleList([VaeAttention(c, groups)])
        self.resnets = nn.ModuleList([Resnet(c, c, groups, 1e-6), Resnet(c, c, groups, 1e-6)])

    def forward(self, h):
        return self.resnets[1](self.attentions[0](self.resnets[0](h)))


class VaeLevel(nn.Module):
    def __init__(self, c_in, c_out, layers, groups, resample):
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(c_in if j == 0 else c_out, c_out, groups, 1e-6) for j in range(layers)])
        if resample == "vae_down":
            self.downsamplers = nn.ModuleList([Resample(c_out, resample)])
        if resample == "up":
            self.upsamplers = nn.ModuleList([Resample(c_out, resample)])

    def forward(self, h):
        for resnet in self.resnets:
            h = resnet(h)
        for name in ("downsamplers", "upsamplers"):
            if hasattr(self, name):
                h = getattr(self, name)[0](h)
        return h


class Encoder(nn.Module):
    def __init__(self, widths, layers, groups, z):
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        ins = [widths[0]] + widths[:-1]
        last = len(widths) - 1
        self.down_blocks = nn.ModuleList(
            [VaeLevel(a, b, layers, groups, "vae_down" if i < last else None) for i, (a, b) in enumerate(zip(ins, widths))]
        )
        self.mid_block = VaeMid(widths[-1], groups)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], 1e-6)
        self.conv_out = nn.Conv2d(widths[-1], 2 * z, 3, padding=1)

    def forward(self, h):
        h = self.conv_in(h)
        for block in self.down_blocks:
            h = block(h)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(h))))


class Decoder(nn.Module):
    def __init__(self, widths, layers, groups, z):
        super().__init__()
        up = widths[::-1]
        ins = [up[0]] + up[:-1]
        last = len(up) - 1
        self.conv_in = nn.Conv2d(z, up[0], 3, padding=1)
        self.up_blocks = nn.ModuleList(
            [VaeLevel(a, b, layers + 1, groups, "up" if i < last else None) for i, (a, b) in enumerate(zip(ins, up))]
        )
        self.mid_block = VaeMid(up[0], groups)
        self.conv_norm_out = nn.GroupNorm(groups, up[-1], 1e-6)
        self.conv_out = nn.Conv2d(up[-1], 3, 3, padding=1)

    def forward(self, h):
        h = self.mid_block(self.conv_in(h))
        for block in self.up_blocks:
            h = block(h)
        return self.conv_out(F.silu(self.conv_norm_out(h)))


class AutoencoderKL(nn.Module):
    """Images [N, 3, H, W] in [-1, 1]; latents [N, 4, H/4, W/4], unscaled."""

    def __init__(self):
        super().__init__()
        widths, layers, groups, z = VAE["block_out_channels"], VAE["layers_per_block"], VAE["groups"], VAE["latent_channels"]
        self.encoder = Encoder(widths, layers, groups, z)
        self.decoder = Decoder(widths, layers, groups, z)
        self.quant_conv = nn.Conv2d(2 * z, 2 * z, 1)
        self.post_quant_conv = nn.Conv2d(z, z, 1)

    def encode(self, x):
        mean, logvar = self.quant_conv(self.encoder(x)).float().chunk(2, 1)
        return mean, logvar.clamp(-30, 20)

    def decode(self, z):
        return self.decoder(self.post_quant_conv(z))


class ClipAttention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x):
        return self.out_proj(attend(self.q_proj(x), self.k_proj(x), self.v_proj(x), self.heads, causal=True))


class ClipMlp(nn.Module):
    def __init__(self, dim, inner):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, inner), nn.Linear(inner, dim)

    def forward(self, x):
        h = self.fc1(x)
        return self.fc2(h * torch.sigmoid(1.702 * h))


class ClipLayer(nn.Module):
    def __init__(self, dim, heads, inner):
        super().__init__()
        self.self_attn = ClipAttention(dim, heads)
        self.layer_norm1 = nn.LayerNorm(dim)
        self.mlp = ClipMlp(dim, inner)
        self.layer_norm2 = nn.LayerNorm(dim)

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class ClipText(nn.Module):
    """Token ids [N, 77] to the last hidden state [N, 77, hidden]. All names begin with `text_model.`."""

    def __init__(self, vocab_size):
        super().__init__()
        dim = TEXT["hidden"]
        self.text_model = nn.Module()
        self.text_model.embeddings = nn.Module()
        self.text_model.embeddings.token_embedding = nn.Embedding(vocab_size, dim)
        self.text_model.embeddings.position_embedding = nn.Embedding(TEXT["positions"], dim)
        self.text_model.encoder = nn.Module()
        self.text_model.encoder.layers = nn.ModuleList(
            [ClipLayer(dim, TEXT["heads"], TEXT["intermediate"]) for _ in range(TEXT["layers"])]
        )
        self.text_model.final_layer_norm = nn.LayerNorm(dim)
        nn.init.normal_(self.text_model.embeddings.token_embedding.weight, std=0.1)
        nn.init.normal_(self.text_model.embeddings.position_embedding.weight, std=0.02)

    def forward(self, ids):
        m = self.text_model
        x = m.embeddings.token_embedding(ids) + m.embeddings.position_embedding.weight[: ids.shape[1]]
        for layer in m.encoder.layers:
            x = layer(x)
        return m.final_layer_norm(x)


def alphas_cumprod():
    """SD1.5's "scaled_linear" schedule."""
    betas = torch.linspace(SCHEDULE["beta_start"] ** 0.5, SCHEDULE["beta_end"] ** 0.5, SCHEDULE["num_train_timesteps"]) ** 2
    return torch.cumprod(1 - betas, 0)
