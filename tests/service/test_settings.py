import pytest

from stanceframe.models.errors import ConfigError
from stanceframe.service.settings import Settings


def test_the_defaults_are_those_stated():
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert (settings.model, settings.engine) == (None, "auto")
    assert settings.limits() == {
        "max_body_bytes": 8_388_608,
        "max_sentences": 2_000,
        "max_explained_characters": 10_000,
        "max_documents": 100,
        "max_document_characters": 500_000,
        "max_sentence_characters": 20_000,
        "max_requests": 32,
    }


def test_variables_override_and_an_empty_one_does_not():
    settings = Settings.from_environment({"STANCEFRAME_MAX_SENTENCES": "7", "STANCEFRAME_MODEL": ""})
    assert (settings.max_sentences, settings.model) == (7, None)


def test_nothing_need_be_remembered():
    assert Settings().remember_sentences == 10_000
    assert Settings.from_environment({"STANCEFRAME_REMEMBER_SENTENCES": "0"}).remember_sentences == 0


def test_an_engine_that_there_is_not_names_those_there_are():
    assert Settings.from_environment({"STANCEFRAME_ENGINE": "torch-fp32"}).engine == "torch-fp32"
    with pytest.raises(ConfigError, match=r"STANCEFRAME_ENGINE is 'magic'.*auto, openvino-bf16, openvino-fp32"):
        Settings.from_environment({"STANCEFRAME_ENGINE": "magic"})


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_limit_that_is_none_names_its_variable(value):
    with pytest.raises(ConfigError, match=r"STANCEFRAME_MAX_BODY_BYTES.*whole number above 0"):
        Settings.from_environment({"STANCEFRAME_MAX_BODY_BYTES": value})
