"""Python's own documentation, character by character: MLP blocks of a small transformer replaced by HQKAN blocks."""

import time
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor, nn

from qml.baselines import count_parameters
from qml.compare.figures import FAINT, INK, figure_style, model_colours, new_figure
from qml.compare.language import (
    CONTEXT,
    WIDTH,
    CharacterModel,
    MakeBlock,
    MLPBlock,
    batch_loss,
    bigram_loss,
    windows_of,
)
from qml.compare.task import Metric, Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.compare.training import RateSetting
from qml.compare.tuning import Merit, Trial, try_settings
from qml.data import Text, python_text
from qml.nn import HQKAN, QKANLayer

TRAIN, VALIDATION = 0.8, 0.1
BATCH_SIZE = 32
LATENT, REPS, GROUPS = 10, 1, 3  # as the paper puts them into GPT-2
MLP_HIDDEN, SMALL_HIDDEN = 4 * WIDTH, 15  # 15: an HQKAN block's number of parameters


@dataclass(frozen=True)
class TextSplit:
    """A text cut into three consecutive parts, with the size of its alphabet."""

    train: Int[Tensor, " time"]
    validation: Int[Tensor, " later"]
    test: Int[Tensor, " last"]
    n_characters: int


SETTINGS = (RateSetting(0.01), RateSetting(0.003))


def prepare(options: Options) -> Text:
    """Load 200,000 characters of documentation."""
    return python_text()


def split(text: Text, seed: int) -> TextSplit:
    """Split alike for every seed, which draws initial weights and the order of training."""
    n_train, n_validation = (round(share * len(text.codes)) for share in (TRAIN, VALIDATION))
    train, validation, test = text.codes.tensor_split([n_train, n_train + n_validation])
    return TextSplit(train, validation, test, len(text.alphabet))


def models(options: Options) -> dict[str, Model[TextSplit]]:
    """Return the same attentions with four kinds of blocks behind them, and the frequencies of pairs."""
    blocks: dict[str, tuple[str, str, str, MakeBlock]] = {
        "hqkan": (
            "HQKAN blocks",
            "quantum",
            f"Affine map, QKAN [{LATENT}, {LATENT}] of {REPS} upload and {GROUPS} circuits, affine map.",
            _hqkan,
        ),
        "mlp": ("MLP blocks", "classical", f"{WIDTH}-{MLP_HIDDEN}-{WIDTH}, GELU.", partial(MLPBlock, MLP_HIDDEN)),
        "mlp-small": (
            "Small MLP blocks",
            "classical",
            f"{WIDTH}-{SMALL_HIDDEN}-{WIDTH}, GELU: an HQKAN block's number of parameters.",
            partial(MLPBlock, SMALL_HIDDEN),
        ),
        "attention": ("Attention alone", "classical", "No blocks.", lambda generator: None),
    }
    offered = {
        name: Model(title, kind, recipe, partial(_fit, make), SETTINGS)
        for name, (title, kind, recipe, make) in blocks.items()
    }
    return offered | {"bigram": Model("Pairs", "classical", "How often a character follows another.", _bigram)}


def sections(text: Text, records: list[Record], options: Options) -> list[Section]:
    """Show how often characters occur, and loss against parameters."""
    with figure_style():
        figure = new_figure(8.0, 2.2)
        axes = figure.subplots()
        counts = torch.bincount(text.codes, minlength=len(text.alphabet))
        order = counts.argsort(descending=True)[:40]
        axes.bar(range(len(order)), (counts[order] / len(text.codes)).numpy(), color=INK)
        axes.set_xticks(range(len(order)), [repr(text.alphabet[place])[1:-1] for place in order.tolist()])
        axes.set_ylabel("share")
        axes.tick_params(length=0)
    about = (
        f"The {len(order)} most frequent of {len(text.alphabet)} characters in {len(text.codes):,} of Python's help."
    )
    shown = [Section("The text", about, figure)]
    if records:
        words = "Cross-entropy of the test part, a point a seed: what a block's parameters buy."
        shown.append(Section("Loss against parameters", words, _loss_figure(records, models(options))))
    return shown


def _loss_figure(records: list[Record], offered: dict[str, Model]):  # noqa: ANN202 - matplotlib loads at first use
    colours = model_colours(offered)
    with figure_style():
        figure = new_figure(6.0, 3.4)
        axes = figure.subplots()
        for name in dict.fromkeys(record.model for record in records):
            chosen = [record.outcome for record in records if record.model == name]
            axes.plot(
                [outcome.n_parameters for outcome in chosen],
                [outcome.value for outcome in chosen],
                "o",
                color=colours[name],
                alpha=0.7,
                label=offered[name].title,
            )
        axes.set_xlabel("parameters")
        axes.set_ylabel("nats a character")
        axes.grid(color=FAINT, lw=0.7)
        axes.tick_params(length=0)
        axes.legend(frameon=False)
    return figure


def _hqkan(generator: torch.Generator) -> nn.Module:
    """Build a block whose output weights start at random: by the layer's own start all outputs would be alike."""
    block = HQKAN(WIDTH, WIDTH, latent=(LATENT, LATENT), reps=REPS, groups=GROUPS, generator=generator)
    for layer in block.core.modules():
        if isinstance(layer, QKANLayer):
            for parameter in (layer.output_weight, layer.base_weight):
                if parameter is not None:
                    nn.init.uniform_(parameter, -(LATENT**-0.5), LATENT**-0.5, generator=generator)
    return block


def _fit(make: MakeBlock, split: TextSplit, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    """Try settings, keep the one of the least validation loss after the last epoch, look at the test part once."""

    def run(trial: Trial[RateSetting]) -> tuple[Merit, tuple[nn.Module, dict[str, list[float]]]]:
        generator = torch.Generator().manual_seed(seed)
        model = CharacterModel(split.n_characters, make, generator)
        curves = _train(model, split, trial.setting, preset.n_epochs, generator, trial.on_step)
        return (curves["validation_loss"][-1],), (model, curves)

    best = try_settings(SETTINGS, run, on_step, n_trials=preset.n_settings, seed=seed)
    model, curves = best.result
    extras: dict[str, float | int | str] = {
        "validation_loss": best.merit[0],
        "setting": str(best.setting),
        "n_settings": best.n_trials,
        "epoch": preset.n_epochs,
    }
    return Outcome(_loss(model, split.test), count_parameters(model), best.seconds, extras, {"curves": curves})


def _train(
    model: nn.Module,
    split: TextSplit,
    setting: RateSetting,
    n_epochs: int,
    generator: torch.Generator,
    on_step: OnStep,
) -> dict[str, list[float]]:
    """Train by Adam, its rate falling to 0 as a cosine; each epoch cuts the text into stretches from another start."""
    optimizer = torch.optim.Adam(model.parameters(), setting.learning_rate)
    n_batches = len(split.train) // (CONTEXT * BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs * n_batches)
    curves: dict[str, list[float]] = {"train_loss": [], "validation_loss": []}
    for epoch in range(n_epochs):
        start = int(torch.randint(CONTEXT, (), generator=generator))
        windows, total = windows_of(split.train, start), 0.0
        order = torch.randperm(len(windows), generator=generator)[: n_batches * BATCH_SIZE]
        for batch in order.split(BATCH_SIZE):
            loss = batch_loss(model, windows[batch])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(batch)
        validation = _loss(model, split.validation)
        for name, value in zip(curves, (total / len(order), validation), strict=True):
            curves[name].append(round(value, 5))
        on_step((epoch + 1) / n_epochs, f"validation {validation:.3f}")
    return curves


def _loss(model: nn.Module, codes: Tensor) -> float:
    with torch.no_grad():
        return float(batch_loss(model, windows_of(codes)))


def _bigram(split: TextSplit, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    started = time.perf_counter()
    value = bigram_loss(split.train, split.test, split.n_characters)
    return Outcome(value, split.n_characters * (split.n_characters - 1), time.perf_counter() - started)


TEXT = Task(
    name="text",
    title="Python's help, character by character",
    question="A small transformer foretells the next character of Python's own documentation. As arXiv 2509.14026 does "
    "with GPT-2, the MLP blocks behind the attentions are replaced by HQKAN blocks: what do the parameters buy that "
    "this saves, and does an MLP of the same size do as well?",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(3, 2, 5), "demo": Preset(2, 1, 2)},
    sections=sections,
    metric=Metric("test_loss", "Test loss (nats a character)", larger_is_better=False, percent=False, digits=4),
)
