"""`stanceframe …`: the command line. Commands import what they need when they run, so that `--help` is quick."""

import functools
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

import click

from stanceframe.models.errors import InputError, StanceframeError
from stanceframe.models.types import ENGINES, EngineName

if TYPE_CHECKING:
    from stanceframe.service.batch import Outcome

EXIT_FAILED, EXIT_USAGE, EXIT_REJECTS = 1, 2, 3

P = ParamSpec("P")

logger = logging.getLogger(__name__)


def reports_errors(command: Callable[P, int | None]) -> Callable[P, None]:
    """Turn a command's return value into the exit status, and its errors into one line on standard error."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            status = command(*args, **kwargs) or 0
        except InputError as error:
            click.echo(f"Error: {error}", err=True)
            status = EXIT_USAGE
        except StanceframeError as error:
            click.echo(f"Error: {error}", err=True)
            status = EXIT_FAILED
        except BrokenPipeError:
            sys.stderr.close()
            status = EXIT_FAILED
        except OSError as error:
            click.echo(f"Error: {error.filename or 'a file'}: {error.strerror or error}", err=True)
            status = EXIT_FAILED
        sys.exit(status)

    return run


def _hush(context: click.Context, _option: click.Parameter, quiet: bool) -> None:
    """Keep progress and messages off standard error from here on."""
    if quiet:
        context.find_root().obj["quiet"] = True
        logging.getLogger().setLevel(logging.WARNING)


takes_more_files = click.argument(
    "more", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="[FILE]..."
)
"""Files behind the one that an option took, as in `--labels a.jsonl b.jsonl`."""


class Command(click.Command):
    """A command that takes `--quiet` behind its name, as `stanceframe` does before it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        help_text = "No progress and no messages on standard error, errors excepted."
        self.params.append(click.Option(["--quiet"], is_flag=True, expose_value=False, callback=_hush, help=help_text))


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stanceframe")
@click.option("--quiet", is_flag=True, help="No progress and no messages on standard error, errors excepted.")
@click.pass_context
def main(context: click.Context, quiet: bool) -> None:
    """Stance and framing of news sentences: serve, score a corpus, train, evaluate, retrain.

    \b
    Example:
      stanceframe score articles/ -o scored.jsonl
    """
    context.obj = {"quiet": quiet}
    logging.basicConfig(level=logging.WARNING if quiet else logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("httpx", "transformers", "huggingface_hub", "bentoml"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@main.command()
@click.option("--recipe", default="student", show_default=True, help="A shipped recipe, or a TOML file.")
@click.option("--data", "files", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="A file of labelled sentences to learn from as well; may be given again.")  # fmt: skip
@takes_more_files
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False),
              help="Folder of the new checkpoint.")  # fmt: skip
@click.pass_obj
@reports_errors
def train(options: dict[str, bool], recipe: str, files: tuple[Path, ...], more: tuple[Path, ...], output: Path) -> None:
    """Train a checkpoint; a run that was cut is taken up where it stood.

    \b
    Examples:
      stanceframe train --recipe student -o runs/student
      stanceframe train --recipe student -o runs/student --data monday.jsonl tuesday.jsonl
    """
    from stanceframe.training.config import read_recipe  # noqa: PLC0415
    from stanceframe.training.train import train as run  # noqa: PLC0415

    click.echo(run(read_recipe(recipe), (*files, *more), output, quiet=options["quiet"]).tag)


@main.command()
@click.option("--teacher", "teachers", multiple=True, required=True, metavar="PATH_OR_TAG",
              help="A checkpoint to learn from; may be given again, and the mean counts.")  # fmt: skip
@click.option("--recipe", default="student", show_default=True, help="The student's: a shipped one, or a TOML file.")
@click.option("--data", "files", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="A file of labelled sentences to learn from as well; may be given again.")  # fmt: skip
@takes_more_files
@click.option("--kept", type=click.Path(path_type=Path, dir_okay=False),
              help="File of the teacher's probabilities, without text; asked again, they are read from there. "
              "[default: beside the output]")  # fmt: skip
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False),
              help="Folder of the new checkpoint.")  # fmt: skip
@click.pass_obj
@reports_errors
def distill(
    options: dict[str, bool],
    teachers: tuple[str, ...],
    recipe: str,
    files: tuple[Path, ...],
    more: tuple[Path, ...],
    kept: Path | None,
    output: Path,
) -> None:
    """Train a small checkpoint on the labels and on what a strong one says; a run that was cut is taken up.

    \b
    Example:
      stanceframe train --recipe teacher -o runs/teacher
      stanceframe distill --teacher runs/teacher --recipe student -o runs/student
    """
    from stanceframe.models.champion import resolve  # noqa: PLC0415
    from stanceframe.training.config import read_recipe  # noqa: PLC0415
    from stanceframe.training.distill import distill as run  # noqa: PLC0415

    named = [resolve(teacher) for teacher in teachers]
    click.echo(run(read_recipe(recipe), named, (*files, *more), output, kept, quiet=options["quiet"]).tag)


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--model", help="A checkpoint's folder or tag, or baseline:majority, baseline:tfidf, baseline:zero-shot.")
@click.option("--format", "layout", type=click.Choice(["stanceframe", "newsmtsc", "behaviour"]),
              default="stanceframe", show_default=True, help="What the files are.")  # fmt: skip
@click.option("--train", "training", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="What a fitted baseline learns from, instead of the recipe's labelled sentences.")  # fmt: skip
@click.option("--folds", type=click.IntRange(2, 20),
              help="Cross-validate: fit the recipe or the baseline on the other folds of documents.")  # fmt: skip
@click.option("--leave-out-kinds", is_flag=True,
              help="Cross-validate, leaving out each kind of publisher in turn.")  # fmt: skip
@click.option("--recipe", default="student", show_default=True,
              help="What --folds trains, and whose sentences a baseline learns from.")  # fmt: skip
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), default=Path("runs/folds"),
              show_default=True, help="Where --folds keeps its folds, to be taken up again.")  # fmt: skip
@click.option("--record", "recorded", metavar="NAME",
              help="Also keep the figures, by this name, in the metrics and the card of --model's folder.")  # fmt: skip
@click.option("--diagram", type=click.Path(path_type=Path, dir_okay=False),
              help="Also draw reliability diagrams: .svg, .png or .pdf; needs the extra plots.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.pass_obj
@reports_errors
def evaluate(
    options: dict[str, bool],
    files: tuple[Path, ...],
    model: str | None,
    layout: str,
    training: tuple[Path, ...],
    folds: int | None,
    leave_out_kinds: bool,
    recipe: str,
    work: Path,
    recorded: str | None,
    diagram: Path | None,
    as_json: bool,
) -> None:
    """Measure a checkpoint or a baseline on labelled sentences.

    \b
    Example:
      stanceframe evaluate data/sentences/test.jsonl --json
      stanceframe evaluate labelled.jsonl --model baseline:tfidf
    """
    import json  # noqa: PLC0415

    from stanceframe.training.diagram import check_diagram, draw_reliability  # noqa: PLC0415
    from stanceframe.training.judge import Judge  # noqa: PLC0415

    if layout != "stanceframe" and (folds or leave_out_kinds):
        raise InputError("--folds and --leave-out-kinds go with --format stanceframe alone")
    if folds and leave_out_kinds:
        raise InputError("--folds and --leave-out-kinds are two ways: name one")
    if training and not (model or "").startswith("baseline:"):
        raise InputError("--train is what a fitted baseline learns from: name it with --model baseline:tfidf")
    if diagram:
        if layout != "stanceframe":
            raise InputError("--diagram goes with --format stanceframe alone")
        check_diagram(diagram)
    judge = Judge(files, model=model, training=training, recipe=recipe, quiet=options["quiet"])
    if layout == "newsmtsc":
        result = judge.mentions()
    elif layout == "behaviour":
        result = judge.behaviour()
    elif leave_out_kinds:
        result = judge.kinds(work)
    elif folds:
        result = judge.folds(folds, work)
    else:
        result = judge.sentences()
    if recorded:
        judge.record(recorded, result)
    click.echo(json.dumps(result.to_json(), ensure_ascii=False) if as_json else result.to_table())
    if diagram:
        draw_reliability(result.reliability, diagram)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0: all of them.")
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--model", help="Folder or tag of a checkpoint; else the champion, else the shipped one.")
@click.pass_obj
@reports_errors
def serve(options: dict[str, bool], host: str, port: int, model: str | None) -> None:
    """Serve the page and the HTTP interface until stopped.

    There is no log-in: on another address than this machine's own, put something in front that has one.
    Limits are environment variables, STANCEFRAME_MAX_SENTENCES and the like: GET /model shows them.

    \b
    Example:
      stanceframe serve --port 3000
    """
    from stanceframe.service.serving import become_server  # noqa: PLC0415

    become_server(host, port, model, quiet=options["quiet"])


@main.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="OUT",
              help="File to make: .jsonl, .csv (both also .gz) or .parquet; - is standard output.")  # fmt: skip
@click.option("--text-column", default="text", show_default=True, metavar="NAME", help="Column of the text.")
@click.option("--id-column", metavar="NAME", help="Column of the document's id.  [default: id, if there is one]")
@click.option("--unit", type=click.Choice(["document", "sentence"]), default="document", show_default=True,
              help="What a record is; with sentence, each line of a .txt file is one.")  # fmt: skip
@click.option("--model", help="Folder or tag of a checkpoint; else the champion, else the shipped one.")
@click.option("--engine", type=click.Choice(list(ENGINES)), default="auto", show_default=True,
              help="What runs the network; auto takes the fastest of this machine, torch-fp32 is exact.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Take up a job that was cut, where it stood.")
@click.option("--force", is_flag=True, help="Replace an output that exists.")
@click.option("--keep-text", is_flag=True, help="Also write OUT.text.jsonl: the text that start and end count in.")
@click.option(
    "--evidence",
    is_flag=True,
    help="Also say which words moved each favor, against and frame most, in sentences of up to 600 characters; "
    "about 20 times slower.",
)
@click.pass_obj
@reports_errors
def score(
    options: dict[str, bool],
    *,
    inputs: tuple[str, ...],
    output: str,
    text_column: str,
    id_column: str | None,
    unit: Literal["document", "sentence"],
    model: str | None,
    engine: EngineName,
    resume: bool,
    force: bool,
    keep_text: bool,
    evidence: bool,
) -> int:
    """Score every sentence of a corpus.

    INPUT is a .txt, .html, .jsonl, .csv, .tsv or .parquet file (all but the last also .gz), a folder, a glob
    in quotes, or - for JSONL on standard input. Text is UTF-8. A record without an id is called by its file's
    name, with :line behind it where a file has many; ids are taken as they come, also if two are the same.

    OUT has a row for each sentence, in the order of the input, and appears when it is whole. The record's
    other columns are under "input" in JSONL, and input_NAME in CSV and Parquet. A text in CSV that a
    spreadsheet would run as a formula has an apostrophe in front. OUT.manifest.json says what was scored, with
    what. A page's text is what start and end count in once it is out of the HTML: see --keep-text.

    Records that cannot be used are listed in OUT.rejects.jsonl (rejects.jsonl where OUT is -) with their place
    and the reason, and the exit status is 3. Until OUT is whole, its parts are in OUT.parts: with them, --resume
    gives the same bytes as a run that was not cut.

    \b
    Examples:
      stanceframe score articles/ -o scored.parquet
      stanceframe score 'news/*.csv.gz' --text-column body --id-column url -o scored.csv
      zcat news.jsonl.gz | stanceframe score - -o - | head
    """
    from stanceframe.models.champion import resolve  # noqa: PLC0415
    from stanceframe.models.classifier import StanceClassifier  # noqa: PLC0415
    from stanceframe.models.evidence import Explaining  # noqa: PLC0415
    from stanceframe.service.batch import ScoreOptions, score_corpus, score_stream  # noqa: PLC0415
    from stanceframe.service.records import RecordOptions  # noqa: PLC0415
    from stanceframe.service.sources import find_sources  # noqa: PLC0415
    from stanceframe.service.tables import Format  # noqa: PLC0415

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # What it finds wrong is in the rejects.
    quiet = options["quiet"]
    target = None if output == "-" else Path(output)
    records = RecordOptions(text_column, id_column, unit)
    if resume and (target is None or force):
        raise InputError("--resume takes up what is in OUT.parts: it needs a file as OUT, and no --force")
    if target is not None:
        Format.of(target)
    sources = find_sources(inputs, target)
    labels = StanceClassifier.from_pretrained(resolve(model), engine)
    classifier = Explaining(labels) if evidence else labels
    scoring = ScoreOptions(records, labels.engine.name, keep_text, evidence)
    try:
        if target is None:
            outcome = score_stream(sources, sys.stdout.buffer, classifier, scoring, force=force, quiet=quiet)
        else:
            outcome = score_corpus(sources, target, classifier, scoring, resume=resume, force=force, quiet=quiet)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StanceframeError(f"{error.filename or output}: {error.strerror or error}") from None
    except KeyboardInterrupt:
        if target is not None:
            click.echo("Stopped; --resume goes on from here.", err=True)
        raise
    return _report(outcome)


def _report(outcome: "Outcome") -> int:
    """Say what became of a corpus; returns the exit status."""
    logger.info("%d sentences of %d records", outcome.sentences, outcome.documents)
    if not outcome.rejects:
        return 0
    logger.info("%d records were rejected: %s says which, and why", outcome.rejects, outcome.rejects_path)
    return EXIT_REJECTS


@main.command()
@click.option("--labels", "files", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Labelled sentences, or scored rows that a person corrected; may be given again.")  # fmt: skip
@takes_more_files
@click.option("--dry-run", is_flag=True, help="Train and decide, but store nothing and promote nothing.")
@click.option("--recipe", default="retrain", show_default=True, help="A shipped recipe, or a TOML file.")
@click.pass_obj
@reports_errors
def retrain(
    options: dict[str, bool], files: tuple[Path, ...], more: tuple[Path, ...], dry_run: bool, recipe: str
) -> int:
    """Learn new labels, and promote the result if it is better.

    The labels are checked and stored. From 50 new ones on, a candidate is trained and compared with the
    checkpoint that answers now, on the frozen test and on new labels that were held out; it is promoted if it
    surely loses no more than 1 point on the one and surely gains on the other. Why is printed either way.
    Without FILE the labels that are stored and not yet learned are used. A service takes a new champion up
    when it is started again. The exit status is 3 where labels were rejected.

    \b
    Examples:
      stanceframe retrain --labels corrections.jsonl
      stanceframe retrain --labels monday.jsonl tuesday.jsonl --dry-run
    """
    from stanceframe.training.config import read_recipe  # noqa: PLC0415
    from stanceframe.training.retrain import retrain as run  # noqa: PLC0415

    outcome = run((*files, *more), dry_run=dry_run, recipe=read_recipe(recipe), quiet=options["quiet"])
    click.echo(outcome)
    return EXIT_REJECTS if outcome.rejected else 0


@main.group()
def model() -> None:
    """The registry: which checkpoints there are, and which of them answers.

    \b
    Example:
      stanceframe model list
    """


@model.command("list")
@reports_errors
def list_models() -> None:
    """List the checkpoints, a line each; * marks the one that answers.

    \b
    Example:
      stanceframe model list
    """
    from stanceframe.training.registry import table  # noqa: PLC0415

    click.echo(table())


@model.command()
@click.argument("model", required=False, metavar="[PATH_OR_TAG]")
@reports_errors
def show(model: str | None) -> None:
    """Print what a checkpoint says of itself, as JSON; without a name that of the one that answers.

    \b
    Example:
      stanceframe model show stanceframe:0123456789ab
    """
    from stanceframe.training.registry import describe  # noqa: PLC0415

    click.echo(describe(model))


@model.command()
@click.argument("model", metavar="PATH_OR_TAG")
@click.option("--reason", default="promoted by hand", show_default=True, help="Why, for the history.")
@reports_errors
def promote(model: str, reason: str) -> None:
    """Let a checkpoint answer from now on; it is checked and copied into BentoML's model store.

    \b
    Example:
      stanceframe model promote runs/student --reason "more news in it"
    """
    from stanceframe.training.registry import promote as run  # noqa: PLC0415

    click.echo(f"{run(model, reason).tag} answers now")


@model.command()
@reports_errors
def rollback() -> None:
    """Take the last promotion back: what answered before it answers again.

    \b
    Example:
      stanceframe model rollback
    """
    from stanceframe.training.registry import roll_back  # noqa: PLC0415

    promotion, answering = roll_back()
    click.echo(f"{promotion.tag} was taken back; {answering} answers now")


@main.group()
def labels() -> None:
    """Labelled sentences: how far their annotators agree, and what they cover.

    \b
    Example:
      stanceframe labels coverage data/sentences/train.jsonl
    """


@labels.command("agreement")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@reports_errors
def labels_agreement(files: tuple[Path, ...]) -> None:
    """Krippendorff's alpha of each label, between annotators of the same sentences.

    \b
    Example:
      stanceframe labels agreement data/sentences/readers/first.jsonl data/sentences/readers/second.jsonl
    """
    from stanceframe.data.agreement import agreement  # noqa: PLC0415
    from stanceframe.data.corpus import read_labelled  # noqa: PLC0415

    for name, (alpha, count) in agreement(s for file in files for s in read_labelled(file)).items():
        click.echo(f"{name:26} {'–' if alpha is None else f'{alpha:.3f}':>6} {count:6}")


@labels.command("coverage")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--thin", type=click.IntRange(min=1), help="Instead list the cells with fewer sentences than this.")
@reports_errors
def labels_coverage(files: tuple[Path, ...], thin: int | None) -> None:
    """How many sentences have each label, by register, style of publisher and years: Markdown tables.

    Register, style, year and event are keys of the sentences' metadata. Sentences that share a document_id are taken
    for a contrast group, and one without a frame that another of its group has for a near miss.

    \b
    Example:
      stanceframe labels coverage data/sentences/train.jsonl data/sentences/test.jsonl
    """
    from stanceframe.data.corpus import read_labelled  # noqa: PLC0415
    from stanceframe.data.coverage import coverage  # noqa: PLC0415

    counted = coverage(sentence for file in files for sentence in read_labelled(file))
    if thin is None:
        click.echo(counted.to_markdown())
    else:
        for facet, row, column, count in counted.thin(thin):
            click.echo(f"{count:4}  {row}, {facet} {column}")
