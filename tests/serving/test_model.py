"""A model in use answers what training computed, whatever way a recording comes in."""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pytest

from reno_sweeps import audio
from reno_sweeps.records import UserError
from reno_sweeps.serving import open_model
from reno_sweeps.serving.model import inputs_of


@pytest.fixture
def model(trained):
    return open_model(trained.folder, device="cpu")


def test_a_clip_gets_the_probabilities_that_training_computed(trained, model):
    table = model.answer(trained.files)

    assert np.abs(table.probabilities - trained.result.test_probabilities).max() < 1e-5
    assert table.paths == [str(file) for file in trained.files]


def test_reno_answers_as_in_training_too(tmp_path, train_in):
    reno = train_in(tmp_path, "reno")
    table = open_model(reno.folder, device="cpu").answer(reno.files)

    assert np.abs(table.probabilities - reno.result.test_probabilities).max() < 1e-5


def test_a_folder_a_file_its_bytes_and_its_samples_are_answered_alike(trained, model):
    file = trained.files[0]
    frame = model.predict([str(file), file, file.read_bytes(), audio.decode(file)])

    assert list(frame.columns) == ["path", "emotion", *model.classes]
    assert (frame[list(model.classes)].to_numpy() == frame[list(model.classes)].to_numpy()[0]).all()
    assert frame["path"][:2].tolist() == [str(file)] * 2
    assert frame["path"][2:].isna().all()
    assert model.predict(trained.corpus.root)["path"].tolist() == [str(f) for f in trained.files]


def test_a_clips_answer_never_depends_on_its_company(trained, model, monkeypatch):
    together = model.answer(trained.files).probabilities
    monkeypatch.setattr("reno_sweeps.serving.recordings.BATCH", 3)
    in_threes = model.answer(trained.files).probabilities
    alone = np.concatenate([model.answer([file]).probabilities for file in trained.files])

    np.testing.assert_allclose(in_threes, together, atol=1e-6)
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_probabilities_sum_to_one_and_the_emotion_has_the_largest(trained, model):
    table = model.answer(trained.files)

    np.testing.assert_allclose(table.probabilities.sum(axis=1), 1, atol=1e-6)
    for row in table.as_json():
        assert row["emotion"] == max(row["probabilities"], key=row["probabilities"].get)


def test_broken_recordings_are_listed_and_refused(trained, model, tmp_path):
    broken, absent = tmp_path / "broken.wav", tmp_path / "absent.wav"
    broken.write_bytes(b"no sound")
    with pytest.raises(UserError, match="2 of 3 recordings cannot be used") as refused:
        model.answer([broken, trained.files[0], absent])

    lines = str(refused.value).splitlines()
    assert len(lines) == 3
    assert "broken.wav: not readable" in lines[1]
    assert "absent.wav: there is no such file" in lines[1]
    assert "--skip-broken" in lines[2]


def test_broken_recordings_are_left_out_and_said_when_asked(trained, model, tmp_path, caplog):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    with caplog.at_level(logging.WARNING):
        table = model.answer([broken, trained.files[0]], skip_broken=True)
    nothing = model.answer([broken], skip_broken=True)

    assert table.paths == [str(trained.files[0])]
    assert "left out" in caplog.text
    assert "broken.wav" in caplog.text
    assert nothing.as_csv() == "path,emotion,joy,sadness\n"


@pytest.mark.parametrize(
    ("samples", "why"),
    [(np.zeros((2, 9)), "1-D real samples"), (np.zeros(9, int), "1-D real samples"), (np.zeros(0), "at least one")],
)
def test_what_is_no_recording_is_refused(model, samples, why):
    with pytest.raises(UserError, match=why):
        model.predict([samples])


def test_a_folder_without_recordings_is_said(model, tmp_path):
    (tmp_path / "notes.txt").write_text("laughs")

    with pytest.raises(UserError, match="holds no recordings"):
        model.predict([tmp_path])


# --- embeddings in ------------------------------------------------------------------------------------------


def test_a_model_for_embeddings_answers_them_as_training_did(vectors_model):
    model = open_model(vectors_model.folder)
    frame = model.predict(vectors_model.arrays)

    assert list(frame.columns) == ["emotion", "joy", "sadness"]
    answers = frame[["joy", "sadness"]].to_numpy()
    assert np.abs(answers - vectors_model.result.test_probabilities).max() < 1e-5
    assert len(model.predict({name: x[:0] for name, x in vectors_model.arrays.items()})) == 0


def test_a_model_for_embeddings_refuses_recordings_and_wrong_vectors(vectors_model):
    model, arrays = open_model(vectors_model.folder), vectors_model.arrays
    holes = np.full_like(arrays["mfcc"], np.nan)

    with pytest.raises(UserError, match="takes embeddings, not recordings: mfcc, log-mel"):
        model.predict(vectors_model.files)
    with pytest.raises(UserError, match="takes embeddings of log-mel; given: mfcc"):
        model.predict({"mfcc": arrays["mfcc"]})
    with pytest.raises(UserError, match="one row a clip"):
        model.predict({"mfcc": arrays["mfcc"], "log-mel": arrays["log-mel"][:3]})
    with pytest.raises(UserError, match=r"the model takes \[n, 80\]"):
        model.predict({"mfcc": arrays["log-mel"], "log-mel": arrays["log-mel"]})
    with pytest.raises(UserError, match="one row a clip"):
        model.predict({"mfcc": [[1.0], [1.0, 2.0]], "log-mel": arrays["log-mel"]})
    with pytest.raises(UserError, match="NaN or infinity"):
        model.predict({"mfcc": holes, "log-mel": arrays["log-mel"]})


def test_a_model_that_answers_no_numbers_says_so(vectors_model, monkeypatch):
    model, count = open_model(vectors_model.folder), len(vectors_model.arrays["mfcc"])
    overflown = np.full((count, 2), np.nan, np.float32)
    overflown[0] = 0.5
    monkeypatch.setattr(type(model.exported), "probabilities", lambda *_: overflown)

    with pytest.raises(UserError, match=f"answers no numbers for {count - 1} of {count} clips"):
        model.predict(vectors_model.arrays)


def test_inputs_are_called_by_their_files_stem_where_that_names_one():
    assert inputs_of(["file:a/gpvad.npz", "mfcc"]) == {"gpvad": "file:a/gpvad.npz", "mfcc": "mfcc"}
    assert list(inputs_of(["file:a/x.npz", "file:b/x.npz"])) == ["file:a/x.npz", "file:b/x.npz"]
    assert list(inputs_of(["file:a/path.npz"])) == ["file:a/path.npz"]


# --- the folder ---------------------------------------------------------------------------------------------


def altered(trained, place, **changes):
    """A copy of the model's folder whose first encoder has other facts."""
    shutil.copytree(trained.folder, place)
    facts = json.loads((place / "model.json").read_text())
    facts["encoders"][0] |= changes
    (place / "model.json").write_text(json.dumps(facts))


@pytest.mark.parametrize("changes", [{"code": "0"}, {"pooling": "max"}, {"audio": "0"}])
def test_an_encoder_that_hears_otherwise_than_the_model_learnt_is_refused(trained, tmp_path, changes):
    altered(trained, tmp_path / "model", **changes)

    with pytest.raises(UserError, match="encoder mfcc hears otherwise here"):
        open_model(tmp_path / "model")


def test_weights_for_an_encoder_that_the_model_lacks_are_refused(trained):
    with pytest.raises(UserError, match="no such encoder\nit hears with mfcc, log-mel"):
        open_model(trained.folder, {"wavlm-base": "weights"})


def test_a_device_that_is_not_there_is_said(trained, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    with pytest.raises(UserError, match="no GPU"):
        open_model(trained.folder, device="cuda")
