"""The report: true sentences, one file that asks for nothing, and a page for every folder."""

import base64
import io
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from safetensors.torch import save_file

from analysis.page.blocks import Page, Panel, Plot, Points, Section
from analysis.page.files import write_page
from analysis.page.html import as_html
from analysis.page.markdown import as_markdown
from analysis.plots.scales import axis, figure
from analysis.reading.folder import read_folder
from analysis.report import main, write_report
from analysis.statistics.effects import EFFECT_COLUMNS
from analysis.statistics.summary import (
    champion_score,
    count_epochs,
    duration,
    effort_sentences,
    moment,
)
from cnnlib.champion.champion import WEIGHTS, Champion
from cnnlib.champion.champion import write_champion as write_network
from cnnlib.champion.final_test import OpenedBeforeError
from cnnlib.journal.events import Journal
from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.search.sweep_file import read_sweep_file
from tests.events import begin

GROUPS = ["Result", "What matters", "The trials", "The test", "How"]
SECTIONS = ["Result", "What stands out", "What each value adds", "What to try next", "Claims",
            "Explore", "Learning curves", "Each hyperparameter by itself", "Parallel coordinates",
            "All trials", "The test", "Its mistakes", "What the network looks for",
            "Accuracy against time", "Accuracy against cost", "Workers",
            "How it was run"]  # fmt: skip
NASTY = ["<script>alert(1)</script>", "Tom & Jerry", "$\\frac{1$", "a|b`*"]
EPOCHS_HEAD = "trial_id,epoch,train_loss,train_acc,val_loss,val_acc\n"


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made, but not drawn with matplotlib: that takes a second each."""
    monkeypatch.setattr("analysis.page.files.picture", lambda figures: Image.new("P", (4, 4)))


def write_tables(folder: Path, trials: str, epochs: str = EPOCHS_HEAD) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "trials.csv").write_text(trials)
    (folder / "epochs.csv").write_text(epochs)
    return folder


def write_champion(folder: Path, classes: list[str], *, per_class: int = 4) -> None:
    champion = folder / "champion"
    champion.mkdir()
    Image.new("RGB", (40, 30), "teal").save(champion / "photo.jpg")
    rows = [
        ("photo.jpg" if i else "gone.jpg", name, name if i % 2 else classes[0], 0.5)
        for name in classes for i in range(per_class)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["file", "label", "predicted", "confidence"])
    table.to_csv(champion / "test_predictions.csv", index=False)
    correct = int((table["label"] == table["predicted"]).sum())
    metrics = {"test_acc": correct / len(table), "test_correct": correct, "test_n": len(table)}
    config = {"trial_id": "t1", "config": {"activation": "relu"}, "val_acc": 0.42}
    for name, content in (("config", config), ("classes", classes), ("metrics", metrics)):
        (champion / f"{name}.json").write_text(json.dumps(content))
    (champion / "summary.txt").write_text("conv1 <1,792 parameters>")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    trials = (
        "trial_id,status,activation,learning_rate,epochs,val_acc,seconds,error,started\n"
        "t0,stopped,gelu,0.01,2,0.31,20,,2025-05-01T08:00:00Z\n"
        "t1,completed,relu,0.001,10,0.42,90,,2025-05-01T08:01:00Z\n"
        "t2,failed,<b>mish</b>,0.0001,,,,out of memory,2025-05-01T08:02:00Z\n"
    )
    epochs = EPOCHS_HEAD + "t0,1,2.2,.2,2.2,.2\nt0,2,2,.3,2.1,.31\n"
    epochs += "".join(f"t1,{i},2,.4,2,{0.032 + i * 0.0388}\n" for i in range(1, 11))
    folder = write_tables(tmp_path / "my & sweep", trials, epochs)
    settings = {
        "max_epochs": 10,
        "trials": 4,
        "seconds": 7321,
        "rungs": [2, 4],
        "seed": 0,
        "data": {"source": "https://example.org/a.zip"},
        "versions": {"ray": "2.55"},
    }
    (folder / "sweep.json").write_text(json.dumps(settings))
    write_champion(folder, NASTY)
    return folder


def test_parts_of_the_recipe_that_no_trial_used_are_not_shown(sweep: Path) -> None:
    table = pd.read_csv(sweep / "trials.csv")
    table["ema"], table["optimizer"] = [0.0, 0.99, 0.0], "adam"
    table["my_own"] = 3
    table.to_csv(sweep / "trials.csv", index=False)
    config = {"activation": "relu", "ema": 0.99, "optimizer": "adam", "head": "flatten"}
    (sweep / "champion" / "config.json").write_text(
        json.dumps({"trial_id": "t1", "config": config, "val_acc": 0.42})
    )
    folder = read_folder(sweep)
    assert folder.hyperparameters == ["activation", "learning_rate", "ema", "my_own"]
    assert folder.champion["config"] == {"activation": "relu", "ema": 0.99}
    page = page_of(sweep)
    assert "optimizer" not in page and "flatten" not in page


def page_of(folder: Path) -> str:
    return write_report(folder).read_text("utf-8")


def headings(page: str) -> list[str]:
    return re.findall("<h3>(.*?)</h3>", page)


def test_a_complete_sweep_has_every_section_in_order(sweep):
    page = page_of(sweep)
    assert headings(page) == SECTIONS
    assert re.findall("<h2>(.*?)</h2>", page) == GROUPS
    [links] = re.findall("<nav.*?</nav>", page)
    assert re.findall('<a href="#(.*?)">(.*?)</a>', links) == [
        (f"g{number}", name) for number, name in enumerate(GROUPS, start=1)
    ]
    assert all(f'id="g{number}"' in page for number in range(1, 6))


def test_the_title_is_the_result(sweep: Path, tmp_path: Path) -> None:
    assert "<h1>Four classes of photographs, 3 CNNs, best 62%</h1>" in page_of(sweep)
    assert "Hyperparameter sweep my &amp; sweep" in page_of(sweep)
    alone = write_tables(tmp_path / "s", "trial_id,val_acc\na,0.314\n")
    assert "<h1>1 trial, best 31% on validation</h1>" in page_of(alone)
    nothing = write_tables(tmp_path / "s", "trial_id\na\nb\n")
    assert "<h1>2 trials</h1>" in page_of(nothing)


def test_the_first_screen_has_figures_curves_and_six_photographs(sweep: Path) -> None:
    first = page_of(sweep).split('id="g2"')[0]
    assert "<dd>62.5%</dd><dt>of 16 test photographs recognised" in first
    assert "best of 2 and so an optimistic figure" in first
    assert "saved 40% of what they could have trained" in first
    assert '"linked":"curves"' in first and first.count("<li class=") == 6


def test_nothing_is_said_of_epochs_saved_where_none_was(tmp_path: Path) -> None:
    rows = "a,completed,10,.1\nb,completed,10,.2\n"
    folder = write_tables(tmp_path / "s", "trial_id,status,epochs,val_acc\n" + rows)
    (folder / "sweep.json").write_text('{"max_epochs": 10}')
    first = page_of(folder).split('id="g2"')[0]
    assert "20 epochs trained" in first and "saved" not in first


def test_the_page_asks_for_nothing_from_anywhere(sweep):
    page = page_of(sweep)
    targets = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)""", page)
    assert targets and all(target.startswith(("data:", "#")) for target in targets)
    assert "default-src 'none'" in page
    assert "@import" not in page and "url(" not in page


def test_nothing_from_the_data_becomes_markup(sweep):
    page = page_of(sweep)
    assert "<script>alert" not in page and "<b>mish" not in page
    assert "&lt;b&gt;mish&lt;/b&gt;" in page and "&lt;script&gt;alert(1)" in page
    assert "sweep my &amp; sweep" in page and "&lt;1,792 parameters&gt;" in page
    markdown = (sweep / "report" / "report.md").read_text("utf-8")
    assert "<script>" not in markdown and "<b>" not in markdown


def test_every_figure_is_in_the_page_with_an_alt_text(sweep, monkeypatch):
    monkeypatch.undo()  # drawn
    page = page_of(sweep)
    images = re.findall(r'<img[^>]*src="data:image/(png|jpeg);base64,([^"]+)" alt="([^"]+)"', page)
    drawn = list((sweep / "report" / "figures").glob("*.png"))
    assert len(images) == page.count("<img") > len(drawn) > 12
    for _, content, alt in images:
        assert len(alt) > 20
        Image.open(io.BytesIO(base64.b64decode(content))).verify()
    assert len(page) < 3_500_000


def test_the_markdown_links_figures_that_exist(sweep):
    write_report(sweep)
    markdown = (sweep / "report" / "report.md").read_text("utf-8")
    links = re.findall(r"\]\((.*?)\)", markdown)
    drawn = {f"figures/{path.name}" for path in (sweep / "report" / "figures").glob("*.png")}
    assert set(links) == drawn and len(links) == len(drawn) > 12


def test_the_sentences_say_what_the_tables_say(sweep):
    page = page_of(sweep)
    for words in (
        "42.0%, the best of 2 trials, and the best of many is an optimistic figure",
        "62.5% (95% interval 38.6% to 81.5%, 10 of n = 16)",
        "3 trials of 4 asked for: 1 completed, 1 stopped early, 1 failed.",
        "would have trained 20 at their maximum and trained 12: early stopping saved 40%.",
        "The sweep took 2 h 02 min.",
    ):
        assert words in page


def test_a_sweep_that_pauses_its_trials_is_told_so(sweep):
    settings = json.loads((sweep / "sweep.json").read_text())
    told = {"stopping": "promote", "rungs": [3], "reduction_factor": 3, "last_share": 0.5}
    (sweep / "sweep.json").write_text(json.dumps(settings | told))
    page = page_of(sweep)
    assert "Stopping: at epoch 3, where the best 1 in 3 goes on (50% from the last)." in page
    assert "12: pausing trials at the rungs, so that only the best went on, saved 40%." in page
    assert "the rungs, at which trials pause, and the best go on." in page


def test_one_trial_and_one_epoch_are_no_plural(tmp_path):
    page = page_of(write_tables(tmp_path / "s", "trial_id,epochs,val_acc\na,1,0.3\n"))
    assert "<dd>1</dd><dt>trial, 1 epoch trained</dt>" in page


def test_failed_and_running_trials_do_not_count_as_saved(tmp_path):
    rows = "a,completed,10\nb,failed,1\nc,running,2\n"
    folder = write_tables(tmp_path / "s", "trial_id,status,epochs\n" + rows)
    (folder / "sweep.json").write_text('{"max_epochs": 10}')
    epochs = count_epochs(read_folder(folder))
    assert epochs is not None
    assert (epochs.trained, epochs.ended_planned, epochs.saved) == (13, 10, 0)


def test_a_test_accuracy_that_contradicts_its_predictions_is_pointed_out(sweep):
    metrics = sweep / "champion" / "metrics.json"
    metrics.write_text(json.dumps({"test_acc": 0.9, "test_correct": 9, "test_n": 10}))
    assert "Caution: metrics.json says 90.0%, but the counted predictions give" in page_of(sweep)


def test_a_moment_is_told_as_a_reader_says_it():
    assert moment("2026-11-24T18:02:38+00:00") == "2026-11-24 18:02 UTC"
    assert moment("2026-11-24T18:02:38") == "2026-11-24 18:02"
    assert moment("last week") == "last week"


def test_the_score_comes_from_the_metrics_where_there_are_no_predictions(sweep):
    (sweep / "champion" / "test_predictions.csv").unlink()
    score = champion_score(read_folder(sweep))
    assert score is not None and (score.count, score.n) == (10, 16)
    assert "There are no test predictions" in page_of(sweep)


def test_the_trials_are_sorted_and_the_champion_is_marked(sweep):
    page = page_of(sweep)
    table = pd.read_csv(sweep / "report" / "tables" / "trials.csv")
    assert table["trial_id"].tolist() == ["t1", "t0", "t2"]
    assert re.findall(r"<tr class=marked><td[^>]*>(.*?)</td>", page) == ["t1"]
    assert page.count('<th scope="col"><button type="button">') == len(table.columns)


def planted_sweep(folder: Path, *, n: int = 60) -> Path:
    """Batch norm adds five points, activation nothing."""
    rng = np.random.default_rng(0)
    trials = pd.DataFrame({
        "trial_id": [f"t{i:05d}" for i in range(n)],
        "status": rng.choice(["completed", "stopped"], n),
        "batch_norm": rng.choice([True, False], n),
        "activation": rng.choice(["relu", NASTY[0]], n),
        "learning_rate": rng.choice([0.001, 0.01], n),
    })  # fmt: skip
    trials["val_acc"] = 0.3 + 0.05 * trials["batch_norm"] + rng.normal(0, 0.01, n)
    folder.mkdir()
    trials.to_csv(folder / "trials.csv", index=False)
    (folder / "epochs.csv").write_text(EPOCHS_HEAD)
    return folder


def test_effects_are_said_drawn_and_written_down(tmp_path):
    folder = planted_sweep(tmp_path / "s")
    page = page_of(folder)
    assert headings(page)[:5] == SECTIONS[:5]
    assert "batch_norm: true reaches " in page and "<li>" in page
    [asked] = re.findall(r"Of (\d) claims? put to the trials, 1 is supported, 0 contradicted", page)
    rest = f"<summary>{9 - int(asked)} claims that these trials cannot be asked about</summary>"
    assert rest in page and page.count('<svg class="interval') == int(asked)
    assert '<svg class="interval higher"' in page
    assert "✓ supported" in page and "This sweep does not log conv_layers." in page
    assert "Effects of 3 values of 3 hyperparameters" in page
    assert ".box img:not([class]) { width: 46rem; max-width: none; }" in page, (
        "letters must not shrink below what is read on a phone"
    )
    for name, first in (("effects", "hyperparameter"), ("importance", "hyperparameter"),
                        ("claims", "claim"), ("interplay", "first")):  # fmt: skip
        table = pd.read_csv(folder / "report" / "tables" / f"{name}.csv")
        assert table.columns[0] == first and len(table)
    markdown = (folder / "report" / "report.md").read_text("utf-8")
    assert "\n1. batch_norm: true reaches" in markdown and "| ✓ supported |" in markdown
    assert "<script>" not in page.split("</main>")[0] and "<script>" not in markdown
    assert read_sweep_file(folder / "report" / "next_sweep.yaml").space["batch_norm"].values == (
        True,
    )


def test_the_next_sweep_has_the_words_of_the_users_own_file(tmp_path):
    folder = planted_sweep(tmp_path / "s")
    names = {"batch_norm": "model.use_bn", "learning_rate": "speed"}
    rename = {"speed": "learning_rate", "another": "dropout"}
    (folder / "sweep.json").write_text(json.dumps({"names": names, "rename": rename}))
    write_report(folder)
    path = folder / "report" / "next_sweep.yaml"
    text = path.read_text("utf-8")
    assert "--data ... --rename speed=learning_rate\n" in text and "another" not in text
    parameters = yaml.safe_load(text)["parameters"]
    assert {"model.use_bn", "speed"} <= parameters.keys()
    assert not names.keys() & parameters.keys()
    file = read_sweep_file(path, rename={"speed": "learning_rate"})
    assert file.space["batch_norm"].values == (True,)
    assert names.items() <= file.names.items()


def test_what_the_search_began_with_is_said(tmp_path):
    folder = planted_sweep(tmp_path / "s")
    facts = {"search": "curves", "begun_with": "30 sweeps of such networks, 628 trials"}
    (folder / "sweep.json").write_text(json.dumps(facts))
    line = "; it began with what earlier ones found (30 sweeps of such networks, 628 trials)."
    assert line in page_of(folder)


def test_of_one_hyperparameter_no_pair_is_missed(tmp_path):
    folder = planted_sweep(tmp_path / "s")
    table = pd.read_csv(folder / "trials.csv").drop(columns=["activation", "learning_rate"])
    table.to_csv(folder / "trials.csv", index=False)
    page = page_of(folder)
    assert "batch_norm: true reaches" in page and "Pairs need" not in page


def test_lists_are_escaped_too():
    page = Page("t", "s", [Section("x", [Points(["<b>bold</b> | *"], numbered=True)])])
    assert "<ol><li>&lt;b&gt;bold&lt;/b&gt; | *</li></ol>" in as_html(page, Path())
    assert "1. &lt;b&gt;bold&lt;/b&gt; \\| \\*" in as_markdown(page)


def test_a_name_from_right_to_left_turns_nothing_beside_it():
    text = "cat was taken for قطة كبيرة (12 of 30) and for חתול 4 times"
    html = as_html(Page("t", "s", [Section("x", [Points([text])])]), Path())
    assert "for <bdi>قطة كبيرة</bdi> (12 of 30) and for <bdi>חתול</bdi> 4" in html


def test_no_name_is_emphasis_in_markdown():
    page = Page("~~gone~~", "__init__ _a_ val_acc", [])
    markdown = as_markdown(page)
    assert "\\~\\~gone\\~\\~" in markdown and "\\_\\_init\\_\\_ \\_a\\_ val_acc" in markdown


def test_what_is_the_same_in_all_trials_is_said_once(tmp_path):
    folder = planted_sweep(tmp_path / "s", n=12)
    table = pd.read_csv(folder / "trials.csv").assign(optimizer="sgd", unused=np.nan)
    table.to_csv(folder / "trials.csv", index=False)
    page = page_of(folder)
    assert "The same in all trials: optimizer sgd, unused –." in page
    assert "optimizer</button>" not in page and page.count("optimizer sgd") == 1


def test_an_earlier_reports_findings_do_not_outlive_their_tables(tmp_path):
    folder = planted_sweep(tmp_path / "s")
    write_report(folder)
    write_tables(folder, "trial_id,beta,val_acc\na,1,0.3\n")
    write_report(folder)
    report = folder / "report"
    assert not (report / "next_sweep.yaml").exists()
    assert not (report / "figures" / "effects.png").exists()
    effects = pd.read_csv(report / "tables" / "effects.csv")
    assert effects.empty and effects.columns.tolist() == EFFECT_COLUMNS


def test_an_earlier_champions_tables_do_not_outlive_it(sweep):
    write_report(sweep)
    tables = [sweep / "report" / "tables" / f"{name}.csv" for name in ("classes", "calibration")]
    assert all(table.exists() for table in tables)
    shutil.rmtree(sweep / "champion")
    write_report(sweep)
    assert not any(table.exists() for table in tables)


ROW = "a,completed,0.1,2,0.3,2025-01-01T00:00:00\n"
HEAD = "trial_id,status,lr,epochs,val_acc,started\n"
EDGES = {
    "one trial": (HEAD + ROW, EPOCHS_HEAD + "a,1,2,.1,2,.3\n"),
    "no trials": (HEAD, EPOCHS_HEAD),
    "only ids": ("trial_id\nx\ny\n", "trial_id,epoch\n"),
    "all failed": (HEAD + "a,failed,.1,,,2025-01-01\nb,failed,.2,,,\n", EPOCHS_HEAD),
    "nothing known": (HEAD + "a,,,,,\nb,,,,,\n", EPOCHS_HEAD + "a,1,,,,\n"),
    "epochs of others": (HEAD + ROW, EPOCHS_HEAD + "b,1,2,.1,2,.3\n"),
    "infinite loss": ("trial_id,lr,val_acc\n1,.1,.2\n2,.01,.3\n",
                      EPOCHS_HEAD + "1,1,2,.1,inf,.2\n2,1,inf,.1,nan,.3\n"),
    "all equal": ("trial_id,lr,val_acc,status\na,1,.5,odd\nb,2,.5,odd\n", EPOCHS_HEAD),
    "mixed values": ('trial_id,k,val_acc\na,3,.1\nb,"[3,5]",.2\nc,true,.3\nd,,.4\n', EPOCHS_HEAD),
}  # fmt: skip


@pytest.mark.parametrize("name", EDGES)
def test_every_table_gives_a_page(tmp_path, name):
    folder = write_tables(tmp_path / "s", *EDGES[name])
    titles = headings(page_of(folder))
    assert titles[0] == "Result" and "All trials" in titles and titles[-1] == "How it was run"


@pytest.mark.parametrize("num_classes", [1, 2, 100])
def test_any_number_of_classes_gives_a_page(tmp_path, num_classes):
    folder = write_tables(tmp_path / "s", HEAD + ROW)
    write_champion(folder, [f"class {i}" for i in range(num_classes)])
    page = page_of(folder)
    assert "The test" in headings(page)
    assert ("None: all of 4 test photographs were recognised." in page) == (num_classes == 1)
    assert "The champion&#x27;s weights are not in champion/" in page


def test_without_the_photographs_their_place_is_asked_for(sweep):
    (sweep / "champion" / "photo.jpg").unlink()
    page = page_of(sweep)
    assert "so no mistakes are shown" in page and "--data says where they are now" in page
    assert "so none is shown here" in page and "drawn at random" not in page
    assert not (sweep / "report" / "figures" / "photographs.png").exists(), "30 empty boxes"


def test_the_network_is_drawn_where_its_weights_are(tmp_path, photos):
    folder = write_tables(tmp_path / "s", HEAD + ROW)
    (folder / "champion").mkdir()
    config = TrialConfig(first_layer_filters=4, conv_layers=2, num_neurons_dense=8)
    net = CustomCNN(config, num_classes=3, image_size=16)
    save_file(net.state_dict(), folder / "champion" / WEIGHTS)
    classes = ("blue", "green", "red")
    write_network(Champion(folder / "champion", "a", config, classes, 16, 1, 0.5))
    rows = [(f"{name}/000.png", name, "red", 0.5) for name in classes]
    table = pd.DataFrame(rows, columns=["file", "label", "predicted", "confidence"])
    table.to_csv(folder / "champion" / "test_predictions.csv", index=False)
    page = write_report(folder, data=str(photos / "val")).read_text("utf-8")
    assert "The strongest neurons of the last convolution" in page
    assert "3 x 3 pixels, too few to be recognised" in page and "Adebayo et al. 2018" in page
    drawn = {path.stem for path in (folder / "report" / "figures").glob("*.png")}
    assert {"neurons", "mistakes", "confidence"} <= drawn and "filters" not in drawn
    assert "pairs" in drawn, "blue and green are taken for red, which is recognised"


def test_what_helps_one_class_and_hurts_another_is_said_and_written_down(tmp_path):
    folder = planted_sweep(tmp_path / "s")
    ids = pd.read_csv(folder / "trials.csv", dtype=str)["trial_id"]
    rows = [(i, name, r / 10) for n, i in enumerate(ids) for name, r in (("NA", n % 7), ("b", 3))]
    table = pd.DataFrame(rows, columns=["trial_id", "class", "val_recall"])
    table.to_csv(folder / "class_recalls.csv", index=False)
    assert "No evidence that any hyperparameter helps one class" in page_of(folder)
    written = pd.read_csv(folder / "report/tables/class_effects.csv", keep_default_na=False)
    assert set(written["class"]) == {"NA", "b"}


def test_a_table_in_any_order_keeps_its_own_order_in_the_timeline(tmp_path):
    rows = "trial_id,val_acc\n" + "".join(f"t{i},{v}\n" for i, v in enumerate([0.1, 0.3, 0.2]))
    trials = read_folder(write_tables(tmp_path / "s", rows)).trials
    assert trials["trial_id"].tolist() == ["t1", "t2", "t0"]
    assert trials.index.tolist() == [1, 2, 0]


def test_writing_again_replaces_own_files_and_leaves_the_users(sweep):
    write_report(sweep)
    report = sweep / "report"
    mine = [report / "notes.txt", report / "figures" / "mine.png", report / "tables" / "mine.csv"]
    for path in mine:
        path.write_text("mine")
    (sweep / "epochs.csv").write_text(EPOCHS_HEAD)
    write_report(sweep)
    assert [path.read_text() for path in mine] == ["mine"] * 3
    assert not (report / "figures" / "curves.png").exists()
    assert (report / "figures" / "timeline.png").exists()


def test_the_command_prints_the_page_last(sweep, capsys):
    assert main([str(sweep)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(sweep / "report" / "index.html")


@pytest.mark.parametrize("spoil, words", [
    (lambda folder: (folder / "trials.csv").unlink(), "trials.csv"),
    (lambda folder: (folder / "sweep.json").write_text("{"), "sweep.json"),
    (lambda folder: (folder / "sweep.json").write_text("[]"), "a list is not an object"),
    (lambda folder: (folder / "champion" / "test_predictions.csv").write_text("file,label\n"),
     "column predicted is missing"),
])  # fmt: skip
def test_a_users_mistake_is_one_line_and_exit_code_2(sweep, capsys, spoil, words):
    spoil(sweep)
    assert main([str(sweep), "--no-test"]) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.splitlines()) == 1


class FakeChampion:
    """Stands in for cnnlib.champion.final_test, which needs a model and its data."""

    OpenedBeforeError = OpenedBeforeError

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[tuple[Path, str | None]] = []
        self.error = error

    def test_champion(self, folder: Path, data: str | None, reason: str | None) -> None:
        self.calls.append((folder, data))
        if self.error:
            raise self.error


def test_only_an_untested_champion_is_tested_and_only_if_wanted(sweep, monkeypatch):
    champion = FakeChampion()
    monkeypatch.setitem(sys.modules, "cnnlib.champion.final_test", champion)
    assert main([str(sweep)]) == 0
    assert champion.calls == []  # it has its predictions
    (sweep / "champion" / "test_predictions.csv").unlink()
    assert main([str(sweep), "--no-test"]) == 0
    assert champion.calls == []
    assert main([str(sweep), "--data", "photos"]) == 0
    assert champion.calls == [(sweep, "photos")]


def test_a_champion_that_cannot_be_tested_is_the_users_to_solve(sweep, monkeypatch, capsys):
    error = FileNotFoundError("no class folders in photos/val")
    monkeypatch.setitem(sys.modules, "cnnlib.champion.final_test", FakeChampion(error))
    (sweep / "champion" / "test_predictions.csv").unlink()
    assert main([str(sweep)]) == 2
    message = capsys.readouterr().err
    assert "no class folders in photos/val" in message and "--no-test" in message
    assert len(message.splitlines()) == 1


def test_a_test_that_takes_a_reason_leaves_the_report_without_it(sweep, monkeypatch, capsys):
    error = OpenedBeforeError("the test photographs were opened for trial 1")
    monkeypatch.setitem(sys.modules, "cnnlib.champion.final_test", FakeChampion(error))
    (sweep / "champion" / "test_predictions.csv").unlink()
    assert main([str(sweep)]) == 0
    assert "opened for trial 1" in capsys.readouterr().err
    assert (sweep / "report" / "index.html").exists()


def test_times_are_said_as_a_reader_says_them(tmp_path):
    assert [duration(t) for t in (45, 600, 7321)] == ["45 s", "10 min", "2 h 02 min"]
    folder = write_tables(tmp_path / "s", "trial_id,val_acc\na,0.1\n")
    assert effort_sentences(read_folder(folder)) == []
    assert np.isnan(read_folder(write_tables(folder, "trial_id\na\n")).trials["val_acc"]).all()


def test_two_figures_of_one_name_are_our_mistake(tmp_path: Path) -> None:
    panels = [Panel(figure([], axis(), axis(), height=90), "")]
    page = Page("t", "s", [Section("x", [Plot("a", panels, "", "")] * 2)])
    with pytest.raises(AssertionError, match="two figures are called a"):
        write_page(page, tmp_path)


def test_there_is_no_html_but_in_templates() -> None:
    root = Path(__file__).parents[2] / "analysis"
    tag = re.compile(
        r"</?(?:p|div|figure|table|td|th|tr|ul|ol|li|section|h1|style|details|pre)\b[ >]"
    )
    for path in root.rglob("*.py"):
        assert not tag.search(path.read_text("utf-8")), path


@pytest.mark.parametrize("count, words", [(1, "1 diverged: "), (2, "2 diverged: ")])
def test_trials_that_diverged_are_told_apart_from_those_that_failed(sweep, count, words):
    table = pd.read_csv(sweep / "trials.csv")
    line = "diverged: outputs, loss or weights are not finite after epoch 2"
    more = [{"trial_id": f"d{n}", "status": "failed", "error": line} for n in range(count)]
    pd.concat([table, pd.DataFrame(more)]).to_csv(sweep / "trials.csv", index=False)
    write_report(sweep)
    page = (sweep / "report" / "report.md").read_text()
    assert f"Of those that failed {words}the network's outputs were no longer finite" in page
    assert ("they have no accuracy and count as" if count > 1 else "it has no accuracy") in page


@pytest.mark.parametrize("line, fault", [
    ("5", "it has no kind `event`"),
    ("not JSON", "line 2 is not an event"),
    ('{"event": "finished", "time": "2026-01-01T00:00:00+00:00", "trial_id": "9"}',
     "trial 9 was not proposed before it"),
    ("[" * 100_000, "line 2 is not an event"),
])  # fmt: skip
def test_a_bad_journal_is_one_line_that_names_the_place(tmp_path, capsys, line, fault):
    journal = Journal(tmp_path / "s", "a")
    begin(journal)
    journal.close()
    [segment] = (tmp_path / "s" / "journal").iterdir()
    segment.write_bytes(segment.read_bytes() + line.encode() + b"\n")
    assert main([str(tmp_path / "s"), "--no-test"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"analysis/report.py: {segment}: line 2 is not an event")
    assert fault in said and len(said.splitlines()) == 1
    segment.rename(segment.with_name("000002-a.jsonl"))
    assert main([str(tmp_path / "s"), "--no-test"]) == 2
    assert "000001.jsonl (or 000001-<driver>.jsonl) is missing" in capsys.readouterr().err
